import json
import math
import multiprocessing
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image
from rich.console import Console
from scripted_models import ScriptedEngine, ScriptedExpert

from catts.errors import RoleError, TraceError
from catts.graph.account import account
from catts.graph.context import Context
from catts.graph.embed import answer_sync
from catts.graph.trace import Trace, append_trace, read_traces, write_traces


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
