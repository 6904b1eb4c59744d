"""What is fitted on validation data, from models that follow a script; expectations by hand."""

import math

import pytest
from scripted_engine import Script, Scripted, said, truth, untruth

from catts.agents.card import ModelCard
from catts.evals.shipped.collect import Collection
from catts.evals.shipped.fitting import fit_card, score_kinds
from catts.evals.shipped.modules import full_verdicts
from catts.evals.shipped.planning import measure_order
from catts.evals.shipped.verdicts import read_rows
from catts.graph.context import Policy

CARD = ModelCard(name="mine", prompt_set="embedded", max_new_tokens=77, contrast_beta=0.2)


def told(item, kind, right, wrong):
    """Eight completions: confidences of the right ones, and of the wrong ones."""
    assert len(right) + len(wrong) == 8
    return [said(truth(item), **{kind: c}) for c in right] + [
        said(untruth(item), **{kind: c}) for c in wrong
    ]


def easy_or_hard(hard):
    """An easy question: six sure right ones; a hard one: six unsure wrong ones, two right ones."""

    def samples(place, item):
        if hard(place):
            return told(item, "min_logprob", [-2.0] * 2, [-3.0] * 6)
        return told(item, "min_logprob", [-1.0] * 6, [-2.0] * 2)

    return samples


def expert_reply(role, place, item):
    """The voter is always right, the critic talks, and the re-answer turns every leader over."""
    hard = place % 2
    return {
        "voter": '{"probabilities": [0, 1]}' if hard else '{"probabilities": [1, 0]}',
        "critic": '{"critique": "look again"}',
        "reanswer": f"\\boxed{{{truth(item) if hard else untruth(item)}}}",
    }[role]


CONTRASTS = {(500, 0.5): 4, (500, 1.0): 6, (800, 0.5): 8, (800, 1.0): 2}
"""Of eight questions, how many the self-check gets right at a step and a strength."""


def contrast(place, item, t, alpha):
    return truth(item) if place < CONTRASTS[t, alpha] else untruth(item)


@pytest.fixture(scope="module")
def fitted(tmp_path_factory):
    """Even questions are easy and odd ones hard."""
    script = Script(
        "validation",
        8,
        samples=easy_or_hard(lambda place: place % 2 == 1),
        reply=expert_reply,
        contrast=contrast,
    )
    base, expert = Scripted(script, "base", CARD), Scripted(script, "expert")
    folder = tmp_path_factory.mktemp("fitted")
    return fit_card(base, expert, folder, n=8, quiet=True), base, expert


def test_the_kind_is_scored_over_all_samples_and_within_a_question(fitted):
    fit, *_ = fitted
    # right: 24 at -1 and 8 at -2; wrong: 8 at -2 and 24 at -3; 1024 pairs, 64 of them equal
    assert fit.kinds == [("min_logprob", (24 * 32 + 8 * 24 + 64 / 2) / 1024, 1.0)]


def test_the_mapping_is_how_often_a_confidence_was_right(fitted):
    fit, *_ = fitted
    mapping = fit.card.confidence_map
    assert (mapping.kind, mapping.x) == ("min_logprob", (-3.0, -2.0, -1.0))
    assert mapping.y == (0.01, 0.5, 0.99), "never quite sure"
    assert mapping.fitted_on.startswith("embedded/validation, 8 questions x 8 samples, sha256 ")


def test_a_mapped_vote_is_judged_with_a_mapping_of_other_questions(fitted):
    """Mapped with all questions, the two right ones of a hard question would win: 1.0."""
    fit, *_ = fitted
    # easy: 6/e against 2/e^2 is won; hard: 2/e^2 against 6/e^3 is lost
    # mapped: to the easy half, -2 and -3 are both wrong, so six of them beat two
    assert fit.vote_accuracy == {"raw": 0.5, "mapped": 0.5}
    assert fit.card.vote_weight == "raw", "the paper's where nothing is gained"


def test_the_self_check_is_the_most_accurate_one(fitted):
    fit, *_ = fitted
    assert fit.contrast_accuracy == {
        "t 500, alpha 0.5": 0.5,
        "t 500, alpha 1.0": 0.75,
        "t 800, alpha 0.5": 1.0,
        "t 800, alpha 1.0": 0.25,
    }
    assert (fit.card.noise_t, fit.card.contrast_alpha) == (800, 0.5)


def test_the_critic_is_asked_only_where_it_helps(fitted):
    """It turns the four hard leaders (certainty 0.01) right and the four easy ones (0.99) wrong."""
    fit, *_ = fitted
    assert fit.card.reflect_below == 0.99


def test_leaders_are_accepted_down_to_where_the_modules_help(fitted):
    """Easy leaders hold 0.89 and are right; hard ones hold 0.52, wrong until the modules vote."""
    fit, *_ = fitted
    easy, hard = 6 / math.e, 6 / math.e**3
    assert easy / (easy + 2 / math.e**2) == pytest.approx(0.8907, abs=1e-4)
    assert hard / (hard + 2 / math.e**2) == pytest.approx(0.5246, abs=1e-4)
    assert fit.card.accept == 0.55


def test_the_rest_of_the_card_is_kept_and_obeyed(fitted):
    fit, base, expert = fitted
    chosen = {"confidence_kind", "confidence_map", "vote_weight", "noise_t", "contrast_alpha",
              "reflect_below", "accept"}  # fmt: skip
    assert fit.card.model_dump(exclude=chosen) == CARD.model_dump(exclude=chosen)
    assert fit.card.confidence_kind == "min_logprob"
    assert ModelCard.model_validate(fit.card.model_dump()) == fit.card
    assert (base.limits, expert.limits) == ({77}, {99})
    assert base.betas == {0.2}, "the self-check is chosen as it will run"


def test_a_mapping_that_wins_more_votes_weighs_them(tmp_path):
    script = Script(
        "validation",
        8,
        samples=easy_or_hard(lambda place: place // 2 % 2 == 1),  # both halves know both
        reply=lambda role, place, item: "no JSON",
        contrast=contrast,
    )
    models = Scripted(script, "base"), Scripted(script, "expert")
    fit = fit_card(*models, tmp_path, n=8, quiet=True)
    assert fit.vote_accuracy == {"raw": 0.5, "mapped": 1.0}
    assert fit.card.vote_weight == "mapped"
    assert fit.card.reflect_below == 0.0, "a critic that fails never helps"


def _kinds(place, item):
    """Four right and four wrong completions, the same in every question but for `top_k_mean`."""
    rows = []
    for j in range(8):
        right = j < 4
        kinds = {
            "top_k_mean": 10.0 * place + right,  # perfect within a question, poor across them
            "mean_logprob": -1.0,  # says nothing
            "min_logprob": -2.0 if not right else -3.0 if j == 3 else -1.0,
            "answer_logprob": -1.0 if right else -2.0,  # perfect, but one completion has none
        }
        if (place, j) == (0, 0):
            del kinds["answer_logprob"]
        rows.append(said(truth(item) if right else untruth(item), **kinds))
    return rows


def test_kinds_are_scored_by_hand():
    items = Script("validation", 8, samples=_kinds).items
    rows = [tuple(_kinds(place, item)) for place, item in enumerate(items)]
    scores = {kind: (pooled, within) for kind, pooled, within in score_kinds(items, rows)}
    assert scores == {
        "top_k_mean": (36 / 64, 1.0),  # a right one beats the wrong ones of its own and lower ones
        "mean_logprob": (0.5, 0.5),
        "min_logprob": (0.75, 0.75),
        "answer_logprob": (1.0, 1.0),
    }


def test_the_kind_tells_samples_apart_in_every_completion_and_across_questions(tmp_path):
    script = Script("validation", 8, samples=_kinds, contrast=contrast)
    models = Scripted(script, "base"), Scripted(script, "expert")
    assert fit_card(*models, tmp_path, n=8, quiet=True).card.confidence_kind == "min_logprob"


def test_where_no_kind_is_good_the_best_within_a_question_is_taken(tmp_path):
    def samples(place, item):
        right, wrong = [10.0 * place + 1] * 4, [10.0 * place] * 4
        return [
            s.model_copy(update={"confidence": {**s.confidence, "mean_logprob": -1.0}})
            for s in told(item, "top_k_mean", right, wrong)
        ]

    script = Script("validation", 8, samples=samples, contrast=contrast)
    models = Scripted(script, "base"), Scripted(script, "expert")
    assert fit_card(*models, tmp_path, n=8, quiet=True).card.confidence_kind == "top_k_mean"


POLICY = Policy(samples=2, noise_t=800, contrast_alpha=0.5)
TWO = "two candidates, every role replies"
ONE = "one candidate, the critic's reply is malformed"
NONE = "nothing can be read"
BAD = "two candidates, the voter's reply is malformed"
PLACES = (TWO, ONE, NONE, BAD)


def _samples(place, item):
    one = said(truth(item), 1.0)
    return {
        TWO: [one, said(untruth(item), 3.0)],
        ONE: [one, said(truth(item), 2.0)],
        NONE: [said("", 9.0)] * 2,
        BAD: [one, said(untruth(item), 0.5)],
    }[PLACES[place]]


def _reply(role, place, item):
    if role == "voter":
        return '{"probabilities": [3, 1]}' if PLACES[place] == TWO else '{"probabilities": [1]}'
    if role == "critic":
        return "hm" if PLACES[place] == ONE else f'{{"critique": "look at {place}"}}'
    return f"\\boxed{{{truth(item)}}}"


@pytest.fixture(scope="module")
def verdicts(tmp_path_factory):
    script = Script(
        "test", 4, samples=_samples, reply=_reply, contrast=lambda p, item, *_: untruth(item)
    )
    base, expert = Scripted(script, "base", CARD), Scripted(script, "expert")
    data = Collection(tmp_path_factory.mktemp("verdicts"), script.items, quiet=True)
    rows = [tuple(_samples(place, item)) for place, item in enumerate(script.items)]
    return full_verdicts(data, base, expert, rows, POLICY), script.items, base, expert


def test_every_question_has_the_votes_of_the_roles_that_replied(verdicts):
    made, items, *_ = verdicts
    assert [v.vote for v in made] == [(0.75, 0.25), (1.0,), None, None]
    assert [v.critique for v in made] == ["look at 0", None, "look at 2", "look at 3"]
    assert [v.reanswer for v in made] == [truth(items[0]), None, None, truth(items[3])]
    assert [v.self_check for v in made] == [untruth(item) for item in items]
    assert [v.samples for v in made] == [v.samples for v in read_rows(
        items, [tuple(_samples(*pair)) for pair in enumerate(items)], POLICY)]  # fmt: skip


def test_their_ballots_by_hand(verdicts):
    made, items, *_ = verdicts
    right, wrong = truth(items[0]), untruth(items[0])
    assert [(b.source, b.answer, b.weight) for b in made[0].ballots] == [
        ("sample", right, 0.25),
        ("sample", wrong, 0.75),
        ("voter", wrong, 0.5 * 0.75),
        ("voter", right, 0.5 * 0.25),
        ("critic", right, 0.5),
        ("self_check", wrong, 0.5),
    ]
    assert [b.source for b in made[2].ballots] == ["self_check"]


def test_roles_are_asked_about_the_leader_and_only_where_there_is_a_choice(verdicts):
    _, items, base, expert = verdicts
    assert [(role, place) for role, place, _ in expert.asked] == [
        ("voter", 0), ("voter", 3), ("critic", 0), ("critic", 1), ("critic", 2), ("critic", 3),
    ]  # fmt: skip
    prompts = {(role, place): text for role, place, text in (*expert.asked, *base.asked)}
    assert f"1. {untruth(items[0])}\n2. {truth(items[0])}" in prompts["voter", 0]
    assert f"answer: {untruth(items[0])}\n" in prompts["critic", 0]
    assert f"\\boxed{{{untruth(items[0])}}}" in prompts["critic", 0], (
        "what the leader's sample says"
    )
    assert "critique: look at 3\n" in prompts["reanswer", 3]
    assert f"previous: {said(truth(items[3])).text}\n" in prompts["reanswer", 3]
    assert (base.limits, expert.limits) == ({POLICY.max_new_tokens, 77}, {99})


START = 500_000_000


def _order(tmp_path, rights, reanswers):
    """Gains where `rights[i]` of eight equal samples are right; -1 are unreadable ones."""

    def samples(place, item):
        right = rights[place]
        if right < 0:
            return [said("")] * 8
        return told(item, "top_k_mean", [1.0] * right, [1.0] * (8 - right))

    def reply(role, place, item):
        if role == "voter":
            leads = rights[place] >= 4 and (rights[place] > 4 or truth(item) < untruth(item))
            return f'{{"probabilities": {[1, 0] if leads else [0, 1]}}}'
        if role == "critic":
            return '{"critique": "look"}'
        return f"\\boxed{{{truth(item) if reanswers[place] else untruth(item)}}}"

    script = Script("train", len(rights), start=START, samples=samples, reply=reply,
                    contrast=lambda place, item, *_: untruth(item))  # fmt: skip
    base, expert = Scripted(script, "base"), Scripted(script, "expert")
    gains = measure_order(base, expert, tmp_path, n=len(rights), start=START, quiet=True)
    return {
        group: [(module, pytest.approx(gain.estimate)) for module, gain in modules]
        for group, modules in gains.items()
    }


def test_modules_are_ordered_by_what_they_add_to_the_right_answers_margin(tmp_path):
    """A voter that is right adds 0.5, a self-check that is wrong takes 0.5, a critic does both."""
    assert _order(tmp_path, [4, 6, -1, 1], [True, False, True, True]) == {
        "all": [("voter", 0.5), ("critic", 0.5 / 3), ("self_check", -0.5)],
        "leader below 0.6": [("voter", 0.5), ("critic", 0.5), ("self_check", -0.5)],
        "leader at 0.6 or more": [("voter", 0.5), ("critic", 0.0), ("self_check", -0.5)],
    }


def test_a_kind_of_lead_that_nothing_has_is_left_out(tmp_path):
    assert _order(tmp_path, [6, 2], [True, True]).keys() == {"all", "leader at 0.6 or more"}
