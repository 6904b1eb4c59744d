"""The cost of each routing, by hand and over the store."""

from dataclasses import replace
from pathlib import Path

import pytest
from asked import Told, item, laboratory, run, said
from scripted_models import ScriptedExpert

from catts.errors import RoleError
from catts.evals.studies import make
from catts.evals.studies.cost import COLUMNS, cost
from catts.evals.studies.make import make_cost
from catts.evals.studies.result import Estimate


def engine() -> Told:
    """To `sure` all samples agree, to `unsure` they do not."""
    sure, unsure = [said("3", 2.0)] * 2, [said("3", 2.0), said("4", 2.0)]
    return Told({"sure": sure, "unsure": unsure}, reanswer="4", contrast="4")


async def test_means_medians_and_what_was_skipped() -> None:
    paper = [await run(item(name), engine(), samples=2) for name in ("sure", "unsure")]
    planned = [
        await run(item(name), engine(), samples=2, routing="planned") for name in ("sure", "unsure")
    ]
    slow = [
        replace(vote, trace=vote.trace.model_copy(
            update={"usage": vote.trace.usage.model_copy(update={"latency": seconds})}
        ))
        for vote, seconds in zip([*paper, paper[0]], (3.0, 1.0, 50.0), strict=True)
    ]  # fmt: skip
    lines = cost({"paper": paper, "planned": planned}, {"paper": slow, "planned": slow[:1]})
    first, second = (line.cells for line in lines)
    assert [line.label for line in lines] == ["paper", "planned"]
    assert set(first) == set(COLUMNS)
    assert isinstance(first["accuracy"], Estimate)
    assert first["accuracy"].value == 0.5
    written, looked, calls = (
        first[column] for column in ("tokens written", "tokens read", "expert calls")
    )
    assert isinstance(written, Estimate)
    assert isinstance(looked, Estimate)
    assert isinstance(calls, Estimate)
    assert written.low < written.value < written.high
    # samples 2 x 2, then planner, critic, reanswer, self-check, and the voter where two candidates
    assert written.value == pytest.approx(4 + 5 * (4 + 5) / 2)
    assert looked.value == pytest.approx(10 + 10 * (4 + 5) / 2)
    assert calls.value == (2 + 3) / 2
    assert (first["seconds"], second["seconds"]) == (3.0, 3.0), "the median"
    assert first["modules skipped"] == 0
    assert second["modules skipped"] == pytest.approx((1 + 0) / 2), "all of the sure one's"


async def test_some_questions_are_asked_live_and_one_at_a_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(make, "ALONE", 1)
    told = engine()
    lab = laboratory([item("sure"), item("unsure")], told, ScriptedExpert(), tmp_path, samples=2)
    made = await make_cost(lab)
    assert [line.label for line in made.lines] == ["paper", "planned", "parallel"]
    assert told.asked["unsure", "sample"] == 1
    assert told.asked["sure", "sample"] == 1 + 3, "live once for each routing"
    assert list(made.curves) == [
        f"{column}: {routing}"
        for column in ("tokens written", "seconds", "expert calls")
        for routing in ("paper", "planned", "parallel")
    ]


async def test_live_runs_that_failed_are_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(make, "ALONE", 1)
    items, expert = [item("sure"), item("unsure")], ScriptedExpert()
    lab = laboratory(items, engine(), expert, tmp_path, samples=2)
    assert (await make_cost(lab)).complete
    expert._fail["critic"] = RoleError("critic", "no reply")
    again = laboratory(items, engine(), expert, tmp_path, samples=2)
    made = await make_cost(again)
    assert again.failed == {"critic": 2}, "of paper and parallel; the stored runs are whole"
    assert not made.complete
    assert "NOT COMPLETE: nodes failed (critic 2)" in made.notes[-1]
