"""How far probabilities are from what happens: over-confidence, ECE, Brier score, log loss.

Pure functions on arrays: p holds the probability that each answer is right, `right` whether it is.
The statistics take rows (p, right), so that `catts.evals.metrics.cluster_bootstrap` gives their
intervals by question. All of them speak of probabilities: a confidence of another kind is mapped
first (`catts.evals.measured`).
"""

from collections.abc import Callable
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from catts.evals.metrics import FloatArray, Statistic, filled, ratio, weighted_mean

Spacing = Literal["width", "mass"]
"""Bins of equal width over [0, 1], or with an equal number of answers in each."""

BINS = 15
"""The customary number (Guo et al., arXiv 1706.04599)."""
CLIP = 1e-6
"""Log loss takes p as at least this and at most 1 minus this: one sure error is not infinite."""


class Bin(NamedTuple):
    """Answers of about one probability."""

    low: float
    high: float
    """Borders: low <= p < high, and p <= high in the last bin."""
    n: int
    """Answers in it, at least one."""
    probability: float
    """Their mean p."""
    accuracy: float


def overconfidence_gap(p: ArrayLike, right: ArrayLike) -> float:
    """mean(p) - mean(right), in [-1, 1]: above 0, a model believes more than it knows.

    Raises:
        ValueError: see `probable`.
    """
    return _of(gap_statistic, p, right)


def brier_score(p: ArrayLike, right: ArrayLike) -> float:
    """Mean (p - right)^2, in [0, 1], lower is better (Brier, 1950); a proper score.

    Raises:
        ValueError: see `probable`.
    """
    return _of(brier_statistic, p, right)


def log_loss(p: ArrayLike, right: ArrayLike, *, clip: float = CLIP) -> float:
    """Negative log-likelihood: mean -log(p if right else 1 - p), nats, >= 0, lower is better.

    Args:
        p: shape (N,), in [0, 1].
        right: shape (N,), 0 or 1.
        clip: p counts as at least this and at most 1 minus this; in (0, 0.5). State it.

    Raises:
        ValueError: see `probable`.
    """
    return _of(log_loss_statistic(clip), p, right)


def expected_calibration_error(
    p: ArrayLike, right: ArrayLike, *, bins: int = BINS, spacing: Spacing = "width"
) -> float:
    """ECE: sum over bins of n_b / N |mean p - accuracy|, in [0, 1] (Guo et al., 1706.04599).

    It depends on the bins, so they belong to the number. See `edges` for their borders.

    Raises:
        ValueError: see `probable`, or there is no bin.
    """
    return _of(ece_statistic(edges(p, bins, spacing)), p, right)


def reliability(
    p: ArrayLike, right: ArrayLike, *, bins: int = BINS, spacing: Spacing = "width"
) -> list[Bin]:
    """The bins that hold an answer, from the least to the most probable: a reliability diagram.

    Raises:
        ValueError: see `probable`, or there is no bin.
    """
    rows, borders = probable(p, right), edges(p, bins, spacing)
    place = places(rows[:, 0], borders)
    return [
        Bin(float(borders[b]), float(borders[b + 1]), len(part), *map(float, part.mean(axis=0)))
        for b in range(len(borders) - 1)
        if len(part := rows[place == b])
    ]


def edges(p: ArrayLike, bins: int = BINS, spacing: Spacing = "width") -> FloatArray:
    """Borders of the bins, shape (bins + 1,); each bin takes its lower one, the last both.

    With equal mass they are the quantiles of p. Equal probabilities cannot be parted, so where many
    are equal there are fewer bins, and they do not hold equally many.

    Raises:
        ValueError: there is no p, or no bin.
    """
    if bins < 1:
        raise ValueError(f"{bins} bins hold nothing: give 1 or more")
    if spacing == "width":
        return np.linspace(0, 1, bins + 1)
    borders = np.unique(np.quantile(filled(p, "probabilities"), np.linspace(0, 1, bins + 1)))
    return borders if len(borders) > 1 else np.repeat(borders, 2)


def places(p: FloatArray, borders: FloatArray) -> NDArray[np.intp]:
    """The bin of each probability, counted from 0; see `edges`."""
    return np.searchsorted(borders[1:-1], p, side="right")


def probable(p: ArrayLike, right: ArrayLike) -> FloatArray:
    """Rows (p, right) of shape (N, 2), as the statistics here take them.

    Raises:
        ValueError: there is none, lengths differ, p lies outside [0, 1], or right is not 0 or 1.
    """
    columns = filled(p, "probabilities"), filled(right, "right")
    if columns[0].shape != columns[1].shape or columns[0].ndim != 1:
        raise ValueError("give one probability and one 0 or 1 for each answer")
    if columns[0].min() < 0 or columns[0].max() > 1:
        raise ValueError("probabilities lie in [0, 1]: map a confidence to one first")
    if not np.isin(columns[1], (0, 1)).all():
        raise ValueError("an answer is right, 1, or not, 0")
    return np.stack(columns, axis=1)


def gap_statistic(rows: FloatArray, weights: FloatArray) -> FloatArray:
    """`overconfidence_gap` as a `Statistic`."""
    return weighted_mean(rows[:, 0] - rows[:, 1], weights)


def brier_statistic(rows: FloatArray, weights: FloatArray) -> FloatArray:
    """`brier_score` as a `Statistic`."""
    return weighted_mean((rows[:, 0] - rows[:, 1]) ** 2, weights)


def log_loss_statistic(clip: float = CLIP) -> Statistic:
    """`log_loss` as a `Statistic`."""
    if not 0 < clip < 0.5:
        raise ValueError(f"clip is {clip}: it lies between 0 and 0.5")

    def statistic(rows: FloatArray, weights: FloatArray) -> FloatArray:
        p = np.clip(rows[:, 0], clip, 1 - clip)
        return weighted_mean(-np.log(np.where(rows[:, 1] > 0, p, 1 - p)), weights)

    return statistic


def ece_statistic(borders: FloatArray) -> Statistic:
    """`expected_calibration_error` as a `Statistic`; every resample is put into the same bins."""

    def statistic(rows: FloatArray, weights: FloatArray) -> FloatArray:
        place = places(rows[:, 0], borders)
        in_bin = np.eye(len(borders) - 1)[place]
        excess = weights @ (in_bin * (rows[:, :1] - rows[:, 1:]))
        return ratio(np.abs(excess).sum(axis=1), weights.sum(axis=1))

    return statistic


def _of(
    statistic: Callable[[FloatArray, FloatArray], FloatArray], p: ArrayLike, right: ArrayLike
) -> float:
    rows = probable(p, right)
    return float(statistic(rows, np.ones((1, len(rows))))[0])
