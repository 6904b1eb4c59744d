"""The calibration study on answers by hand."""

from pathlib import Path

import pytest
from asked import MAP, Told, item, laboratory, run, said
from scripted_models import ScriptedEngine, ScriptedExpert

from catts.agents.protocol import Generation, Usage
from catts.confidence import ConfidenceKind
from catts.evals.benchmarks.item import Item
from catts.evals.measured import Beliefs
from catts.evals.studies import lab as lab_module
from catts.evals.studies import make
from catts.evals.studies.calibration import (
    Asked,
    curves,
    mapping_of,
    notes,
    shares,
    table,
)
from catts.evals.studies.noised import Noised, regions
from catts.evals.studies.result import Estimate
from catts.graph.context import Context

USAGE = Usage()
KIND: ConfidenceKind = "top_k_mean"


ANSWERS = {name: [said("3", 2.0), said("4", 1.0)] for name in "abc"}


def asked(*rows: list[tuple[str, float]], condition: str = "clean") -> Asked:
    """Questions whose right answer is 3, with their samples' answers and confidences."""
    items = [item(f"q{i}") for i in range(len(rows))]
    drawn = [Generation(samples=tuple(said(*one) for one in row), usage=USAGE) for row in rows]
    return Asked.graded(condition, items, drawn)


def test_completions_are_graded_and_kept_with_their_confidence() -> None:
    found = asked([("3", 2.0), ("4", 1.0)], [("3", 5.0)])
    assert found.hits == [[1.0, 0.0], [1.0]]
    assert [part.tolist() for part in found.scored("top_k_mean")] == [
        [[2.0, 1.0], [1.0, 0.0]], [[5.0, 1.0]],
    ]  # fmt: skip
    assert [part.shape for part in found.scored("min_logprob")] == [(0, 2), (0, 2)]


def test_a_mapping_is_the_cards_or_fitted_on_validation_or_none() -> None:
    validation = asked([("3", 2.0), ("4", 1.0)], [("3", 3.0), ("3", 4.0)])
    assert mapping_of("top_k_mean", MAP, validation, "v") is MAP
    fitted = mapping_of("self_certainty", MAP, validation, "mine/val")
    assert fitted is not None
    assert fitted.fitted_on.startswith("mine/val, 2 questions x 2 samples")
    assert fitted(1.0) < 0.1 < 0.9 < fitted(3.0)
    assert mapping_of("self_certainty", MAP, None, "v") is None
    assert mapping_of("min_logprob", MAP, validation, "v") is None, "no completion has it"


def test_the_gap_is_what_is_promised_beyond_the_accuracy() -> None:
    rows = [[("3", 9.0), ("4", 9.0)], [("4", 5.0), ("3", 7.0)]]  # MAP promises a tenth of C
    (clean,) = [asked(*rows).beliefs("top_k_mean", MAP)]
    lines = table({"C": [clean]})
    cells = {line.label: line.cells["clean"] for line in lines}
    accuracy, gap = cells["accuracy"], cells["over-confidence gap"]
    assert isinstance(accuracy, Estimate)
    assert isinstance(gap, Estimate)
    assert accuracy.value == 0.5
    assert gap.value == pytest.approx(0.75 - 0.5)
    brier = cells["Brier score"]
    assert isinstance(brier, Estimate)
    assert brier.value == pytest.approx((0.1**2 + 0.9**2 + 0.5**2 + 0.3**2) / 4)


def test_without_a_mapping_only_the_order_is_measured() -> None:
    told = asked([("3", 9.0), ("4", 1.0)], [("4", 5.0), ("3", 7.0)])
    lines = table({"C": [told.beliefs("top_k_mean", None)]})
    cells = {line.label: line.cells["clean"] for line in lines}
    assert [n for n, cell in cells.items() if cell is None] == [
        "over-confidence gap", "ECE, 15 bins of equal width", "ECE, 15 bins of equal mass",
        "Brier score", "log loss",
    ]  # fmt: skip
    within = cells["AUROC within a question"]
    assert isinstance(within, Estimate)
    assert within.value == 1.0
    assert curves({"C": [told.beliefs("top_k_mean", None)]}) == {}


def test_what_the_numbers_rest_on_is_told() -> None:
    none = said("3").model_copy(update={"confidence": {}})
    told = asked([("3", 9.0), ("4", 1.0)], [("4", 5.0)])
    silent = Generation(samples=(none,), usage=USAGE)
    more = Asked("clean", (*told.said, silent), (*told.hits, [1.0]))
    cells = {line.label: line.cells["clean"] for line in table({"C": [more.beliefs(KIND, MAP)]})}
    assert list(cells)[:3] == ["questions", "answers", "accuracy"]
    assert (cells["questions"], cells["answers"]) == (2, 3), "with a confidence of the kind"


def test_notes_tell_of_temperature_and_of_what_the_card_has_seen() -> None:
    clean, temperature, _ = notes(0.7, 0)
    assert "fitted on clean validation pictures" in clean
    assert "temperature 0.7. Greedy answers go through the same" in temperature
    assert "validation" not in notes(1.0, 3)[0]
    assert "some of this very study" in notes(1.0, 3)[0]


def test_a_condition_is_a_column_and_a_curve() -> None:
    two = [
        asked([("3", 9.0), ("4", 1.0)], [("3", 8.0)], condition=name).beliefs("top_k_mean", MAP)
        for name in ("clean", "noised")
    ]
    (first, *_) = table({"C": two})
    assert list(first.cells) == ["clean", "noised"]
    drawn = curves({"C": two})
    assert list(drawn) == ["C: clean", "C: noised"]
    points = drawn["C: clean"]
    assert [x for x, _ in points] == sorted(x for x, _ in points)
    assert points[0][1].value == 0.0
    assert points[-1][1].value == 1.0


def test_the_curve_holds_every_answer_in_one_bin() -> None:
    rows = [[("3" if i % 3 else "4", 0.5 + i % 9)] for i in range(45)]
    told = asked(*rows).beliefs("top_k_mean", MAP)
    points = curves({"C": [told]})["C: clean"]
    assert len(points) > 3
    assert [x for x, _ in points] == sorted({x for x, _ in points})
    # nine confidences, five questions each, so that no bin can part equal ones
    assert {round(x * 10 % 1, 6) for x, _ in points} <= {0.5, 0.0}


async def test_the_winners_share_is_a_probability() -> None:
    vote = await run(item("a"), ScriptedEngine(), ScriptedExpert(votes={"3": 0.9, "4": 0.1}))
    found = shares([vote], "clean")
    samples, all_modules = (found[f"share of the votes, {name}"] for name in ("samples", "CA-TTS"))
    assert isinstance(samples, Beliefs)
    assert samples.probabilities is not None
    assert all_modules.probabilities is not None
    assert samples.probabilities[0] == [vote.leading]
    votes = vote.trace.votes
    assert vote.trace.answer is not None
    assert all_modules.probabilities[0] == [votes[vote.trace.answer] / sum(votes.values())]
    assert all_modules.right[0] == [vote.answered]


async def test_the_study_asks_under_each_condition_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(make, "tuning_items", lambda lab: "there is none")
    answers = {"a": [said("3", 2.0), said("4", 1.0)], "b": [said("3", 1.5), said("3", 3.0)]}
    items = [item(name, evidence=((0, 0, 9, 9),)) for name in answers]
    engine = Told(answers)
    lab = laboratory(items, engine, ScriptedExpert(), tmp_path, samples=2)
    made = await make.make_calibration(lab)
    # eight samples, greedy, and greedy under three noise steps; the run's are the eight
    assert {engine.asked[name, "sample"] for name in answers} == {5}
    assert made.columns == (
        "clean, 2 samples", "clean, greedy", "key region, t = 200, greedy",
        "key region, t = 500, greedy", "key region, t = 800, greedy",
    )  # fmt: skip
    groups = list(dict.fromkeys(line.group for line in made.lines))
    assert [name.partition(", ")[2] for name in groups] == [
        "top_k_mean", "self_certainty", "share of the votes, samples",
        "share of the votes, CA-TTS",
    ]  # fmt: skip
    assert sum(note.endswith(": no mapping.") for note in made.notes) == 2


async def test_a_question_that_one_base_cannot_answer_is_in_no_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Opened:
        def __init__(self, *_: object, **__: object) -> None:
            pass

        async def __aenter__(self) -> Context:
            other = Told(ANSWERS, cannot="b", fingerprint="other")
            return Context.of(other, ScriptedExpert(), routing="paper", samples=2)

        async def __aexit__(self, *_: object) -> None:
            pass

    validation: list[Item] = [item("a"), item("c")]
    monkeypatch.setattr(make, "tuning_items", lambda lab: validation)
    monkeypatch.setattr(lab_module, "open_context", Opened)
    items = [item(name, origin=f"f.json, row {name}") for name in "abc"]
    lab = laboratory(
        items,
        Told(ANSWERS, cannot="c"),
        ScriptedExpert(),
        tmp_path,
        samples=2,
        calibrated_bases=("x",),
    )
    made = await make.make_calibration(lab)
    assert made.made.questions == 1, "a alone is answered by both"
    counted = {
        cell for line in made.lines if line.label == "questions" for cell in line.cells.values()
    }
    assert counted - {None} == {1}
    assert not made.complete
    told = "".join(made.notes)
    assert "NOT COMPLETE: the base model could not answer 2 questions" in told
    assert "c (f.json, row c): too long; b (f.json, row b): too long" in told
    assert "validation: the base model could not answer c: too long" in told


def test_noise_stays_inside_the_evidence() -> None:
    box = ((0, 0, 9, 9),)
    seen, other = item("a", evidence=box), item("a")
    (picture,) = seen.load_images()
    key = Noised(500, "key region")(seen, picture, picture.size)
    whole = Noised(500, "whole picture")(seen, picture, picture.size)
    assert key.getpixel((20, 14)) == picture.getpixel((20, 14))
    assert key.getpixel((4, 4)) != picture.getpixel((4, 4))
    assert whole.getpixel((20, 14)) != picture.getpixel((20, 14))
    assert regions([seen]) == ("key region", "whole picture")
    assert regions([seen, other]) == ("whole picture",)
