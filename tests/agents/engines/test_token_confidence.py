"""The token confidence that the engines compute: its value and its direction, higher is surer."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from catts.agents.engines.token_confidence import allowed_tokens, token_stats
from catts.confidence import CONFIDENCE_KINDS, TOP_K, sequence_confidences

heights = st.floats(min_value=0, max_value=15)
more_height = st.floats(min_value=0.1, max_value=15)


def confidence(logits: list[float]) -> float:
    return token_stats(torch.tensor(logits), torch.tensor(0)).confidence.item()


def peaked(size: int, height: float) -> list[float]:
    return [height] + [0.0] * (size - 1)


def test_by_hand() -> None:
    # p = 1/2, 1/4, 1/8, 1/8: fewer tokens than k, so the mean is over all four
    logits = torch.tensor([4.0, 2.0, 1.0, 1.0]).log()
    stats = token_stats(logits, torch.tensor(1))
    assert stats.confidence.item() == pytest.approx((1 + 2 + 3 + 3) / 4 * math.log(2))
    assert stats.logprobs.item() == pytest.approx(-2 * math.log(2))


def test_only_the_k_most_likely_tokens_count() -> None:
    likely = [math.log(2.0)] * TOP_K
    unlikely = [0.0] * 60
    # each of the k has probability 2 / (2 k + 60)
    expected = math.log((2 * TOP_K + 60) / 2)
    assert confidence(unlikely + likely) == pytest.approx(expected, rel=1e-6)


def test_shapes_are_those_of_the_tokens() -> None:
    logits = torch.zeros(2, 3, 5)
    stats = token_stats(logits, torch.zeros(2, 3, dtype=torch.long))
    assert stats.confidence.shape == stats.logprobs.shape == (2, 3)
    assert torch.allclose(stats.confidence, torch.full((2, 3), math.log(5)))


def test_half_precision_is_reduced_in_float32() -> None:
    logits = torch.tensor(peaked(40, 9.0), dtype=torch.bfloat16)
    stats = token_stats(logits, torch.tensor(0))
    assert stats.confidence.dtype == stats.logprobs.dtype == torch.float32
    assert stats.confidence.item() == pytest.approx(confidence(peaked(40, 9.0)))


def test_certainty_is_neither_negative_confidence_nor_more_than_probability_one() -> None:
    stats = token_stats(torch.tensor([[0.1], [33.3]]), torch.tensor([0, 0]))
    assert (stats.confidence >= 0).all()
    assert (stats.logprobs <= 0).all()


@settings(deadline=None)
@given(st.integers(min_value=2, max_value=TOP_K), heights, more_height)
def test_a_peaked_distribution_is_more_confident_than_a_flat_one(
    size: int, height: float, more: float
) -> None:
    flat, blunt, sharp = (confidence(peaked(size, peak)) for peak in (0.0, height, height + more))
    assert flat == pytest.approx(math.log(size), rel=1e-5)
    assert flat - 1e-5 <= blunt < sharp


@settings(deadline=None)
@given(heights, more_height)
def test_beyond_k_tokens_it_rises_once_the_peak_has_a_kth_of_the_mass(
    height: float, more: float
) -> None:
    size = 5 * TOP_K
    # A peak of probability 1/k: below it, mass drawn in from outside the top k lowers c_t.
    turn = math.log((size - 1) / (TOP_K - 1))
    low, blunt, sharp = (
        confidence(peaked(size, turn + peak)) for peak in (0.0, height, height + more)
    )
    assert low - 1e-5 <= blunt < sharp
    assert low < confidence(peaked(size, 0.0))


@settings(deadline=None)
@given(st.lists(st.floats(min_value=-20, max_value=20), min_size=TOP_K, max_size=80))
def test_nothing_is_less_confident_than_k_equal_tokens(logits: list[float]) -> None:
    assert confidence(logits) >= math.log(TOP_K) - 1e-4


def test_a_sure_completion_has_the_higher_confidence_of_every_kind() -> None:
    """From the logits of a model that is sure and of one that is not, to the confidences."""

    def kinds(height: float) -> dict[str, float]:
        stats = token_stats(
            torch.tensor([peaked(50, height)] * 6), torch.zeros(6, dtype=torch.long)
        )
        return dict(
            sequence_confidences(
                stats.confidence.tolist(),
                stats.logprobs.tolist(),
                (2, 4),
                stats.self_certainty.tolist(),
            )
        )

    sure, unsure = kinds(9.0), kinds(0.0)
    assert set(sure) == set(CONFIDENCE_KINDS)
    assert all(sure[kind] > unsure[kind] for kind in sure)


@given(st.lists(st.floats(min_value=-20, max_value=20), min_size=1, max_size=80))
def test_self_certainty_is_the_divergence_from_the_uniform_distribution(
    logits: list[float],
) -> None:
    found = token_stats(torch.tensor([logits]), torch.tensor([0])).self_certainty
    uniform = torch.full((len(logits),), 1 / len(logits), dtype=torch.float64)
    log_p = torch.tensor(logits, dtype=torch.float64).log_softmax(-1)
    expected = torch.nn.functional.kl_div(log_p, uniform, reduction="sum")
    assert found.item() == pytest.approx(expected.item(), abs=1e-4)
    assert found.item() >= 0


def test_suppressed_tokens_may_not_be_taken() -> None:
    mask = allowed_tokens(5, (1, 3, 9), torch.device("cpu"))
    assert mask.tolist() == [True, False, True, False, True]
