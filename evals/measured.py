"""Calibration, measured: each number with its interval and the confidence that it speaks of."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Literal, Self

import numpy as np
from numpy.typing import ArrayLike

from catts.calibration import ConfidenceMap
from catts.confidence import ConfidenceKind
from catts.evals.calibration_metrics import (
    BINS,
    CLIP,
    Spacing,
    brier_statistic,
    ece_statistic,
    edges,
    gap_statistic,
    log_loss_statistic,
    probable,
)
from catts.evals.metrics import (
    FloatArray,
    Interval,
    Statistic,
    cluster_bootstrap,
    scored,
    weighted_auroc,
    within_cluster_aurocs,
)
from catts.evals.selective import aurc_statistic, coverage_statistic
from catts.records import Record

MetricName = Literal[
    "overconfidence_gap",
    "ece_equal_width",
    "ece_equal_mass",
    "brier",
    "nll",
    "auroc",
    "auroc_within",
    "aurc",
    "coverage_at_risk",
]
"""`overconfidence_gap` to `nll` need probabilities; the others only an order."""

RISKS = (0.05, 0.1, 0.2)
"""Risks whose coverage is told."""


class CalibrationMetric(Record):
    """One number about a model's confidence, complete enough to stand alone."""

    metric: MetricName
    detail: str = ""
    """What else decides the number: bins, clipping, the risk."""
    condition: str
    """Which answers: to clean pictures, to pictures noised in the key region at t, ..."""
    value: float | None
    """None where it is undefined: no mapping was fitted, or nothing is right, or nothing wrong."""
    low: float | None = None
    high: float | None = None
    """95 % bootstrap interval, clustered by question."""
    n: int
    """Questions that it rests on."""
    answers: int
    """Their answers."""
    confidence: str
    """The confidence that it speaks of."""
    mapping: str | None = None
    """Mapping to the probability of being right; None where the order alone counts, or where the
    confidence is a probability itself."""


@dataclass(frozen=True)
class Beliefs:
    """Answers, question by question: how sure the model was of each, and whether it was right.

    An answer without a confidence of the kind is left out by whoever makes the record.
    """

    confidences: Sequence[ArrayLike]
    """Shape (n_i,) for each question; higher means surer."""
    right: Sequence[ArrayLike]
    """Shape (n_i,) for each question, 0 or 1."""
    confidence: str
    """Its kind, for people."""
    probabilities: Sequence[ArrayLike] | None = None
    """The confidences as probabilities of being right; None where nothing maps them."""
    mapping: str | None = None
    """What maps them."""
    condition: str = "clean"

    @classmethod
    def mapped(
        cls,
        confidences: Sequence[ArrayLike],
        right: Sequence[ArrayLike],
        kind: ConfidenceKind,
        mapping: ConfidenceMap | None,
        condition: str = "clean",
    ) -> Self:
        """A kind of confidence with the mapping that was fitted to it on other questions, if any.

        Raises:
            ValueError: the mapping is of another kind.
        """
        if mapping is None:
            return cls(confidences, right, kind, condition=condition)
        if mapping.kind != kind:
            raise ValueError(f"a mapping of {mapping.kind} says nothing of {kind}")
        mapped = [mapping.probabilities(part) for part in confidences]
        return cls(confidences, right, kind, mapped, mapping.name, condition)

    @classmethod
    def of_probabilities(
        cls,
        probabilities: Sequence[ArrayLike],
        right: Sequence[ArrayLike],
        name: str,
        condition: str = "clean",
    ) -> Self:
        """Confidences that are probabilities by themselves, such as a share of the votes."""
        return cls(probabilities, right, name, probabilities, condition=condition)


def calibration(
    beliefs: Beliefs,
    *,
    bins: int = BINS,
    clip: float = CLIP,
    risks: Sequence[float] = RISKS,
    n_boot: int = 2000,
    seed: int = 0,
) -> tuple[CalibrationMetric, ...]:
    """All metrics of one confidence under one condition.

    Those that need probabilities are None without them: they are never taken of raw confidences.
    Those of order (AUROC, AURC, coverage) are of the raw confidence, since a mapping that never
    falls changes no order and can only tie. The interval of ECE is the reflected one and never
    below 0, because the noise of small bins adds to ECE, and once more in a resample.

    Args:
        beliefs: the answers.
        bins: of ECE; both spacings are measured.
        clip: of the log loss, see `catts.evals.calibration_metrics.log_loss`.
        risks: for each of them the coverage.
        n_boot: resamples of the questions.
        seed: the same seed and answers give the same intervals.

    Raises:
        ValueError: there is no answer, the two sides differ in shape, or a probability lies
            outside [0, 1].
    """
    measured = partial(_measured, beliefs, n_boot=n_boot, seed=seed)
    sure: list[FloatArray] | None = None
    if beliefs.probabilities is not None:
        pairs = zip(beliefs.probabilities, beliefs.right, strict=True)
        sure = [probable(p, r) for p, r in pairs if np.size(p)]
    raw = [
        scored(c, r)
        for c, r in zip(beliefs.confidences, beliefs.right, strict=True)
        if np.size(c) or np.size(r)
    ]
    binned = {spacing: _ece(sure, bins, spacing) for spacing in _SPACINGS}
    return (
        measured("overconfidence_gap", sure, gap_statistic),
        *(
            measured(name, sure, binned[spacing], f"{bins} bins of equal {spacing}", noisy=True)
            for spacing, name in _SPACINGS.items()
        ),
        measured("brier", sure, brier_statistic),
        measured("nll", sure, log_loss_statistic(clip), f"nats, p within {clip:g} of 0 and 1"),
        measured("auroc", raw, weighted_auroc, "all pairs"),
        _within(beliefs, n_boot, seed),
        measured("aurc", raw, aurc_statistic),
        *(
            measured("coverage_at_risk", raw, coverage_statistic(risk), f"risk at most {risk:g}")
            for risk in risks
        ),
    )


_SPACINGS: dict[Spacing, MetricName] = {"width": "ece_equal_width", "mass": "ece_equal_mass"}
_NEED_PROBABILITIES = ("overconfidence_gap", *_SPACINGS.values(), "brier", "nll")


def _ece(rows: Sequence[FloatArray] | None, bins: int, spacing: Spacing) -> Statistic:
    p = np.concatenate([part[:, 0] for part in rows]) if rows else np.zeros(1)
    return ece_statistic(edges(p, bins, spacing))


def _measured(
    beliefs: Beliefs,
    metric: MetricName,
    rows: Sequence[FloatArray] | None,
    statistic: Statistic,
    detail: str = "",
    *,
    noisy: bool = False,
    n_boot: int,
    seed: int,
) -> CalibrationMetric:
    if rows is None:
        return _record(beliefs, metric, detail, None, beliefs.confidences)
    defined = np.concatenate(rows) if rows else np.zeros((0, 2))
    if len(defined) and np.isnan(statistic(defined, np.ones((1, len(defined))))[0]):
        return _record(beliefs, metric, detail, None, rows)
    found = cluster_bootstrap(rows, statistic, n_boot=n_boot, seed=seed, reflected=noisy)
    if noisy:
        found = Interval(found.estimate, max(0.0, found.low), max(found.high, found.estimate))
    return _record(beliefs, metric, detail, found, rows)


def _within(beliefs: Beliefs, n_boot: int, seed: int) -> CalibrationMetric:
    pairs = list(zip(beliefs.confidences, beliefs.right, strict=True))
    mixed = [c for c, r in pairs if 0 < np.sum(r, dtype=np.float64) < np.size(r)]
    values = within_cluster_aurocs(beliefs.confidences, beliefs.right)
    found = cluster_bootstrap([[v] for v in values], n_boot=n_boot, seed=seed) if mixed else None
    detail = "mean over questions with right and wrong answers"
    return _record(beliefs, "auroc_within", detail, found, mixed)


def _record(
    beliefs: Beliefs,
    metric: MetricName,
    detail: str,
    found: Interval | None,
    rows: Sequence[ArrayLike],
) -> CalibrationMetric:
    sizes = [len(np.asarray(part)) for part in rows]
    return CalibrationMetric(
        metric=metric,
        detail=detail,
        condition=beliefs.condition,
        value=None if found is None else found.estimate,
        low=None if found is None else found.low,
        high=None if found is None else found.high,
        n=sum(size > 0 for size in sizes),
        answers=sum(sizes),
        confidence=beliefs.confidence,
        mapping=beliefs.mapping if metric in _NEED_PROBABILITIES else None,
    )
