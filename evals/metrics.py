"""Accuracy, calibration and their intervals: pure functions on arrays, numpy only.

Samples of one question are not independent of each other, so every interval here resamples whole
questions ("clusters"). Data by question is a sequence of arrays, one a question; they may differ in
length.
"""

import math
from collections import Counter
from collections.abc import Callable, Hashable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

FloatArray = NDArray[np.float64]

Statistic = Callable[[FloatArray, FloatArray], FloatArray]
"""A weighted statistic of all rows, many weightings at once.

Takes the rows of all clusters, shape (N, ...), and their weights, shape (B, N), each weight the
number of times that the row was drawn; returns shape (B,), NaN where the statistic is undefined.
"""

_CHUNK_CELLS = 4_000_000


class Interval(NamedTuple):
    """An estimate with its bootstrap interval."""

    estimate: float
    """The statistic on the data as they are."""
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.estimate:.3f} [{self.low:.3f}, {self.high:.3f}]"


def weighted_mean(rows: FloatArray, weights: FloatArray) -> FloatArray:
    """sum_i w_i x_i / sum_i w_i for each row of weights: the default `Statistic`; rows are (N,)."""
    total = weights.sum(axis=1)
    return ratio(weights @ rows, total)


def weighted_auroc(rows: FloatArray, weights: FloatArray) -> FloatArray:
    """AUROC as a `Statistic`: rows are (N, 2), a score and whether it was right (0 or 1).

    scikit-learn's takes one weighting at a time, and a bootstrap has thousands.

    sum over pairs (right i, wrong j) of w_i w_j ([s_i > s_j] + 1/2 [s_i = s_j]), divided by
    sum over those pairs of w_i w_j; NaN where a class has no weight.
    """
    order = np.argsort(rows[:, 0], kind="stable")
    scores, right = rows[order, 0], rows[order, 1]
    starts = np.flatnonzero(np.r_[True, scores[1:] != scores[:-1]])
    drawn = weights[:, order]
    positive = np.add.reduceat(drawn * right, starts, axis=1)
    negative = np.add.reduceat(drawn * (1 - right), starts, axis=1)
    below = np.cumsum(negative, axis=1) - negative / 2
    return ratio((positive * below).sum(axis=1), positive.sum(axis=1) * negative.sum(axis=1))


def cluster_bootstrap(
    clusters: Sequence[ArrayLike],
    statistic: Statistic = weighted_mean,
    *,
    n_boot: int = 2000,
    seed: int = 0,
    level: float = 0.95,
    reflected: bool = False,
) -> Interval:
    """A statistic of all rows with an interval that resamples clusters with replacement.

    Args:
        clusters: the rows of each cluster, shape (n_i,) or (n_i, d); at least one row in all.
        statistic: what is estimated; the mean over all rows by default.
        n_boot: number of resamples.
        seed: the same seed and data give the same interval.
        level: coverage of the interval, in (0, 1).
        reflected: the basic interval, 2 estimate - quantile, instead of the percentile one: for a
            statistic that noise pushes one way, whose resamples are pushed once more.

    Returns:
        The estimate and its interval. Resamples in which the statistic is undefined are left out.

    Raises:
        ValueError: there is no row, or the statistic is undefined on the data.
    """
    estimate, draws = resamples(clusters, statistic, n_boot=n_boot, seed=seed)
    return interval_of(estimate, draws, level, reflected=reflected)


def resamples(
    clusters: Sequence[ArrayLike], statistic: Statistic, *, n_boot: int, seed: int
) -> tuple[float, FloatArray]:
    """A statistic of all rows, and of each resample of the clusters, shape (n_boot,).

    Which clusters a resample draws depends on their number and the seed alone.

    Raises:
        ValueError: there is no row.
    """
    parts = [np.asarray(c, dtype=np.float64) for c in clusters]
    sizes = np.array([len(part) for part in parts])
    if not sizes.sum():
        raise ValueError("no rows to take a statistic of")
    rows = np.concatenate([part for part in parts if len(part)])
    estimate = float(statistic(rows, np.ones((1, len(rows))))[0])
    draws = [
        statistic(rows, np.repeat(drawn, sizes, axis=1))
        for drawn in _multiplicities(len(parts), len(rows), n_boot, seed)
    ]
    return estimate, np.concatenate(draws)


def paired_difference(
    first: Sequence[ArrayLike],
    second: Sequence[ArrayLike],
    *,
    n_boot: int = 2000,
    seed: int = 0,
    level: float = 0.95,
) -> Interval:
    """mean(first) - mean(second) with an interval, both on the same resampled clusters.

    Args:
        first: rows of each cluster, shape (n_i,).
        second: rows of the same clusters in the same order, shape (m_i,); m_i may differ from n_i
            (eight samples against one vote). Each side's mean is over all of its rows.
        n_boot: number of resamples.
        seed: the same seed and data give the same interval.
        level: coverage of the interval, in (0, 1).

    Raises:
        ValueError: the sides have different numbers of clusters, or one has no row.
    """
    if len(first) != len(second):
        raise ValueError(f"{len(first)} clusters on one side, {len(second)} on the other")
    sums = np.array([[np.sum(a, dtype=np.float64) for a in side] for side in (first, second)])
    sizes = np.array([[np.size(a) for a in side] for side in (first, second)], dtype=np.float64)
    if not sizes.sum(axis=1).all():
        raise ValueError("no rows to take a difference of")

    def difference(drawn: FloatArray) -> FloatArray:
        means = ratio(drawn @ sums.T, drawn @ sizes.T)
        return means[:, 0] - means[:, 1]

    estimate = float(difference(np.ones((1, len(first))))[0])
    draws = [difference(d) for d in _multiplicities(len(first), len(first), n_boot, seed)]
    return interval_of(estimate, np.concatenate(draws), level)


def auroc(scores: ArrayLike, right: ArrayLike) -> float:
    """P(score of a right one > score of a wrong one) + 1/2 P(equal), over all pairs.

    Args:
        scores: shape (N,), higher means surer.
        right: shape (N,), 0 or 1.

    Raises:
        ValueError: all are right or all are wrong: there is no pair to order.
    """
    rows = scored(scores, right)
    value = float(weighted_auroc(rows, np.ones((1, len(rows))))[0])
    if math.isnan(value):
        raise ValueError("AUROC needs right and wrong ones")
    return value


def within_cluster_aurocs(scores: Sequence[ArrayLike], right: Sequence[ArrayLike]) -> FloatArray:
    """AUROC of each question that has both right and wrong samples, in order.

    Only pairs of the same question are compared, so a question's difficulty cancels out. Every such
    question counts once, however many pairs it has; questions of one kind only say nothing about
    order and are left out. `cluster_bootstrap` of the result is the mean with its interval.

    Args:
        scores: shape (n_i,) for each question.
        right: shape (n_i,) for each question, 0 or 1.
    """
    values = [
        auroc(s, r)
        for s, r in zip(scores, right, strict=True)
        if 0 < np.sum(r, dtype=np.float64) < np.size(r)
    ]
    return np.array(values, dtype=np.float64)


def any_correct_at_k(n: int, correct: int, k: int) -> float:
    """pass@k of one question, unbiased: 1 - C(n - c, k) / C(n, k) (Chen et al., arXiv 2107.03374).

    The chance that k of its n samples, drawn without replacement, hold at least one of the
    `correct` right ones; k = 1 is the mean accuracy of a single sample.

    Raises:
        ValueError: not 1 <= k <= n or not 0 <= correct <= n.
    """
    if not 1 <= k <= n or not 0 <= correct <= n:
        raise ValueError(f"{correct} right of {n} samples has no pass@{k}")
    return 1 - math.comb(n - correct, k) / math.comb(n, k)


def majority_at_k(
    answers: Sequence[Hashable | None], right: Sequence[bool], k: int | None = None
) -> float:
    """Chance that the most frequent answer among k of a question's n samples is right.

    Exact over all C(n, k) subsets, so it is unbiased for k < n; a tie of t answers is broken
    evenly, each winning 1/t. Samples without an answer (None) take up a place and cast no vote;
    where nobody votes the majority is wrong.

    Args:
        answers: canonical answer of each of the n samples.
        right: whether each sample is right, n of them; equal answers have equal values.
        k: samples in the vote; all n by default.

    Raises:
        ValueError: lengths differ, not 1 <= k <= n, or equal answers are graded differently.
    """
    n = len(answers)
    k = n if k is None else k
    if len(right) != n or not 1 <= k <= n:
        raise ValueError(f"no majority of {k} from {n} answers and {len(right)} grades")
    graded = {(a, bool(r)) for a, r in zip(answers, right, strict=True) if a is not None}
    grades = dict(graded)
    if len(grades) != len(graded):
        raise ValueError("one answer was graded both right and wrong")
    counts = Counter(a for a in answers if a is not None)
    silent = n - counts.total()
    won = 0.0
    for answer, is_right in grades.items():
        if is_right:
            others = [count for other, count in counts.items() if other != answer]
            won += _winning_subsets(counts[answer], others, silent, k)
    return won / math.comb(n, k)


def log_scores(probability_of_truth: ArrayLike, *, floor: float) -> FloatArray:
    """Log max(p, floor) of each question's right answer, nats, <= 0; higher is better.

    Args:
        probability_of_truth: share that the forecast gave to the right answer, in [0, 1].
        floor: smallest probability that counts, in (0, 1]; a right answer that was never a
            candidate has p = 0 and would make every mean -inf. State it with the result.
    """
    return np.log(np.maximum(filled(probability_of_truth, "probabilities"), floor))


def _winning_subsets(own: int, others: Sequence[int], silent: int, k: int) -> float:
    """Subsets of k samples that an answer with `own` votes wins; a tie of t counts 1/t."""
    total = 0.0
    for votes in range(1, min(own, k) + 1):
        # ways[size, ties]: subsets of the other samples in which no answer beats `votes`
        ways = Counter({(0, 0): 1})
        for count in others:
            grown: Counter[tuple[int, int]] = Counter()
            for (size, ties), number in ways.items():
                for taken in range(min(count, votes, k - votes - size) + 1):
                    key = (size + taken, ties + (taken == votes))
                    grown[key] += number * math.comb(count, taken)
            ways = grown
        total += math.comb(own, votes) * sum(
            number * math.comb(silent, k - votes - size) / (ties + 1)
            for (size, ties), number in ways.items()
        )
    return total


def _multiplicities(clusters: int, width: int, n_boot: int, seed: int) -> Iterator[FloatArray]:
    """How often each cluster is drawn in each resample: blocks of shape (b, clusters)."""
    rng = np.random.default_rng(seed)
    block = max(1, _CHUNK_CELLS // max(width, clusters))
    for start in range(0, n_boot, block):
        size = min(block, n_boot - start)
        drawn = rng.integers(0, clusters, (size, clusters))
        flat = drawn + clusters * np.arange(size)[:, None]
        counts = np.bincount(flat.ravel(), minlength=size * clusters)
        yield counts.reshape(size, clusters).astype(np.float64)


def interval_of(
    estimate: float, draws: FloatArray, level: float = 0.95, *, reflected: bool = False
) -> Interval:
    """The quantiles of what a statistic was on resamples; `reflected` as in `cluster_bootstrap`.

    Raises:
        ValueError: the statistic is undefined on the data.
    """
    if math.isnan(estimate):
        raise ValueError("the statistic is undefined on these data")
    tail = (1 - level) / 2
    values = 2 * estimate - draws if reflected else draws
    low, high = np.nanquantile(values, (tail, 1 - tail))
    return Interval(estimate, float(low), float(high))


def ratio(numerator: FloatArray, denominator: FloatArray) -> FloatArray:
    """Element by element, NaN where the denominator is 0: a statistic of nothing is undefined."""
    undefined = np.full_like(numerator, np.nan)
    return np.divide(numerator, denominator, out=undefined, where=denominator != 0)


def scored(scores: ArrayLike, right: ArrayLike) -> FloatArray:
    """Rows (score, right) of shape (N, 2), as statistics of both take them."""
    return np.stack([filled(scores, "scores"), filled(right, "right")], axis=1)


def filled(values: ArrayLike, name: str) -> FloatArray:
    """Numbers as an array; raises ValueError, which says `name`, where one is missing or all."""
    array = np.asarray(values, dtype=np.float64)
    if not array.size or np.isnan(array).any():
        raise ValueError(f"{name} must be numbers, at least one")
    return array
