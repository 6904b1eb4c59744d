"""Confidence of a completion, from the base model's own next-token distributions.

The token confidence of the paper (arXiv 2603.12149) is the negative mean log-probability of the k
most likely next tokens, c_t = -(1/k) * sum_{i<=k} log p_i, k = 20, from the raw distribution at
temperature 1 before any filter; the sequence confidence C is its mean over the completion. A peaked
distribution has a few likely tokens and very unlikely others, so HIGHER means more certain.

Pure functions on per-token numbers; the engines compute those numbers while they decode.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Literal, get_args

TOP_K = 20
"""Number of most likely tokens in c_t; the vocabulary's size if that is smaller."""

ConfidenceKind = Literal[
    "top_k_mean",
    "top_k_tail",
    "top_k_bottom_window",
    "top_k_min_window",
    "top_k_answer",
    "mean_logprob",
    "min_logprob",
    "answer_logprob",
    "self_certainty",
]
"""How one number is made of a completion's tokens.

- `top_k_mean`: C of the paper, the mean of c_t.
- `top_k_tail`: mean of c_t over the last tenth of the completion.
- `top_k_bottom_window`: mean of the lowest tenth of the sliding-window means of c_t.
- `top_k_min_window`: the lowest sliding-window mean of c_t.
- `top_k_answer`: mean of c_t over the tokens of the boxed answer.
- `mean_logprob`, `min_logprob`: mean and minimum log-probability of the sampled tokens.
- `answer_logprob`: mean log-probability of the tokens of the boxed answer.
- `self_certainty`: mean of KL(U || p_t), the divergence of the whole distribution over the
  vocabulary from the uniform one (arXiv 2502.18581).
"""

CONFIDENCE_KINDS: tuple[ConfidenceKind, ...] = get_args(ConfidenceKind)

Confidences = Mapping[ConfidenceKind, float]
"""A completion's confidence of every kind that could be computed; all finite."""

_WINDOW_SHARE = 0.1
_SHORTEST_WINDOW = 4


def sequence_confidences(
    token_confidence: Sequence[float],
    token_logprobs: Sequence[float],
    answer_span: tuple[int, int] | None = None,
    token_self_certainty: Sequence[float] | None = None,
) -> dict[ConfidenceKind, float]:
    """All kinds of confidence of one completion of T tokens.

    Args:
        token_confidence: c_t of each token, shape (T,), nats, >= 0.
        token_logprobs: log-probability of each sampled token under the raw distribution at
            temperature 1, shape (T,), nats, <= 0.
        answer_span: half-open token range of the boxed answer, or None when there is none.
        token_self_certainty: KL(U || p_t) of each token, shape (T,), nats, >= 0; None where only
            the most likely tokens are known.

    Returns:
        Kind to value. The answer kinds are left out when `answer_span` is None or empty, and
        `self_certainty` when its tokens are not given; the mapping is empty for an empty
        completion: a confidence is missing rather than made up.

    Raises:
        ValueError: the sequences differ in length, a number is not finite, or the span lies
            outside the completion.
    """
    length = len(token_confidence)
    whole = () if token_self_certainty is None else token_self_certainty
    if len(token_logprobs) != length or (token_self_certainty is not None and len(whole) != length):
        raise ValueError(
            f"{length} token confidences but {len(token_logprobs)} log-probabilities and "
            f"{len(whole)} self-certainties"
        )
    if not all(map(math.isfinite, (*token_confidence, *token_logprobs, *whole))):
        raise ValueError("token confidences and log-probabilities must be finite")
    if length == 0:
        return {}
    windows = sorted(window_means(token_confidence, window_length(length)))
    tail = max(1, round(length * _WINDOW_SHARE))
    lowest = max(1, round(len(windows) * _WINDOW_SHARE))
    kinds: dict[ConfidenceKind, float] = {
        "top_k_mean": _mean(token_confidence),
        "top_k_tail": _mean(token_confidence[-tail:]),
        "top_k_bottom_window": _mean(windows[:lowest]),
        "top_k_min_window": windows[0],
        "mean_logprob": _mean(token_logprobs),
        "min_logprob": min(token_logprobs),
    }
    if token_self_certainty is not None:
        kinds["self_certainty"] = _mean(whole)
    if answer_span is not None:
        start, stop = answer_span
        if not 0 <= start <= stop <= length:
            raise ValueError(f"answer span {answer_span} lies outside {length} tokens")
        if start < stop:
            kinds["top_k_answer"] = _mean(token_confidence[start:stop])
            kinds["answer_logprob"] = _mean(token_logprobs[start:stop])
    return kinds


def window_length(length: int) -> int:
    """Tokens in a sliding window over a completion of `length` tokens: a tenth, at least four."""
    return min(length, max(_SHORTEST_WINDOW, round(length * _WINDOW_SHARE)))


def window_means(values: Sequence[float], width: int) -> list[float]:
    """Means of the `len(values) - width + 1` windows of `width` consecutive values."""
    return [_mean(values[i : i + width]) for i in range(len(values) - width + 1)]


def _mean(values: Sequence[float]) -> float:
    return math.fsum(values) / len(values)
