"""Kinds of confidence: scored where they are there, and chosen where little is known."""

import math

import pytest

from catts.evals.choosing import KindScore, best_kind, score_kinds, scored

EVERY = [[{"top_k_mean": 1.0, "min_logprob": -1.0}] * 2]
"""One question, both answers with both kinds."""


def test_rows_by_hand():
    confidences = [[{"top_k_mean": 2.0}, {}], [{"min_logprob": -1.0}], []]
    first, second, third = scored(confidences, [[1.0, 0.0], [1.0], []], "top_k_mean")
    assert first.tolist() == [[2.0, 1.0]]
    assert second.shape == third.shape == (0, 2)


def test_without_a_mixed_question_nothing_is_known_within_one():
    confidences = [[{"top_k_mean": 2.0}], [{"top_k_mean": 1.0}], [{"top_k_mean": 3.0}]]
    ((kind, pooled, within),) = score_kinds(confidences, [[1.0], [0.0], [1.0]])
    assert (kind, pooled) == ("top_k_mean", 1.0)
    assert math.isnan(within)


def test_one_sort_of_answer_cannot_be_scored():
    with pytest.raises(ValueError, match="right and wrong"):
        score_kinds(EVERY, [[1.0, 1.0]])


@pytest.mark.parametrize(
    ("scores", "confidences", "best"),
    [
        # the better within a question of those that tell apart across questions
        ([("top_k_mean", 0.7, 0.6), ("min_logprob", 0.9, 0.5)], EVERY, "top_k_mean"),
        ([("top_k_mean", 0.6, 0.9), ("min_logprob", 0.7, 0.5)], EVERY, "min_logprob"),
        # none tells apart across questions
        ([("top_k_mean", 0.5, 0.9), ("min_logprob", 0.6, 0.5)], EVERY, "top_k_mean"),
        # an answer lacks the better one
        (
            [("top_k_answer", 0.9, 0.9), ("min_logprob", 0.7, 0.6)],
            [[{"top_k_answer": 1.0, "min_logprob": -1.0}, {"min_logprob": -1.0}]],
            "min_logprob",
        ),
        # no kind that all have, as where one completion is empty
        ([("top_k_mean", 0.7, 0.6), ("min_logprob", 0.7, 0.7)], [*EVERY, [{}]], "min_logprob"),
        # no question has right and wrong answers
        (
            [("top_k_mean", 0.7, math.nan), ("min_logprob", 0.8, math.nan)],
            EVERY,
            "min_logprob",
        ),
    ],
)
def test_the_kind_that_weighs_votes(scores, confidences, best):
    assert best_kind([KindScore(*score) for score in scores], confidences) == best


def test_no_kind_at_all():
    with pytest.raises(ValueError, match="any kind"):
        best_kind([], [[{}]])
