"""What a model's card recommends, chosen on validation runs: kind of confidence and thresholds.

Where the runs come from does not matter: batches of the embedded world's questions, or traces of
the graph on any benchmark.
"""

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple, Protocol

import numpy as np

from catts.confidence import CONFIDENCE_KINDS, ConfidenceKind
from catts.evals.calibrators import Scored
from catts.evals.metrics import auroc, within_cluster_aurocs
from catts.names import SOURCES, Source

Confidences = Sequence[Sequence[Mapping[ConfidenceKind, float]]]
"""Every kind of confidence of each answer, question by question."""
Hits = Sequence[Sequence[float]]
"""1.0 or 0.0 for each answer, question by question."""

TELLS_APART = 0.65
"""Pooled AUROC that a kind should have to weigh votes."""


class KindScore(NamedTuple):
    """How well a kind of confidence tells right from wrong on validation data."""

    kind: ConfidenceKind
    pooled: float
    """AUROC over all samples."""
    within: float
    """Mean AUROC within one question; NaN where no question has right and wrong samples."""


class Judged(Protocol):
    """A question's vote with all modules asked, as far as the thresholds are chosen by it."""

    @property
    def certainty(self) -> float | None:
        """The leader's probability of being right; None without a leader or a mapping."""

    @property
    def leading(self) -> float:
        """The leader's share of V_internal, in [0, 1]; 0.0 without one."""

    @property
    def turned(self) -> int:
        """1 when the critique turned the leader's wrong answer right, -1 the other way, else 0."""

    def won(self, *sources: Source) -> bool:
        """Whether the right answer wins the tally over these sources."""


def scored(confidences: Confidences, hits: Hits, kind: ConfidenceKind) -> Scored:
    """Rows (confidence, right) of each question; an answer without the kind is left out."""
    return [
        np.array(
            [(told[kind], hit) for told, hit in zip(row, hit_row, strict=True) if kind in told],
            dtype=np.float64,
        ).reshape(-1, 2)
        for row, hit_row in zip(confidences, hits, strict=True)
    ]


def score_kinds(confidences: Confidences, hits: Hits) -> list[KindScore]:
    """AUROC of every kind that an answer has.

    Raises:
        ValueError: all answers with a kind are right, or all are wrong.
    """
    scores = []
    for kind in CONFIDENCE_KINDS:
        rows = scored(confidences, hits, kind)
        if not any(map(len, rows)):
            continue
        pooled = auroc(*np.concatenate(rows).T)
        inside = within_cluster_aurocs([r[:, 0] for r in rows], [r[:, 1] for r in rows])
        within = float(inside.mean()) if inside.size else math.nan
        scores.append(KindScore(kind, pooled, within))
    return scores


def best_kind(scores: Sequence[KindScore], confidences: Confidences) -> ConfidenceKind:
    """The kind that is to weigh votes.

    The best AUROC within one question, because a vote weight has to tell the samples of one
    question apart, among the kinds that every completion has and whose pooled AUROC is at least
    `TELLS_APART`. Without such a kind it is the best of those that every completion has, or of all;
    where no question has right and wrong samples, the best pooled AUROC.

    Raises:
        ValueError: there is no kind.
    """
    if not scores:
        raise ValueError("no answer has a confidence of any kind")
    everywhere = [k for k in scores if all(k.kind in s for row in confidences for s in row)]
    eligible = [k for k in everywhere if k.pooled >= TELLS_APART] or everywhere or list(scores)
    return max(eligible, key=lambda k: k.pooled if math.isnan(k.within) else k.within).kind


def best_reflection(runs: Sequence[Judged]) -> float | None:
    """The certainty below which the critic's net share turned right is largest.

    None, which asks the critic always, where that is best; 0, which never asks it, where no
    threshold turns more right than wrong. Without a mapping there are no certainties, and the
    critic is always asked. Leaders of equal certainty fall on one side together.
    """
    gains: dict[float, int] = {}
    for run in runs:
        if run.certainty is not None:
            gains[run.certainty] = gains.get(run.certainty, 0) + run.turned
    levels = sorted(gains)
    net = np.cumsum([0, *(gains[level] for level in levels)])
    best = int(np.argmax(net))
    if best == len(levels):
        return None
    return levels[best] if best else 0.0


def best_acceptance(runs: Sequence[Judged]) -> float:
    """The smallest leader's share from which accepting at once is as accurate as all modules.

    Infinite, which never accepts at once, where even unanimous samples gain by being checked.
    """
    full = [run.won(*SOURCES) for run in runs]
    alone = [run.won("sample") for run in runs]
    shares = [run.leading for run in runs]
    best = math.inf
    for threshold in np.arange(1.0, 0.45, -0.05).round(2):
        loss = sum(f - a for f, a, s in zip(full, alone, shares, strict=True) if s >= threshold)
        if loss > 0.002 * len(runs):
            break
        best = float(threshold)
    return best
