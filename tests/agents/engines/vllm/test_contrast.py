"""The best of given completions by contrast with the noised picture."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from catts.agents.engines.vllm.contrast import best_of, contrastive_logprob
from catts.agents.protocol import ContrastParams, Score

LOGPROBS = st.lists(st.floats(-20, 0), min_size=1, max_size=6)


def score(*logprobs: float) -> Score:
    return Score(logprobs=logprobs, confidence={})


def test_the_formula_by_hand() -> None:
    assert contrastive_logprob(score(-1, -2), score(-3, -4), 0.5) == pytest.approx(
        ((1.5 * -1 + 0.5 * 3) + (1.5 * -2 + 0.5 * 4)) / 2
    )


def test_what_the_noised_picture_makes_less_likely_wins() -> None:
    """Both are as likely with the picture; without it the second one is, too."""
    clean, noised = [score(-0.5), score(-0.5)], [score(-3.0), score(-0.5)]
    assert best_of(clean, noised, ContrastParams(alpha=1.0, beta=0.1)) == 0


def test_an_implausible_completion_never_wins() -> None:
    clean, noised = [score(-0.1), score(-4.0)], [score(-0.1), score(-30.0)]
    assert best_of(clean, noised, ContrastParams(alpha=1.0, beta=0.1)) == 0
    assert best_of(clean, noised, ContrastParams(alpha=1.0, beta=0.0)) == 1


@given(st.lists(LOGPROBS, min_size=1, max_size=5), st.randoms())
def test_without_contrast_the_likeliest_wins(rows: list[list[float]], random) -> None:
    clean = [score(*row) for row in rows]
    noised = [score(*(random.uniform(-20, 0) for _ in row)) for row in rows]
    best = best_of(clean, noised, ContrastParams(alpha=0.0))
    means = [math.fsum(row) / len(row) for row in rows]
    assert means[best] == pytest.approx(max(means))
