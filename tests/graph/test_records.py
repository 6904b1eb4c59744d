"""What a run writes down: defaults, ranges, and keys that sort by the whole content."""

import math
from typing import Any

import pytest
from pydantic import ValidationError

from catts.agents.protocol import Usage
from catts.graph.records import (
    Decision,
    Failure,
    NodeRun,
    NoisedImage,
    SampleRecord,
)

RUN: dict[str, Any] = {"node": "voter", "status": "ok", "usage": Usage(), "seconds": 0.5}
SAMPLE: dict[str, Any] = {
    "text": "",
    "answer": "3",
    "confidence": -1.0,
    "confidence_kind": "mean_logprob",
    "weight": 0.4,
}
NOISED: dict[str, Any] = {"digest": "a" * 64, "t": 1, "region": None, "seed": 0, "size": (24, 16)}
DECISION: dict[str, Any] = {"step": 0, "after": (), "to": ("decide",), "rule": "accept"}


def test_a_run_that_was_not_timed_has_no_times() -> None:
    run = NodeRun(**RUN)
    assert (run.started, run.ended, run.attempts) == (0.0, 0.0, 1)


def test_a_run_of_an_older_trace_tells_no_replies() -> None:
    older = NodeRun(**RUN | {"replies": 2}).model_dump(mode="json")
    del older["replies"]
    assert NodeRun.model_validate(older).replies == 0


def test_what_a_sample_leaves_out() -> None:
    sample = SampleRecord(**SAMPLE)
    assert (sample.token_ids, sample.finish_reason, sample.said) == ((), "stop", None)
    assert sample.confidences == {}


@pytest.mark.parametrize(
    ("answer", "weight", "votes"),
    [("3", 0.4, True), ("3", 0.0, True), ("3", None, False), (None, 0.4, False)],
)
def test_a_sample_votes_with_an_answer_and_a_weight(
    answer: str | None, weight: float | None, votes: bool
) -> None:
    assert SampleRecord(**SAMPLE | {"answer": answer, "weight": weight}).votes is votes


@pytest.mark.parametrize(
    ("record", "fields", "name", "allowed", "refused"),
    [
        (SampleRecord, SAMPLE, "weight", (0, 7.5, None), (-0.001, math.inf, math.nan)),
        (SampleRecord, SAMPLE, "confidence", (-9.0, 9.0, None), (math.inf, math.nan)),
        (NoisedImage, NOISED, "t", (0, 1000), (-1,)),
        (NodeRun, RUN, "seconds", (0, 9.0), (-0.001,)),
        (NodeRun, RUN, "attempts", (1, 3), (0,)),
        (NodeRun, RUN, "replies", (0, 2), (-1,)),
        (Decision, DECISION | {"reason": ""}, "step", (0, 9), (-1,)),
    ],
)
def test_ranges(
    record: Any, fields: dict[str, Any], name: str, allowed: tuple[Any, ...], refused: tuple[Any]
) -> None:
    for value in allowed:
        assert getattr(record(**fields | {name: value}), name) == value
    for value in refused:
        with pytest.raises(ValidationError, match=name):
            record(**fields | {name: value})


def test_records_sort_by_place_and_then_by_content() -> None:
    runs = [NodeRun(**RUN | {"node": n}) for n in ("self_check", "sampler", "voter", "planner")]
    assert [r.node for r in sorted(runs, key=lambda r: r.order)] == [
        "sampler", "planner", "voter", "self_check",
    ]  # fmt: skip
    failures = [Failure(node="critic", error=e, message="") for e in ("B", "A")]
    assert [f.error for f in sorted(failures, key=lambda f: f.order)] == ["A", "B"]
    steps = [Decision(**DECISION | {"step": s, "reason": r}) for s, r in ((1, "a"), (0, "b"))]
    assert [d.step for d in sorted(steps, key=lambda d: d.order)] == [0, 1]
