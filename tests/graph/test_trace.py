import json
import math
import multiprocessing
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image
from rich.console import Console
from scripted_models import ScriptedEngine, ScriptedExpert

from catts.agents.protocol import Usage
from catts.errors import RoleError, TraceError
from catts.graph.account import account
from catts.graph.context import Context
from catts.graph.embed import answer_sync
from catts.graph.records import NodeRun
from catts.graph.state import Output
from catts.graph.trace import Cost, Trace, append_trace, read_traces, write_traces
from catts.question import Question


@pytest.fixture
def trace(picture: Image.Image) -> Trace:
    expert = ScriptedExpert(fail={"voter": RoleError("voter", "no")})
    context = Context.of(ScriptedEngine(), expert, routing="paper")
    return answer_sync(picture, "Which?", choices=("3", "4"), context=context)


def test_a_trace_survives_its_file(trace: Trace, tmp_path: Path) -> None:
    path = tmp_path / "runs.jsonl"
    append_trace(path, trace)
    append_trace(path, trace)
    assert list(read_traces(path)) == [trace, trace]
    assert len(path.read_text().splitlines()) == 2
    write_traces(path, [trace])
    assert list(read_traces(path)) == [trace]
    assert list(tmp_path.iterdir()) == [path], "nothing temporary stays behind"


def test_the_json_has_what_the_command_line_promises(trace: Trace) -> None:
    data = json.loads(trace.model_dump_json())
    assert {
        "answer", "votes", "ballots", "samples", "plan", "route", "critique", "usage",
        "failed_nodes", "version",
    } <= data.keys()  # fmt: skip
    assert {"source", "answer", "weight", "reason"} == data["ballots"][0].keys()
    assert {"text", "answer", "confidence", "confidence_kind"} <= data["samples"][0].keys()
    assert data["failed_nodes"] == ["voter"]
    assert data["question"]["choices"] == ["3", "4"]


def test_a_trace_whose_votes_were_changed_is_refused(trace: Trace) -> None:
    data = json.loads(trace.model_dump_json())
    data["votes"][trace.answer] += 0.1
    with pytest.raises(ValueError, match="not the sum"):
        Trace.model_validate(data)
    with pytest.raises(ValueError, match="the answer has no votes"):
        Trace.model_validate(json.loads(trace.model_dump_json()) | {"answer": "nobody's"})


def test_bad_files_are_told_in_one_line(trace: Trace, tmp_path: Path) -> None:
    path = tmp_path / "bad.jsonl"
    good = trace.model_dump_json()
    cases = {
        good + "\n" + good[: len(good) // 2]: r"line 2 is not JSON",
        good.replace('"version":1', '"version":99', 1): r"not a trace of version 1 but of 99",
        '{"version": 1}': r"no whole trace",
        "[]": r"not a trace of version 1",
        "[" * 100_000: r"not JSON",
    }
    for text, message in cases.items():
        path.write_text(text + "\n")
        with pytest.raises(TraceError, match=message) as caught:
            list(read_traces(path))
        assert "\n" not in str(caught.value)
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(TraceError, match="not text"):
        list(read_traces(path))
    for missing in (tmp_path / "none.jsonl", tmp_path):
        with pytest.raises(TraceError, match="cannot read"):
            list(read_traces(missing))
    with pytest.raises(TraceError, match="cannot write"):
        append_trace(tmp_path / "no" / "folder.jsonl", trace)
    with pytest.raises(TraceError, match="cannot write"):
        write_traces(tmp_path / "no" / "folder.jsonl", [trace])


def test_a_write_that_breaks_off_leaves_the_old_file(trace: Trace, tmp_path: Path) -> None:
    path = tmp_path / "runs.jsonl"
    write_traces(path, [trace])

    def broken() -> object:
        yield trace
        raise RuntimeError("stop")

    with pytest.raises(RuntimeError):
        write_traces(path, broken())  # type: ignore[arg-type]
    assert list(read_traces(path)) == [trace]
    assert list(tmp_path.iterdir()) == [path]


def test_never_is_a_number_that_comes_back(picture: Image.Image, tmp_path: Path) -> None:
    """`accept=inf` is how people say never; NaN and infinities are no JSON numbers."""
    context = Context.of(ScriptedEngine(), ScriptedExpert(), accept=math.inf)
    ran = answer_sync(picture, "Which?", context=context)
    append_trace(tmp_path / "runs.jsonl", ran)
    (back,) = read_traces(tmp_path / "runs.jsonl")
    assert back == ran
    assert back.policy.accept == math.inf


def _leaves(data: object, path: tuple[object, ...] = ()) -> Iterator[tuple[object, ...]]:
    if isinstance(data, str):
        yield path
    elif isinstance(data, dict | list):
        items = data.items() if isinstance(data, dict) else enumerate(data)
        for key, value in items:
            yield from _leaves(value, (*path, key))


def test_no_text_of_a_foreign_trace_steers_the_terminal(trace: Trace) -> None:
    hostile = "x\x1b[2J\x1b]0;y\x07\x9b31m\r\u202e"
    reached = 0
    for path in _leaves(json.loads(trace.model_dump_json())):
        data = json.loads(trace.model_dump_json())
        *parents, last = path
        place = data
        for key in parents:
            place = place[key]
        place[last] = hostile
        try:
            foreign = Trace.model_validate(data)
        except ValueError:
            continue  # a field of fixed words, or one that the votes must agree with
        reached += 1
        console = Console(width=300, color_system=None)
        with console.capture() as capture:
            console.print(account(foreign, title=f"{hostile}.jsonl"))
        assert not {"\x1b", "\x07", "\x9b", "\r", "\u202e"} & set(capture.get()), path
    assert reached > 10


def _append_many(path: Path, line: str) -> None:
    trace = Trace.model_validate_json(line)
    for _ in range(50):
        append_trace(path, trace)


def test_writers_do_not_mix_their_lines(trace: Trace, tmp_path: Path) -> None:
    path = tmp_path / "runs.jsonl"
    spawn = multiprocessing.get_context("fork")
    writers = [
        spawn.Process(target=_append_many, args=(path, trace.model_dump_json())) for _ in range(4)
    ]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join(60)
    assert list(read_traces(path)) == [trace] * 200


def _costs(*runs: NodeRun) -> Trace:
    output = Output(question=Question(text="?"), no_answer="sampler_failed", runs=runs)
    return Trace.of(output, Context.of(ScriptedEngine(), ScriptedExpert()))


def _run(node: str, calls: int, started: float, ended: float) -> NodeRun:
    usage = Usage(calls=calls, prompt_tokens=10 * calls, completion_tokens=calls, seconds=0.25)
    return NodeRun(node=node, status="ok", usage=usage, seconds=ended - started, started=started,
                   ended=ended)  # type: ignore[arg-type]  # fmt: skip


def test_costs_by_hand() -> None:
    runs = (
        _run("sampler", 1, 100.0, 102.0),
        _run("voter", 2, 103.0, 106.0),
        _run("critic", 1, 103.0, 104.0),
        _run("reanswer", 1, 104.0, 105.5),
    )
    cost = _costs(*runs).usage
    assert cost.total == Usage(calls=5, prompt_tokens=50, completion_tokens=5, seconds=1.0)
    assert cost.expert_calls == 3, "the voter's two and the critic's"
    assert cost.seconds == 7.5, "side by side, each counts"
    assert cost.latency == 6.0, "from the first start to the last end"
    assert cost.nodes == runs


def test_what_was_not_timed_takes_no_time() -> None:
    assert _costs().usage.latency == 0
    untimed = NodeRun(node="voter", status="ok", usage=Usage(), seconds=0.5)
    assert _costs(untimed).usage.latency == 0
    assert _costs(untimed, _run("sampler", 1, 100.0, 102.0)).usage.latency == 2.0
    set_back = untimed.model_copy(update={"started": 100.0, "ended": 99.0})
    assert _costs(set_back).usage.latency == 0, "the clock was set back meanwhile"


def test_blank_lines_are_passed_over_and_counted(trace: Trace, tmp_path: Path) -> None:
    path = tmp_path / "runs.jsonl"
    line = trace.model_dump_json()
    path.write_text(f"\n{line}\n  \n{line}\n")
    assert list(read_traces(path)) == [trace, trace]
    path.write_text(f"\n{line}\n  \n{{\n")
    with pytest.raises(TraceError, match="line 4 is not JSON"):
        list(read_traces(path))


def test_a_disk_that_takes_part_of_a_trace_is_told(
    trace: Trace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = os.write
    monkeypatch.setattr(os, "write", lambda handle, data: write(handle, data[:40]))
    with pytest.raises(TraceError, match="took only part of a trace; free some space"):
        append_trace(tmp_path / "runs.jsonl", trace)


def test_others_may_read_a_trace_file_and_only_its_owner_writes(
    trace: Trace, tmp_path: Path
) -> None:
    append_trace(tmp_path / "runs.jsonl", trace)
    umask = os.umask(0)
    os.umask(umask)
    assert (tmp_path / "runs.jsonl").stat().st_mode & 0o777 == 0o644 & ~umask


@pytest.mark.parametrize("name", ["expert_calls", "seconds", "latency"])
def test_no_cost_is_negative(name: str) -> None:
    free = {"total": Usage(), "expert_calls": 0, "seconds": 0.0, "nodes": ()}
    assert Cost.model_validate(free).latency == 0
    assert getattr(Cost.model_validate(free | {name: 0}), name) == 0
    with pytest.raises(ValueError, match=name):
        Cost.model_validate(free | {name: -0.5 if name != "expert_calls" else -1})
