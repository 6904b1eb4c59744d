"""Confidence of a completion by hand, from the numbers of its tokens."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from catts.confidence import (
    CONFIDENCE_KINDS,
    sequence_confidences,
    window_length,
    window_means,
)

numbers = st.floats(min_value=0, max_value=30)
completions = st.lists(st.tuples(numbers, numbers.map(lambda x: -x)), min_size=1, max_size=120)


def test_by_hand() -> None:
    confidence = [float(n) for n in range(1, 21)]
    logprobs = [-0.5] * 18 + [-2.0, -1.0]
    found = sequence_confidences(confidence, logprobs, (17, 20), [1.0, 2.0] * 10)
    assert found == {
        "top_k_mean": 10.5,
        "top_k_tail": 19.5,  # the last 2 of 20
        "top_k_bottom_window": 3.0,  # windows of 4: 2.5, 3.5, ...; the lowest 2 of 17
        "top_k_min_window": 2.5,
        "top_k_answer": 19.0,
        "mean_logprob": -0.6,
        "min_logprob": -2.0,
        "answer_logprob": pytest.approx(-3.5 / 3),
        "self_certainty": 1.5,
    }
    assert set(found) == set(CONFIDENCE_KINDS)


def test_one_token() -> None:
    found = sequence_confidences([2.0], [-1.0], (0, 1))
    assert {found[kind] for kind in CONFIDENCE_KINDS if kind.startswith("top_k")} == {2.0}
    assert found["answer_logprob"] == found["min_logprob"] == found["mean_logprob"] == -1.0


@settings(deadline=None)
@given(completions)
def test_the_kinds_are_ordered(tokens: list[tuple[float, float]]) -> None:
    confidence, logprobs = zip(*tokens, strict=True)
    found = sequence_confidences(confidence, logprobs)
    slack = 1e-9
    assert min(confidence) - slack <= found["top_k_min_window"]
    assert found["top_k_min_window"] <= found["top_k_bottom_window"] + slack
    assert min(confidence) - slack <= found["top_k_mean"] <= max(confidence) + slack
    assert min(confidence) - slack <= found["top_k_tail"] <= max(confidence) + slack
    assert found["top_k_bottom_window"] <= max(confidence) + slack
    assert min(logprobs) == found["min_logprob"] <= found["mean_logprob"] + slack
    assert all(map(math.isfinite, found.values()))


@pytest.mark.parametrize("length", [1, 2, 3, 4])
def test_a_completion_no_longer_than_a_window_has_one_window(length: int) -> None:
    confidence = [float(2**n) for n in range(length)]
    found = sequence_confidences(confidence, [-1.0] * length)
    assert found["top_k_min_window"] == found["top_k_bottom_window"] == found["top_k_mean"]


def test_the_mean_can_lie_below_every_whole_window() -> None:
    """Windows cover the ends less often than the middle, so the mean bounds none of them."""
    found = sequence_confidences([0.0, 0.0, 9.0, 9.0, 9.0, 0.0, 0.0], [-1.0] * 7)
    assert found["top_k_min_window"] == 4.5 > found["top_k_mean"] == pytest.approx(27 / 7)


@settings(deadline=None)
@given(completions, st.data())
def test_the_answer_kinds_are_means_over_the_span(
    tokens: list[tuple[float, float]], data: st.DataObject
) -> None:
    confidence, logprobs = zip(*tokens, strict=True)
    start = data.draw(st.integers(0, len(tokens) - 1))
    stop = data.draw(st.integers(start + 1, len(tokens)))
    found = sequence_confidences(confidence, logprobs, (start, stop))
    alone = sequence_confidences(confidence[start:stop], logprobs[start:stop])
    assert found["top_k_answer"] == alone["top_k_mean"]
    assert found["answer_logprob"] == alone["mean_logprob"]


def test_a_confidence_that_cannot_be_had_is_missing() -> None:
    assert sequence_confidences([], []) == {}
    for span in (None, (1, 1)):
        found = sequence_confidences([1.0, 2.0], [-1.0, -2.0], span)
        missing = {"top_k_answer", "answer_logprob", "self_certainty"}
        assert set(CONFIDENCE_KINDS) - set(found) == missing
    with pytest.raises(ValueError, match="1 self-certainties"):
        sequence_confidences([1.0, 2.0], [-1.0, -2.0], None, [1.0])
    with pytest.raises(ValueError, match="finite"):
        sequence_confidences([1.0], [-1.0], None, [math.inf])


@pytest.mark.parametrize(
    ("confidence", "logprobs", "span", "says"),
    [
        ([1.0], [-1.0, -2.0], None, "1 token confidences but 2"),
        ([math.nan], [-1.0], None, "finite"),
        ([1.0], [-math.inf], None, "finite"),
        ([1.0], [-1.0], (0, 2), "outside"),
        ([1.0], [-1.0], (-1, 1), "outside"),
        ([1.0, 2.0], [-1.0, -1.0], (2, 1), "outside"),
    ],
)
def test_errors(
    confidence: list[float], logprobs: list[float], span: tuple[int, int] | None, says: str
) -> None:
    with pytest.raises(ValueError, match=says):
        sequence_confidences(confidence, logprobs, span)


@pytest.mark.parametrize(
    ("length", "window"), [(1, 1), (3, 3), (4, 4), (10, 4), (40, 4), (60, 6), (1000, 100)]
)
def test_window_length(length: int, window: int) -> None:
    assert window_length(length) == window


def test_window_means() -> None:
    assert window_means([1.0, 2.0, 3.0, 6.0], 2) == [1.5, 2.5, 4.5]
    assert window_means([1.0, 2.0], 2) == [1.5]
