"""Other ways to spend samples, each by its paper's formula: pure functions on stored samples.

Every one takes what a question's samples said, as `Drawn`, and returns whom it elects with the
samples, and so the tokens, that it used.
"""

import math
from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from catts.confidence import window_length, window_means

WINDOW = 2048
"""Tokens of DeepConf's group (arXiv 2508.15260); a shorter completion is one group."""


class Drawn(NamedTuple):
    """One sample of a question."""

    key: str | None
    """Key of its answer; None when none could be read: it then has no vote."""
    token_confidence: tuple[float, ...]
    """c_t of each token, nats."""
    mean_logprob: float
    self_certainty: float


class Elected(NamedTuple):
    """The outcome of a vote."""

    winners: tuple[str, ...]
    """Keys with the most votes; more than one in a tie, none when nobody voted."""
    tokens: int
    """Tokens written until the vote was over."""


def majority(samples: Sequence[Drawn]) -> Elected:
    """One sample, one vote (arXiv 2203.11171)."""
    return _elect(samples, [1.0] * len(samples))


def deepconf(samples: Sequence[Drawn], keep: float, window: int | None = WINDOW) -> Elected:
    """DeepConf, offline (arXiv 2508.15260): the surest votes, each weighted by its confidence.

    A sample's confidence is its lowest group confidence, the smallest mean of c_t over a sliding
    window; the `keep` share of samples with the highest vote.

    Args:
        samples: of one question.
        keep: share that votes, in (0, 1]; the paper's are 0.1 and 0.9.
        window: tokens of a group; None for a tenth of the completion, for completions much shorter
            than the paper's.
    """
    lowest = [lowest_group(s.token_confidence, window) for s in samples]
    kept = sorted(range(len(samples)), key=lambda i: -lowest[i])[: math.ceil(keep * len(samples))]
    voting = [samples[i] for i in kept]
    return _elect(voting, [lowest[i] for i in kept])._replace(tokens=_written(samples))


def deepconf_online(
    samples: Sequence[Drawn],
    keep: float,
    warmup: int,
    consensus: float = 0.95,
    window: int | None = WINDOW,
) -> Elected:
    """DeepConf, online, by simulation on stored confidences (arXiv 2508.15260).

    The first `warmup` samples are written out and set the threshold, the lowest group confidence
    that the surest `keep` share of them reach. A later sample ends, without a vote, with the first
    group below it, and nothing is drawn any more once one answer has `consensus` of the votes.
    """
    first = samples[:warmup]
    lowest = [lowest_group(s.token_confidence, window) for s in first]
    threshold = sorted(lowest, reverse=True)[math.ceil(keep * len(first)) - 1]
    voting = [(s, c) for s, c in zip(first, lowest, strict=True) if c >= threshold]
    tokens = _written(first)
    for sample in samples[warmup:]:
        if _agreement(voting) >= consensus:
            break
        length = len(sample.token_confidence)
        width = min(length, _width(length, window))
        groups = window_means(sample.token_confidence, width) if length else []
        below = next((i for i, group in enumerate(groups) if group < threshold), None)
        tokens += length if below is None else below + width
        if below is None and groups:
            voting.append((sample, min(groups)))
    kept = [sample for sample, _ in voting]
    return _elect(kept, [weight for _, weight in voting])._replace(tokens=tokens)


def cisc(samples: Sequence[Drawn], temperature: float) -> Elected:
    """CISC (arXiv 2502.06233): votes weighted by a softmax over the samples' confidences.

    The confidence is the response probability, exp of the mean log-probability; the weight of
    sample i is exp(c_i / T) / sum_j exp(c_j / T).
    """
    scores = np.array([math.exp(s.mean_logprob) for s in samples]) / temperature
    weights = np.exp(scores - scores.max()) if len(samples) else scores
    return _elect(samples, [float(w) for w in weights])


def self_certainty(samples: Sequence[Drawn], power: float) -> Elected:
    """Borda voting by self-certainty (arXiv 2502.18581): rank r of N has (N - r + 1)^p votes.

    Equal certainties share the mean of their ranks' votes.
    """
    n = len(samples)
    certainties = np.array([s.self_certainty for s in samples])
    order = np.argsort(-certainties, kind="stable")
    votes = np.empty(n)
    votes[order] = (n - np.arange(n, dtype=float)) ** power
    for value in np.unique(certainties):
        equal = certainties == value
        votes[equal] = votes[equal].mean()
    return _elect(samples, [float(v) for v in votes])


def adaptive_consistency(samples: Sequence[Drawn], confidence: float = 0.95) -> Elected:
    """Adaptive-Consistency (arXiv 2305.11860): draw until the majority is unlikely to change.

    With v1 and v2 votes of the first two answers, drawing stops when P(p1 > p2) exceeds
    `confidence`, p1 / (p1 + p2) having the posterior Beta(v1 + 1, v2 + 1).
    """
    for drawn in range(1, len(samples) + 1):
        counts = Counter(s.key for s in samples[:drawn] if s.key is not None)
        first, second = (*(votes for _, votes in counts.most_common(2)), 0, 0)[:2]
        if first and _ahead(first, second) > confidence:
            return majority(samples[:drawn])
    return majority(samples)


def lowest_group(token_confidence: Sequence[float], window: int | None) -> float:
    """The smallest mean of c_t over the sliding windows of a completion; 0 of an empty one."""
    length = len(token_confidence)
    return min(window_means(token_confidence, _width(length, window))) if length else 0.0


def _width(length: int, window: int | None) -> int:
    return window_length(length) if window is None else min(length, window)


def _ahead(first: int, second: int) -> float:
    """P(x > 1/2) of x ~ Beta(first + 1, second + 1): a binomial tail, since both are whole."""
    n = first + second + 1
    return float(sum(math.comb(n, k) for k in range(first + 1)) / 2**n)


def _agreement(voting: Sequence[tuple[Drawn, float]]) -> float:
    counts = _counts([s for s, _ in voting], [w for _, w in voting])
    total = math.fsum(counts.values())
    return max(counts.values(), default=0.0) / total if total else 0.0


def _counts(samples: Sequence[Drawn], weights: Sequence[float] | None = None) -> dict[str, float]:
    parts: dict[str, list[float]] = {}
    for sample, weight in zip(
        samples, [1.0] * len(samples) if weights is None else weights, strict=True
    ):
        if sample.key is not None:
            parts.setdefault(sample.key, []).append(weight)
    return {key: math.fsum(part) for key, part in parts.items()}


def _elect(samples: Sequence[Drawn], weights: Sequence[float]) -> Elected:
    counts = _counts(samples, weights)
    most = max(counts.values(), default=0.0)
    winners = tuple(key for key, votes in counts.items() if votes == most)
    return Elected(winners, _written(samples))


def _written(samples: Sequence[Drawn]) -> int:
    return sum(len(sample.token_confidence) for sample in samples)
