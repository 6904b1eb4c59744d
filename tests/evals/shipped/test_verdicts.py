import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scripted_models import ScriptedEngine, ScriptedExpert

from catts.agents.protocol import Sample
from catts.calibration import ConfidenceMap
from catts.evals.choosing import best_acceptance, best_reflection
from catts.evals.shipped.fitting import fit_map, score_kinds
from catts.evals.shipped.items import Item, load_items
from catts.evals.shipped.planning import margin_gains
from catts.evals.shipped.verdicts import Verdict, accuracy_of, read_rows, right
from catts.graph.context import Context, Policy
from catts.graph.embed import answer_sync

ITEM = load_items("test", 1)[0]
TRUTH = ITEM.example.answer
FITTED = ConfidenceMap(kind="top_k_mean", x=(0.0, 10.0), y=(0.0, 1.0), fitted_on="test")
POLICY = Policy(confidence_kind="top_k_mean", confidence_map=FITTED)


def said(answer: str, confidence: float) -> Sample:
    return Sample(
        text=f"<think>x</think>\\boxed{{{answer}}}",
        confidence={"top_k_mean": confidence, "min_logprob": -1 / confidence},
    )


def verdict(*answers: tuple[str, float], **roles: object) -> Verdict:
    samples = tuple(said(*a) for a in answers)
    made = read_rows([ITEM], [samples], POLICY)[0]
    return Verdict(made.item, made.policy, made.samples, **roles)  # type: ignore[arg-type]


def test_right_is_about_the_answer_and_not_the_text():
    assert right(ITEM, said(TRUTH, 1.0))
    assert not right(ITEM, said("99", 1.0))
    assert not right(ITEM, Sample(text=f"I saw {TRUTH} of them, or not"))
    assert accuracy_of([ITEM], [[said(TRUTH, 1.0), said("99", 1.0)]]) == [[1.0, 0.0]]


def test_right_sees_the_unit_that_an_answer_writes():
    asked = replace(ITEM.example.ask, text="How long is the rod, in cm?", choices=())
    solved = replace(ITEM.example.solution, answer="12 cm")
    rod = Item(replace(ITEM.example, ask=asked, solution=solved))
    assert right(rod, said("12", 1.0))
    assert right(rod, said("12 cm", 1.0))
    assert not right(rod, said("12 m", 1.0))


@given(st.lists(st.tuples(st.sampled_from([TRUTH, "98", "99"]), st.floats(0.1, 30)), min_size=1))
def test_the_tally_is_the_formula(answers):
    given_answers = verdict(*answers)
    k = len(given_answers.field)
    vote = tuple(1 / k for _ in range(k))
    full = verdict(*answers, vote=vote, reanswer=TRUTH, self_check="98")
    total = math.fsum(c for _, c in answers)
    internal = math.fsum(c for a, c in answers if a == TRUTH) / total
    listed = any(c.answer == TRUTH for c in full.field)
    expected = internal + 0.5 * (1 / k if listed else 0) + 0.5
    everything = 1 + 0.5 + 0.5 + 0.5
    share = full.share("sample", "voter", "critic", "self_check")
    assert share == pytest.approx(expected / everything)


@pytest.mark.parametrize(
    ("said", "reanswer", "contrast"),
    [
        ((("3", 2.0), ("3", 2.5), ("4", 3.0), ("", 9.0)), "4", "5"),
        ((("3", 2.0),), "3", ""),
        ((("3", 1.0), ("4", 2.0), ("5", 4.0)), "", "3"),
    ],
)
def test_a_stored_question_has_the_ballots_that_the_graph_casts(said, reanswer, contrast):
    engine = ScriptedEngine(said, reanswer=reanswer, contrast=contrast)
    expert = ScriptedExpert(votes={"3": 0.5, "4": 0.375, "5": 0.125} if len(said) == 3 else None)
    context = Context.of(engine, expert, routing="paper", tau1=0.25, tau2=0.5, tau3=0.75)
    trace = answer_sync(ITEM.example.image, "How many?", context=context)
    assert not trace.failures
    stored = Verdict(
        ITEM,
        trace.policy,
        trace.samples,
        vote=tuple(trace.vote.probabilities.values()),
        critique=trace.critique.text,
        reanswer=trace.reanswer.answer,
        self_check=trace.self_check.sample.answer,
    )

    def cast(ballots):
        return sorted((b.source, b.answer, b.weight) for b in ballots)

    assert cast(stored.ballots) == cast(trace.ballots)
    assert {b.source for b in trace.ballots} >= {"sample", "voter"}
    told = {b.source: b.reason for b in stored.ballots}
    assert all(told[b.source] == b.reason for b in trace.ballots if b.source in ("critic",
               "self_check"))  # fmt: skip


def test_a_subset_leaves_the_others_out():
    full = verdict(("98", 2.0), (TRUTH, 1.0), vote=(0.0, 1.0), reanswer=TRUTH)
    assert not full.won("sample")
    assert full.won("sample", "voter")
    assert full.share("sample") == pytest.approx(1 / 3)
    assert full.gold == TRUTH


def test_margins_and_shares_of_a_lone_answer():
    right, wrong = verdict((TRUTH, 1.0)), verdict(("98", 1.0))
    assert (right.margin("sample"), right.share("sample")) == (1.0, 1.0)
    assert (wrong.margin("sample"), wrong.share("sample")) == (-1.0, 0.0)
    assert right.margin() == right.share() == 0.0, "without a ballot"


def test_a_leader_is_unsure_below_the_threshold_and_always_without_a_mapping():
    def leads(confidence, **settings):
        policy = Policy(**settings)
        return read_rows([ITEM], [(said(TRUTH, confidence),)], policy)[0].unsure

    mapped = {"confidence_map": FITTED, "reflect_below": 0.5}
    assert [leads(c, **mapped) for c in (4.9, 5.0, 5.1)] == [True, False, False]
    assert leads(9.0, confidence_map=FITTED)
    assert leads(9.0)
    assert not read_rows([ITEM], [(Sample(text="no idea"),)], Policy())[0].unsure


def test_without_a_readable_answer_nothing_is_won():
    silent = read_rows([ITEM], [(Sample(text="no idea"),)], POLICY)[0]
    assert silent.spoken == ("", "")
    assert silent.share("sample") == 0
    assert not silent.won("sample")


def test_what_the_critique_turned_counts_both_ways():
    assert verdict(("98", 1.0), reanswer=TRUTH).turned == 1
    assert verdict((TRUTH, 1.0), reanswer="98").turned == -1
    assert verdict((TRUTH, 1.0), reanswer=TRUTH).turned == 0
    assert verdict((TRUTH, 1.0)).turned == 0


def test_reflection_stops_where_the_critic_starts_to_harm():
    helped = [verdict(("98", c), reanswer=TRUTH) for c in (1.0, 2.0)]
    harmed = [verdict((TRUTH, c), reanswer="98") for c in (3.0, 4.0)]
    assert best_reflection([*harmed, *helped]) == pytest.approx(0.3)
    assert best_reflection(harmed) == 0.0
    assert best_reflection(helped) is None, "where it only helps, it is always asked"


def test_leaders_of_equal_certainty_are_asked_together():
    """A mapping has plateaus: a threshold cannot part what lies on one."""
    mixed = [verdict(("98", 5.0), reanswer=TRUTH), verdict((TRUTH, 5.0), reanswer="98")]
    helped = verdict(("98", 1.0), reanswer=TRUTH)
    assert best_reflection([helped, *mixed]) == pytest.approx(0.5)
    assert [v.unsure for v in (helped, *mixed)] == [True, True, True], "no threshold in POLICY"


def test_acceptance_stops_where_the_modules_still_help():
    sure = [verdict((TRUTH, 1.0)) for _ in range(50)]
    torn = [verdict(("98", 3.0), (TRUTH, 1.0), vote=(0.0, 1.0), reanswer=TRUTH)] * 50
    assert best_acceptance([*sure, *torn]) == 0.8


def test_acceptance_goes_no_lower_than_a_half_nor_past_what_it_costs():
    sure = [verdict((TRUTH, 1.0))] * 50
    assert best_acceptance(sure) == 0.5
    helped = [verdict(("98", 3.0), (TRUTH, 1.0), vote=(0.0, 1.0), reanswer=TRUTH)] * 5
    harmed = [verdict((TRUTH, 3.0), ("98", 2.0), vote=(0.0, 1.0), reanswer="98")] * 10
    assert best_acceptance([*sure, *helped, *harmed]) == 0.8, "whatever lies below"


def test_acceptance_can_say_never():
    fooled = verdict(("98", 1.0), vote=(1.0,), reanswer=TRUTH, self_check=TRUTH)
    tipped = Verdict(
        fooled.item, fooled.policy.model_copy(update={"tau2": 2.0}), fooled.samples,
        reanswer=TRUTH,
    )  # fmt: skip
    assert best_acceptance([tipped] * 20) == math.inf


def test_kinds_are_scored_and_mapped():
    items = load_items("test", 40)
    rows = [
        tuple(
            Sample(
                text=f"\\boxed{{{item.example.answer if hit else 'nothing'}}}",
                confidence={"top_k_mean": level + hit, "min_logprob": -level},
            )
            for hit, level in ((True, 5 + i % 7), (False, 5 + i % 5))
        )
        for i, item in enumerate(items)
    ]
    scores = {s.kind: s for s in score_kinds(items, rows)}
    assert set(scores) == {"top_k_mean", "min_logprob"}
    assert scores["top_k_mean"].within > scores["min_logprob"].within
    fitted = fit_map(items, rows, "top_k_mean", "test")
    assert fitted(fitted.x[0]) < fitted(fitted.x[-1])
    assert "40 questions x 2 samples" in fitted.fitted_on


def test_the_module_that_moves_the_margin_most_comes_first():
    verdicts = [
        verdict((TRUTH, 1.0), ("98", 1.0), vote=(0.5, 0.5), reanswer=TRUTH, self_check="98")
    ] * 3
    gains = margin_gains(verdicts)
    assert [g.module for g in gains] == ["critic", "voter", "self_check"]
    assert [g.gain.estimate for g in gains] == pytest.approx([0.5, 0.0, -0.5])


def test_a_confident_model_s_confidence_can_be_mapped():
    """Log-probabilities of a sure model lie within 1e-5 of 0: rounding must keep them apart."""
    items = load_items("test", 60)
    rows = [
        (
            Sample(
                text=f"\\boxed{{{item.example.answer if i % 3 else 'nothing'}}}",
                confidence={"mean_logprob": -1e-6 * (1 + i % 3 * 0.1) - 1e-8 * i},
            ),
        )
        for i, item in enumerate(items)
    ]
    fitted = fit_map(items, rows, "mean_logprob", "test")
    assert len(fitted.x) > 10
    assert all(0 < y < 1 for y in fitted.y)
