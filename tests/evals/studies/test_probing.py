"""Probing: fresh and clean answers at each step, and confidences that are not there."""

from pathlib import Path

import numpy as np
import pytest
from asked import Told, item, laboratory, said
from scripted_models import ScriptedExpert
from trained_bases import BEFORE

from catts.agents.protocol import SamplingParams
from catts.evals.studies import probing
from catts.evals.studies.make import make_probing
from catts.evals.studies.probing import Level
from catts.evals.studies.result import Estimate

NAN = float("nan")


def level(region: str, t: int, hits: list[float], fresh: list[float], clean: list[float]) -> Level:
    return Level(region, t, *(np.array(values) for values in (hits, fresh, clean)))


CLEAN = level("", 0, [1, 1, 0, 1], [1, 3, 1, 3], [1, 3, 1, 3])


def estimate(cell: object) -> Estimate:
    assert isinstance(cell, Estimate)
    return cell


def test_confidence_is_told_as_its_change_in_clean_standard_deviations() -> None:
    noised = level("key region", 500, [1, 0, 0, 0], [0, 2, 0, 1], [0, 2, 1, 3])
    first, second = probing.probing([CLEAN, noised], probing.deviation(CLEAN))
    assert (first.label, first.group, second.label, second.group) == (
        "clean", "", "t = 500", "key region",
    )  # fmt: skip
    assert estimate(first.cells["accuracy"]).value == 0.75
    assert estimate(second.cells["accuracy"]).value == 0.25
    # the deviation of 1, 3, 1, 3 is 1
    assert estimate(second.cells["confidence, fresh answers"]).value == -(1 + 1 + 1 + 2) / 4
    assert estimate(second.cells["confidence, clean answers"]).value == -(1 + 1) / 4
    assert estimate(first.cells["confidence, fresh answers"]).value == 0


@pytest.mark.filterwarnings("error")
def test_an_answer_without_a_confidence_is_left_out_of_the_means() -> None:
    clean = level("", 0, [0, 1, 0], [NAN, 1, 3], [NAN, 1, 3])
    noised = level("whole picture", 100, [0, 0, 0], [5, NAN, 1], [NAN, 0, 2])
    _, line = probing.probing([clean, noised], probing.deviation(clean))
    assert estimate(line.cells["confidence, fresh answers"]).value == -2
    assert estimate(line.cells["confidence, clean answers"]).value == -1
    assert estimate(line.cells["accuracy"]).value == 0


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("clean", [[NAN, NAN], [2.0, 2.0]], ids=["none told", "no deviation"])
def test_without_a_scale_there_is_no_number(clean: list[float]) -> None:
    found = [level("", 0, [1, 0], clean, clean), level("whole picture", 9, [1, 0], [1, 1], [1, 1])]
    lines = probing.probing(found, probing.deviation(found[0]))
    assert [line.cells["confidence, fresh answers"] for line in lines] == [None, None]
    curves = probing.curves(found, lines)
    assert [len(points) for points in curves.values()] == [2, 0, 0]


def test_curves_begin_with_the_clean_pictures_in_every_region() -> None:
    found = [CLEAN, *(level(r, t, [1] * 4, [1] * 4, [1] * 4) for r in ("a", "b") for t in (1, 2))]
    lines = probing.probing(found, probing.deviation(found[0]))
    curves = probing.curves(found, lines)
    assert list(curves) == [f"{r}: {column}" for r in ("a", "b") for column in probing.COLUMNS]
    for points in curves.values():
        assert [t for t, _ in points] == [0.0, 1.0, 2.0]
        assert points[0][1].value in (0.75, 0.0)


async def test_every_picture_is_asked_afresh_and_the_clean_answer_scored(tmp_path: Path) -> None:
    items = [item(n, "3", evidence=((2, 2, 9, 9),)) for n in "ab"]
    told = Told({"a": [said("3", 1.0)], "b": [said("4", 3.0)]})
    lab = laboratory(items, told, ScriptedExpert(), tmp_path)
    greedy = SamplingParams(n=1, temperature=0)
    found = await probing.levels(lab.asking, greedy, steps=(300, 900))
    assert [(f.region, f.t) for f in found] == [
        ("", 0), ("key region", 300), ("key region", 900), ("whole picture", 300),
        ("whole picture", 900),
    ]  # fmt: skip
    assert told.asked == {
        ("a", "sample"): 5,
        ("b", "sample"): 5,
        ("a", "score"): 4,
        ("b", "score"): 4,
    }
    assert {p.temperature for p in told.params} == {0}
    assert len({p.tobytes() for p in told.pictures}) == 2 * 5, "each is shown twice but the clean"
    assert [list(f.hits) for f in found] == [[1.0, 0.0]] * 5
    assert list(found[0].fresh) == list(found[0].clean) == list(found[1].fresh) == [1.0, 3.0]
    assert list(found[1].clean) != [1.0, 3.0], "the score's"
    again = await probing.levels(lab.asking, greedy, steps=(300, 900))
    assert sum(told.asked.values()) == 18, "kept in the store"
    assert [list(f.clean) for f in again] == [list(f.clean) for f in found]


async def test_without_evidence_only_the_whole_picture_is_noised(tmp_path: Path) -> None:
    items = [item("a", evidence=((2, 2, 9, 9),)), item("b")]
    told = Told({"a": [said("3")], "b": [said("3")]})
    lab = laboratory(items, told, ScriptedExpert(), tmp_path)
    found = await probing.levels(lab.asking, SamplingParams(n=1, temperature=0), steps=(300,))
    assert [f.region for f in found] == ["", "whole picture"]


async def test_an_empty_answer_is_wrong_and_has_no_confidence(tmp_path: Path) -> None:
    silent = said("", tokens=()).model_copy(update={"text": "", "confidence": {}})
    told = Told({"a": [silent], "b": [said("3")], "c": [said("3", 2.0)]})
    lab = laboratory([item(n) for n in "abc"], told, ScriptedExpert(), tmp_path)
    made = await make_probing(lab)
    assert len(made.lines) == 1 + len(probing.STEPS)
    assert estimate(made.lines[0].cells["accuracy"]).value == pytest.approx(2 / 3)
    assert estimate(made.lines[0].cells["confidence, fresh answers"]).value == 0


async def test_a_question_that_cannot_be_answered_is_left_out_and_told(tmp_path: Path) -> None:
    told = Told({"a": [said("3")], "b": [said("3")]}, cannot="b")
    lab = laboratory([item("a"), item("b")], told, ScriptedExpert(), tmp_path)
    made = await make_probing(lab)
    assert (made.made.questions, made.complete) == (1, False)
    assert estimate(made.lines[0].cells["accuracy"]).value == 1.0
    assert "left out of every line" in made.notes[-1]
    assert made.notes[-1].endswith("b: too long")


async def test_a_trained_base_has_lines_and_curves_of_its_own(
    tmp_path: Path, trained: list[object]
) -> None:
    items = [item(n) for n in "abcd"]
    lab = laboratory(
        items, Told(BEFORE), ScriptedExpert(), tmp_path, calibrated_bases=("cdrl=one",)
    )
    made = await make_probing(lab)
    assert [line.group for line in made.lines if line.label == "clean"] == ["", "cdrl"]
    assert {line.group for line in made.lines if line.label == "t = 500"} == {
        "whole picture", "cdrl, whole picture",
    }  # fmt: skip
    assert "whole picture: cdrl, accuracy" in made.curves
    assert trained == ["one", "one"]
