"""Answering only when sure: error against the share of questions answered.

Only the order of confidences counts here, so any kind will do, a probability or not. Risk is the
share of wrong answers among those given, coverage the share of answers that are given; answers of
equal confidence are given together, or in random order where a curve needs every coverage.
"""

import numpy as np
from numpy.typing import ArrayLike

from catts.evals.metrics import FloatArray, Statistic, ratio, scored


def risk_coverage(scores: ArrayLike, right: ArrayLike) -> tuple[FloatArray, FloatArray]:
    """The risk-coverage curve (El-Yaniv and Wiener, JMLR 2010), a point for each threshold.

    Args:
        scores: shape (N,), higher means surer.
        right: shape (N,), 0 or 1.

    Returns:
        Coverage, strictly increasing to 1, and risk, in [0, 1]; shape (number of distinct scores,).

    Raises:
        ValueError: there is no answer, or a number is missing.
    """
    rows = scored(scores, right)
    given, wrong = _groups(rows, np.ones((1, len(rows))))
    total = given.cumsum(axis=1)[0]
    return total / len(rows), wrong.cumsum(axis=1)[0] / total


def aurc(scores: ArrayLike, right: ArrayLike) -> float:
    """Area under the risk-coverage curve, in [0, 1], lower is better: see `aurc_statistic`.

    Raises:
        ValueError: there is no answer, or a number is missing.
    """
    rows = scored(scores, right)
    return float(aurc_statistic(rows, np.ones((1, len(rows))))[0])


def coverage_at_risk(scores: ArrayLike, right: ArrayLike, risk: float) -> float:
    """The largest coverage of a threshold whose risk is at most `risk`; 0 where there is none.

    The threshold is chosen on the same answers, so the number is a little too good; one to rely on
    is chosen on validation data.

    Raises:
        ValueError: there is no answer, a number is missing, or `risk` lies outside [0, 1].
    """
    rows = scored(scores, right)
    return float(coverage_statistic(risk)(rows, np.ones((1, len(rows))))[0])


def aurc_statistic(rows: FloatArray, weights: FloatArray) -> FloatArray:
    """AURC as a `Statistic`: rows (N, 2) hold a score and whether it was right.

    (1 / N) sum over k of the risk of the k surest answers (Geifman et al., arXiv 1805.08206). Equal
    scores are in random order, of which this is the expectation: within a group of g answers with e
    wrong ones that follows K others with E wrong ones, the wrong ones among the first K + j are
    E + j e / g.
    """
    given, wrong = _groups(rows, weights)
    after = np.rint(given.cumsum(axis=1)).astype(int)
    before = after - np.rint(given).astype(int)
    errors = wrong.cumsum(axis=1) - wrong
    rate = np.divide(wrong, given, out=np.zeros_like(wrong), where=given > 0)
    # sum over k of (E + (k - K) e / g) / k, by harmonic numbers
    harmonic = np.concatenate([[0.0], np.cumsum(1 / np.arange(1, after.max(initial=0) + 1))])
    area = wrong + (errors - before * rate) * (harmonic[after] - harmonic[before])
    return ratio(area.sum(axis=1), weights.sum(axis=1))


def coverage_statistic(risk: float) -> Statistic:
    """`coverage_at_risk` as a `Statistic`; every resample has a threshold of its own."""
    if not 0 <= risk <= 1:
        raise ValueError(f"a risk of {risk} is no share of wrong answers: it lies in [0, 1]")

    def statistic(rows: FloatArray, weights: FloatArray) -> FloatArray:
        given, wrong = (part.cumsum(axis=1) for part in _groups(rows, weights))
        # a risk that is met exactly is not missed by the last bit of a product
        covered = np.where(wrong <= risk * given + 1e-9, given, 0.0)
        return ratio(covered.max(axis=1), weights.sum(axis=1))

    return statistic


def _groups(rows: FloatArray, weights: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Answers and wrong answers of each distinct score, the surest first: shape (B, groups)."""
    order = np.argsort(-rows[:, 0], kind="stable")
    scores, right = rows[order, 0], rows[order, 1]
    starts = np.flatnonzero(np.r_[True, scores[1:] != scores[:-1]])
    drawn = weights[:, order]
    return np.add.reduceat(drawn, starts, axis=1), np.add.reduceat(
        drawn * (1 - right), starts, axis=1
    )
