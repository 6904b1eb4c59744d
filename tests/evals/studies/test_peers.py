"""The peers' study: from stored samples to the table, and where its two parameters are from."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from asked import Told, drawn, item, laboratory, said
from scripted_models import ScriptedExpert

from catts.agents.card import ChosenOn, ModelCard
from catts.agents.protocol import Generation, Sample, Usage
from catts.errors import BenchmarkError
from catts.evals.benchmarks.digest import question_digest
from catts.evals.benchmarks.loading import Loaded
from catts.evals.peers import Elected
from catts.evals.studies import make, peers
from catts.evals.studies.lab import Lab
from catts.evals.studies.make import make_peers
from catts.evals.studies.peers import Question, Tuned
from catts.evals.studies.result import Estimate, Line
from catts.graph.context import Policy

TUNED = Tuned(0.2, 0.5, "by hand")
ANSWERS = {
    "a": [said(x, 2.0, [c] * 3) for x, c in (("3", 5.0), ("4", 1.0), ("4", 1.0), ("", 9.0))],
    "b": [said(x, 2.0, [1.0] * 2) for x in ("3", "3", "3", "3")],
}


def estimate(cell: object) -> Estimate:
    assert isinstance(cell, Estimate)
    return cell


def generation(*samples: Sample) -> Generation:
    return Generation(samples=samples, usage=Usage())


def test_a_question_s_samples_are_read_and_graded_as_the_graph_does() -> None:
    made = peers.question_of(
        item(gold="0.5"), generation(said("1/2"), said("0.50"), said("2"), said(""))
    )
    first, second, third, fourth = (s.key for s in made.samples)
    assert first == second
    assert len({first, third, fourth}) == 3
    assert fourth is None
    assert {made.right[k] for k in (first,) if k} == {True}
    assert [s.tokens for s in made.samples] == [2] * 4
    assert [s.self_certainty for s in made.samples] == [1.0] * 4


def test_what_the_engine_does_not_tell_stays_unknown() -> None:
    bare = said("3").model_copy(update={"confidence": {}, "token_confidence": ()})
    (sample,) = peers.question_of(item(), generation(bare)).samples
    assert (sample.mean_logprob, sample.self_certainty, sample.token_confidence) == (None, None, ())
    assert sample.tokens == 2, "they were written all the same"


def test_a_tie_is_the_share_of_its_winners_that_are_right() -> None:
    question = Question((), {"3": True, "4": False, "5": False})
    scores = [
        question.score(Elected(w, 0)) for w in (("3",), ("4",), ("3", "4"), ("3", "4", "5"), ())
    ]
    assert scores == [1.0, 0.0, 0.5, pytest.approx(1 / 3), 0.0]


def test_tuning_takes_the_best_and_the_first_of_equals() -> None:
    sure = Question(
        (drawn("3", 1, logprob=-0.1, certainty=9.0), drawn("4", 1, logprob=-1.0, certainty=1.0),
         drawn("4", 1, logprob=-1.0, certainty=2.0)), {"3": True, "4": False},
    )  # fmt: skip
    tuned = peers.tune([sure] * 2)
    # exp(-0.1) - exp(-1) = 0.537 = T ln 2 at T = 0.77: every T below is right
    assert tuned.temperature == min(peers.TEMPERATURES)
    # 3^p against 2^p + 1 is right above p = 1
    assert tuned.power == 1.2
    assert "2 validation questions" in tuned.source


def test_the_ways_and_what_is_left_out() -> None:
    whole = Question((drawn("3", 1.0), drawn(None)._replace(mean_logprob=None)), {"3": True})
    names = list(peers.ways([whole], TUNED))
    assert names[:4] == ["majority", "Adaptive-Consistency", "CISC", "self-certainty, Borda"]
    assert len(names) == 4 + 2 * 2, "online needs more samples"
    many = Question(whole.samples * 16, {"3": True})
    assert len(peers.ways([many], TUNED)) == 4 + 2 * 2 * 2
    assert "DeepConf online, top 10%" in peers.ways([many], TUNED)
    untold = drawn("3", 1.0)._replace(self_certainty=None, token_confidence=())
    less = Question((untold,), {"3": True})
    assert list(peers.ways([whole, less], TUNED)) == ["majority", "Adaptive-Consistency", "CISC"]
    assert peers.notes([less], TUNED, Policy(), 0)[-1].endswith("self-certainty, DeepConf")


def test_notes_tell_the_numbers() -> None:
    sixteen = Question((drawn("3", 1.0),) * 16, {"3": True})
    told = " ".join(peers.notes([sixteen], TUNED, Policy(noise_t=600), 0))
    assert "temperature (0.2) and self-certainty's power (0.5) by hand" in told
    assert "by hand; nothing was chosen on these questions" in told
    assert "DeepConf online is left out: it needs 32 samples or more (--samples 32)" in told
    assert "alpha = 1, beta = 0.1, the whole picture noised to t = 600" in told
    many = Question((drawn("3", 1.0),) * 512, {"3": True})
    told = " ".join(peers.notes([many], TUNED, Policy(), 3))
    assert "warm-up is 16 of 512" in told
    assert "left out" not in told
    assert "nothing was chosen" not in told, "the card was, on three of them"


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    told = Told(ANSWERS | dict.fromkeys("vw", ANSWERS["a"]), reanswer="3", contrast="3")
    expert = ScriptedExpert(votes={"3": 1.0, "4": 0.0})
    return laboratory([item("a"), item("b")], told, expert, tmp_path, samples=4)


def asked(lab: Lab) -> Told:
    engine = lab.context.engine
    assert isinstance(engine, Told)
    return engine


def tuning(monkeypatch: pytest.MonkeyPatch, items: Callable[..., Loaded]) -> list[object]:
    given: list[object] = []

    def load(*arguments: object, **options: object) -> Loaded:
        given.extend((*arguments, options))
        return items()

    monkeypatch.setattr(make, "load_benchmark", load)
    return given


async def test_the_table(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(peers, "FEWEST", 1)
    tuning(monkeypatch, lambda: Loaded((item("v"),)))
    made = await make_peers(lab)
    lines: dict[str, Line] = {line.label: line for line in made.lines}
    assert [asked(lab).asked[n, "sample"] for n in "abv"] == [1, 1, 1], "all from the same samples"
    right = {
        "pass@1": (0.25 + 1) / 2, "majority": 0.5, "DeepConf, top 90%": 1.0,
        "DeepConf, top 10%": 1.0, "VCD alone": 1.0, "CA-TTS, paper": 1.0,
    }  # fmt: skip
    for label, accuracy in right.items():
        assert estimate(lines[label].cells["accuracy"]).value == accuracy, label
    assert lines["majority"].cells["vs majority"] is None
    for label, line in lines.items():
        if label != "majority":
            difference = estimate(line.cells["accuracy"]).value - 0.5
            assert estimate(line.cells["vs majority"]).value == pytest.approx(difference)
    assert {"CA-TTS, paper", "CA-TTS, planned", "CA-TTS, parallel"} <= lines.keys()
    written = {k: estimate(line.cells["tokens written"]).value for k, line in lines.items()}
    assert (written["pass@1"], written["majority"]) == ((3 + 2) / 2, (12 + 8) / 2)
    # with paper: planner, voter (of a alone: b has one candidate), critic, reanswer, self-check
    assert written["CA-TTS, paper"] == 10 + 5 * (5 + 4) / 2
    assert written["VCD alone"] == 5
    for label in ("majority", "VCD alone"):
        assert estimate(lines[label].cells["tokens read"]).value == 10
    spread = estimate(lines["majority"].cells["tokens written"])
    assert (spread.low, spread.high) == (8, 12), "of two questions"
    assert set(made.curves) == set(lines), "a point for each line"
    assert "were chosen on 1 validation questions" in " ".join(made.notes)


async def test_of_few_validation_questions_nothing_is_chosen(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    tuning(monkeypatch, lambda: Loaded((item("v"),)))
    notes = " ".join((await make_peers(lab)).notes)
    assert "since 1 validation questions are too few to choose on (it takes 100)" in notes
    assert asked(lab).asked["v", "sample"] == 0


async def test_questions_that_the_base_cannot_answer_are_left_out_of_every_line(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(peers, "FEWEST", 1)
    tuning(monkeypatch, lambda: Loaded((item("v"), item("w"))))
    asked(lab).cannot = "bw"
    made = await make_peers(lab)
    accuracies = {estimate(line.cells["accuracy"]).value for line in made.lines}
    assert accuracies == {0.0, 0.25, 1.0}, "those of a alone"
    assert (made.made.questions, made.complete) == (1, False)
    told = " ".join(made.notes)
    assert "NOT COMPLETE: the base model could not answer 1 questions" in told
    assert "validation samples: the base model could not answer w: too long" in told
    asked(lab).cannot = ""
    again = await make_peers(lab)
    assert (again.made.questions, again.complete) == (2, True)
    assert asked(lab).asked["a", "sample"] == 1, "what was answered is not asked again"


async def test_a_card_that_was_chosen_here_is_told(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    tuning(monkeypatch, _unreadable)
    on = ChosenOn(
        task="embedded", split="mine", expert="scripted-expert",
        questions=(question_digest(item("a")),),
    )  # fmt: skip
    monkeypatch.setattr(asked(lab), "card", ModelCard(chosen_on=on), raising=False)
    told = " ".join((await make_peers(lab)).notes)
    assert "nothing was chosen on these questions" not in told
    assert "The card of scripted was chosen on 1 of these 2 questions (embedded/mine)" in told


async def test_validation_questions_are_no_more_than_those_of_the_study(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    limited = replace(
        lab, setting=lab.setting.model_copy(update={"limit": 2, "skip_malformed": True})
    )
    given = tuning(monkeypatch, lambda: Loaded((item("v"),)))
    await make_peers(limited)
    options = {"split": "validation", "limit": 2, "skip_malformed": True}
    assert given == ["embedded", None, options]


def _unreadable() -> Loaded:
    raise BenchmarkError("no file called validation")


@pytest.mark.parametrize(
    ("task", "items", "why"),
    [
        ("mathvista", None, "mathvista has no labelled split beside the one that is reported"),
        ("mathvision", None, "mathvision has no labelled split"),
        ("mmstar", None, "mmstar has no labelled split"),
        ("mmmu", lambda: Loaded((item("a"), item("v"))), "dev holds questions of this study"),
        ("embedded", lambda: Loaded((item("v", None),)), "validation has no labels"),
        ("embedded", _unreadable, "validation could not be read (no file called validation)"),
    ],
)  # fmt: skip
async def test_nothing_is_chosen_on_the_questions_of_the_study(
    lab: Lab,
    monkeypatch: pytest.MonkeyPatch,
    task: str,
    items: Callable[..., Loaded] | None,
    why: str,
) -> None:
    tuning(monkeypatch, items or _unreadable)
    other = replace(lab, setting=lab.setting.model_copy(update={"task": task}))
    notes = " ".join((await make_peers(other)).notes)
    assert why in notes
    assert "(0.2)" in notes
    assert "(0.5)" in notes
    assert "their authors' code" in notes
    assert asked(lab).asked["v", "sample"] == 0
