"""Other ways to spend samples, each by its paper's formula: pure functions on stored samples.

Every one takes what a question's samples said, as `Drawn`, and returns whom it elects with the
samples, and so the tokens, that it used. Where a paper leaves a detail open, the code that its
authors published decides.
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
    """c_t of each token, nats; empty where the engine does not tell."""
    mean_logprob: float | None
    """None where the engine does not tell, or nothing was written."""
    self_certainty: float | None
    """The same."""
    tokens: int
    """Tokens that were written."""


class Elected(NamedTuple):
    """The outcome of a vote."""

    winners: tuple[str, ...]
    """Keys with the most votes; more than one in a tie, none when nobody voted."""
    tokens: int
    """Tokens written until the vote was over."""


def majority(samples: Sequence[Drawn]) -> Elected:
    """One sample, one vote (arXiv 2203.11171)."""
    return _elect(samples, [1.0] * len(samples), _written(samples))


def deepconf(samples: Sequence[Drawn], keep: float, window: int | None = WINDOW) -> Elected:
    """DeepConf, offline (arXiv 2508.15260): the surest votes, each weighted by its confidence.

    A sample's confidence is its lowest group confidence, the smallest mean of c_t over a sliding
    window. Of the samples with an answer those vote that reach the (1 - `keep`) quantile.

    Args:
        samples: of one question.
        keep: share that votes, in (0, 1]; the paper's are 0.1 and 0.9.
        window: tokens of a group; None for a tenth of the completion, for completions much shorter
            than the paper's.
    """
    answered = [s for s in samples if s.key is not None]
    lowest = [lowest_group(s.token_confidence, window) for s in answered]
    threshold = _threshold(lowest, keep)
    kept = [(s, c) for s, c in zip(answered, lowest, strict=True) if c >= threshold]
    return _elect([s for s, _ in kept], [c for _, c in kept], _written(samples))


def deepconf_online(
    samples: Sequence[Drawn],
    keep: float,
    warmup: int,
    consensus: float = 0.95,
    window: int | None = WINDOW,
) -> Elected:
    """DeepConf, online, by simulation on stored confidences (arXiv 2508.15260).

    The first `warmup` samples are written out and set the threshold, the (1 - `keep`) quantile of
    their lowest group confidences. A later sample ends, without a vote, with the first group below
    it, and nothing is drawn any more once one answer has `consensus` of the votes.

    Args:
        samples: of one question, in the order in which they were drawn.
        keep: see `deepconf`.
        warmup: samples that are written out, at least 1.
        consensus: share of the votes that ends the drawing; the paper's is 0.95.
        window: tokens of a group; None for a tenth of what the warm-up wrote on average, since
            nobody knows a completion's length while it is being written.
    """
    first = samples[:warmup]
    width = window
    if width is None:
        lengths = [len(s.token_confidence) for s in first]
        width = window_length(round(sum(lengths) / max(1, len(lengths)))) or 1
    lowest = [lowest_group(s.token_confidence, width) for s in first]
    threshold = _threshold(lowest, keep)
    voting = [(s, c) for s, c in zip(first, lowest, strict=True) if c >= threshold]
    tokens = _written(first)
    for sample in samples[warmup:]:
        if _agreement(voting) >= consensus:
            break
        group = min(len(sample.token_confidence), width)
        groups = window_means(sample.token_confidence, group) if group else [0.0]
        below = next((i for i, mean in enumerate(groups) if mean < threshold), None)
        tokens += sample.tokens if below is None else below + group
        if below is None:
            voting.append((sample, min(groups)))
    return _elect([s for s, _ in voting], [c for _, c in voting], tokens)


def cisc(samples: Sequence[Drawn], temperature: float) -> Elected:
    """CISC (arXiv 2502.06233): votes weighted by a softmax over the samples' confidences.

    The confidence is the response probability, exp of the mean log-probability; the weight of
    sample i is exp(c_i / T) / sum_j exp(c_j / T) over the samples with an answer.
    """
    told = [
        (s, math.exp(s.mean_logprob))
        for s in samples
        if s.key is not None and s.mean_logprob is not None
    ]
    scores = np.array([c for _, c in told]) / temperature
    weights = np.exp(scores - scores.max()) if told else scores
    return _elect([s for s, _ in told], [float(w) for w in weights], _written(samples))


def self_certainty(samples: Sequence[Drawn], power: float) -> Elected:
    """Borda voting by self-certainty (arXiv 2502.18581): rank r of N has (N - r + 1)^p votes.

    All samples are ranked, those without an answer too, whose votes are lost; a sample of unknown
    certainty comes last. Equal certainties share the mean of their ranks' votes.
    """
    n = len(samples)
    certainties = np.array(
        [-math.inf if s.self_certainty is None else s.self_certainty for s in samples]
    )
    votes = np.empty(n)
    votes[np.argsort(-certainties)] = (n - np.arange(n, dtype=float)) ** power
    for value in np.unique(certainties):
        equal = certainties == value
        votes[equal] = votes[equal].mean()
    return _elect(samples, [float(v) for v in votes], _written(samples))


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
    width = window_length(length) if window is None else min(length, window)
    return min(window_means(token_confidence, width)) if length else 0.0


def _threshold(lowest: Sequence[float], keep: float) -> float:
    return float(np.quantile(lowest, 1 - keep)) if lowest else 0.0


def _ahead(first: int, second: int) -> float:
    """P(x > 1/2) of x ~ Beta(first + 1, second + 1): a binomial tail, since both are whole."""
    n = first + second + 1
    return float(sum(math.comb(n, k) for k in range(first + 1)) / 2**n)


def _agreement(voting: Sequence[tuple[Drawn, float]]) -> float:
    counts = _counts([s for s, _ in voting], [w for _, w in voting])
    total = math.fsum(counts.values())
    return max(counts.values(), default=0.0) / total if total else 0.0


def _counts(samples: Sequence[Drawn], weights: Sequence[float]) -> dict[str, float]:
    parts: dict[str, list[float]] = {}
    for sample, weight in zip(samples, weights, strict=True):
        if sample.key is not None:
            parts.setdefault(sample.key, []).append(weight)
    return {key: math.fsum(part) for key, part in parts.items()}


def _elect(samples: Sequence[Drawn], weights: Sequence[float], tokens: int) -> Elected:
    counts = _counts(samples, weights)
    most = max(counts.values(), default=0.0)
    return Elected(tuple(key for key, votes in counts.items() if votes == most), tokens)


def _written(samples: Sequence[Drawn]) -> int:
    return sum(sample.tokens for sample in samples)
