import json
import multiprocessing
from pathlib import Path

import pytest
from PIL import Image
from scripted_models import ScriptedEngine, ScriptedExpert

from catts.errors import RoleError, TraceError
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
        "failed_roles", "version",
    } <= data.keys()  # fmt: skip
    assert {"source", "answer", "weight", "reason"} == data["ballots"][0].keys()
    assert {"text", "answer", "confidence", "confidence_kind"} <= data["samples"][0].keys()
    assert data["failed_roles"] == ["voter"]
    assert data["question"]["choices"] == ["3", "4"]


def test_a_trace_whose_votes_were_changed_is_refused(trace: Trace) -> None:
    data = json.loads(trace.model_dump_json())
    data["votes"][trace.answer] += 0.1
    with pytest.raises(ValueError, match="not the sum"):
        Trace.model_validate(data)


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
