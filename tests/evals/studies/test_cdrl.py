"""The studies of trained bases on answers by hand."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from asked import Told, item, laboratory, said
from scripted_models import ScriptedExpert
from trained_bases import BEFORE

from catts.agents.protocol import Generation, Usage
from catts.errors import InputError
from catts.evals.studies import make_trained
from catts.evals.studies.calibration import Asked
from catts.evals.studies.cdrl import Said, Way, against, curves, table
from catts.evals.studies.ladder import columns
from catts.evals.studies.result import Estimate, Line
from catts.evals.studies.setting import by_label

Rows = Sequence[Sequence[tuple[str, float]]]


def asked(rows: Rows) -> Asked:
    """Answers with their confidence, from 1 upwards."""
    items = [item(f"q{i}") for i in range(len(rows))]
    said_of = [[said(text, 1 + confidence) for text, confidence in row] for row in rows]
    drawn = [Generation(samples=tuple(row), usage=Usage()) for row in said_of]
    return Asked.graded("by hand", items, drawn)


def model(clean: Rows, noised: Rows, known: Rows | None = None) -> Mapping[Way, Said]:
    """The same answers in both ways."""
    one = Said(asked(clean), asked(noised), None if known is None else asked(known))
    return {"greedy": one, "samples": one}


CLEAN = [[("3", 4.0)], [("4", 2.0)], [("3", 6.0)], [("4", 0.0)]]
KNOWN = [[("4", 0.0), ("4", 2.0)], [("3", 4.0), ("3", 6.0)]] * 25
"""3 is right: by these, C of 2 and less is wrong and of 4 and more is right."""


def cells(lines: Sequence[Line], group: str, label: str) -> dict[str, Any]:
    (found,) = [
        line.cells for line in lines if line.group.startswith(group) and line.label == label
    ]
    return found


def test_each_number_is_the_one_by_hand() -> None:
    noised = [[("4", 4.0)], [("4", 2.0)], [("4", 4.0)], [("4", 0.0)]]
    trained = [[("4", 2.0)], [("4", 0.0)], [("4", 2.0)], [("4", 0.0)]]
    lines = table(
        {"base": [model(CLEAN, noised, KNOWN)], "cdrl": [model(CLEAN, trained, KNOWN)] * 2}, 700
    )
    base, cdrl = (
        {group: cells(lines, group, label) for group in dict.fromkeys(x.group for x in lines)}
        for label in ("base", "cdrl")
    )
    deviation = 5**0.5  # of 4, 2, 6, 0
    (fall,) = [name for name in base if name.startswith("fall of C at t = 700")]
    assert base[fall]["value"].value == pytest.approx(0.5 / deviation)
    assert cdrl[fall]["value"].value == pytest.approx(2.0 / deviation)
    assert cdrl[fall]["of base"].value == pytest.approx(4.0)
    assert cdrl[fall]["vs base"].value == pytest.approx(1.5 / deviation)
    assert cdrl[fall]["seeds"] == f"{2 / deviation:.3f}, {2 / deviation:.3f}"
    assert base["accuracy, clean, greedy"]["value"].value == 0.5
    assert base["accuracy, t = 700, greedy"]["value"].value == 0.0
    gap = "over-confidence gap at t = 700, samples"
    assert base[gap]["value"].value == pytest.approx(0.5)
    assert cdrl[gap]["value"].value == pytest.approx(0.01), "no mapping promises less"
    assert base["ECE on the mix, samples"]["value"].value == pytest.approx(0.25)
    assert cdrl["ECE on the mix, samples"]["value"].value == pytest.approx(0.01)
    brier = (2 * 0.99**2 + 6 * 0.01**2) / 8
    assert base["Brier score on the mix, samples"]["value"].value == pytest.approx(brier)
    # right: 4 and 6; wrong and as sure or surer: one 4 beside them, twice
    assert base["AUROC on the mix, greedy"]["value"].value == pytest.approx(11 / 12)
    assert cdrl["AUROC on the mix, greedy"]["value"].value == 1.0
    assert base["AUROC, clean, greedy"]["value"].value == 1.0


def test_seeds_are_one_curve_of_a_label() -> None:
    one = model(CLEAN, CLEAN, KNOWN)
    drawn = curves({"base": [one], "cdrl": [one, one]})
    points = drawn["clean and noised, greedy: base"]
    assert [round(accuracy.value, 2) for _, accuracy in points] == [0.0, 1.0]
    assert [x for x, _ in points] == pytest.approx([0.01, 0.99])
    assert drawn["clean and noised, greedy: cdrl"] == points


def test_the_first_label_is_compared_with_every_other() -> None:
    worse = model([[("4", 2.0)]] * 4, CLEAN, KNOWN)
    lines = table({"base": [worse], "cdrl": [model(CLEAN, CLEAN, KNOWN)], "control": [worse]}, 700)
    found = cells(lines, "accuracy, clean", "control")
    assert found[against("cdrl")].value == 0.5
    assert found["vs base"] == Estimate(value=0.0, low=0.0, high=0.0)
    assert against("cdrl") not in cells(lines, "accuracy, clean", "cdrl")
    assert "vs base" not in cells(lines, "accuracy, clean", "base")


def test_without_other_questions_each_half_is_mapped_by_the_other() -> None:
    # the halves disagree: what is right in one is as sure as what is wrong in the other
    clean = [[("3", 4.0)], [("4", 4.0)], [("3", 4.0)], [("4", 4.0)]]
    rows, _ = model(clean, clean)["greedy"].mapped
    assert [part[0].round(1).tolist() for part in rows] == [[0.0, 1.0], [1.0, 0.0]] * 2


def test_the_difference_within_a_question_is_over_questions_mixed_under_both() -> None:
    """By their own questions both would have 0.5; on the one that they share, 1 against 0."""
    good, bad, even = [("3", 2.0), ("4", 1.0)], [("3", 1.0), ("4", 2.0)], [("3", 1.0)]
    base = model([bad, good, even, even], CLEAN, KNOWN)
    trained = model([good, even, bad, even], CLEAN, KNOWN)
    found = cells(table({"base": [base], "cdrl": [trained]}, 700), "AUROC within", "cdrl")
    assert found["value"].value == 0.5
    assert found["vs base"].value == 1.0
    alone = model([even, even, even, bad], CLEAN, KNOWN)
    found = cells(table({"base": [base], "cdrl": [alone]}, 700), "AUROC within", "cdrl")
    assert found["vs base"] is None, "no question is mixed under both"


def test_within_a_question_only_its_own_answers_are_compared() -> None:
    clean = [[("3", 2.0), ("4", 1.0)], [("4", 9.0), ("3", 8.0)], [("3", 1.0), ("3", 2.0)]]
    lines = table({"base": [model(clean, clean, KNOWN)]}, 700)
    assert cells(lines, "AUROC within one question", "base")["value"].value == 0.5


def test_what_is_undefined_is_empty() -> None:
    sure = [[("3", 4.0)], [("3", 4.0)]]
    lines = table({"base": [model(sure, sure, KNOWN)], "cdrl": [model(sure, sure, KNOWN)]}, 700)
    for name in ("fall of C", "AUROC on the mix", "AUROC within one question"):
        assert all(line.cells["value"] is None for line in lines if line.group.startswith(name))
    assert cells(lines, "over-confidence gap at t = 700, samples", "cdrl")["of base"] is not None
    silent = Asked("by hand", [Generation(samples=(), usage=Usage())], [[]])
    none: Mapping[Way, Said] = {"greedy": Said(silent, silent, silent)}
    assert list(curves({"base": [model(sure, sure, KNOWN)], "cdrl": [none]})) == [
        "clean and noised, greedy: base", "clean and noised, samples: base",
    ]  # fmt: skip


def test_labels() -> None:
    assert by_label(("a=x", "runs/m", "b c=y", "a=z=1", "vllm:http://h/v1?k=3")) == {
        "a": ["x", "z=1"],
        "calibrated": ["runs/m", "vllm:http://h/v1?k=3"],
        "b c": ["y"],
    }
    assert columns(("base", "cdrl"))[-1] == "vs base"
    assert columns(("base", "cdrl", "control"))[-1] == "cdrl vs it"


async def test_a_study_of_training_asks_every_model_the_same(
    tmp_path: Path, trained: list[object], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(make_trained, "tuning_items", lambda lab: "there are none")
    items = [item(name) for name in "abcd"]
    bases = ("cdrl=one", "cdrl=two", "control=three")
    lab = laboratory(
        items, Told(BEFORE), ScriptedExpert(), tmp_path, samples=3, calibrated_bases=bases, t=600
    )
    made = await make_trained.make_cdrl(lab)
    assert trained == ["one", "two", "three"] * 2, "one at a time, and all before the first line"
    assert {line.label for line in made.lines} == {"base", "cdrl", "control"}
    found = cells(made.lines, "pass@1, clean", "cdrl")
    assert found["value"].value == pytest.approx(2 / 3)
    assert found["vs base"].value == pytest.approx(1 / 3)
    assert found["seeds"] == "0.667, 0.667"
    assert "whole picture at t = 600" in made.notes[0]
    assert "the other half of these questions" in made.notes[2]
    assert list(made.curves) == [
        f"clean and noised, {way}: {label}"
        for way in ("greedy", "samples")
        for label in ("base", "cdrl", "control")
    ]
    assert made.columns == ("value", "seeds", "vs base", "of base", "cdrl vs it")


async def test_the_ladder_has_a_rung_for_each_way(tmp_path: Path, trained: list[object]) -> None:
    items = [item(name) for name in "abcd"]
    lab = laboratory(
        items, Told(BEFORE), ScriptedExpert(), tmp_path, samples=3, calibrated_bases=("one",)
    )
    made = await make_trained.make_ladder(lab)
    groups = list(dict.fromkeys(line.group for line in made.lines))
    assert groups == ["expert scripted-expert", "the base as its own expert"]
    first = {line.label: line.cells for line in made.lines if line.group == groups[0]}
    assert list(first) == [
        f"{label}: {way}"
        for label in ("base", "calibrated")
        for way in ("pass@1", "majority", "CA-TTS")
    ]
    majority = first["calibrated: majority"]
    assert isinstance(majority["accuracy"], Estimate)
    assert majority["accuracy"].value == 1.0
    gain = majority["vs pass@1"]
    assert isinstance(gain, Estimate)
    assert (gain.value, gain.low) == pytest.approx((1 / 3, 1 / 3))
    assert majority["vs base"] == Estimate(value=1.0, low=1.0, high=1.0)


@pytest.mark.parametrize(
    ("bases", "words"), [((), "give --calibrated-base"), (("base=x",), "give another")]
)
async def test_what_cannot_be_compared(tmp_path: Path, bases: tuple[str, ...], words: str) -> None:
    lab = laboratory([item("a")], Told(BEFORE), ScriptedExpert(), tmp_path, calibrated_bases=bases)
    for make in (make_trained.make_cdrl, make_trained.make_ladder):
        with pytest.raises(InputError, match=words):
            await make(lab)
