"""Whether a confidence can be believed: its calibration on clean and on noised pictures."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from catts.agents.protocol import Generation
from catts.calibration import ConfidenceMap
from catts.confidence import ConfidenceKind
from catts.evals.benchmarks.item import Item
from catts.evals.calibration_metrics import BINS, edges, places
from catts.evals.calibrators import Scored, fit_isotonic
from catts.evals.graders.strict import strict
from catts.evals.measured import Beliefs, CalibrationMetric, calibration
from catts.evals.metrics import FloatArray
from catts.evals.studies.result import Cell, Curves, Estimate, Line
from catts.evals.studies.votes import Voted

STEPS = (200, 500, 800)
"""Noise steps, in the key region where it is known and else on the whole picture."""

KINDS: tuple[ConfidenceKind, ...] = ("top_k_mean", "self_certainty")
"""Measured beside the kind that weighs votes: the paper's C, and self-certainty."""

TITLE = "Calibration: what the confidence promises, and how often it is right"


_RISK = 0.1
_BINS = 10
"""Of the plot; each holds equally many answers."""

_LABELS = {
    "overconfidence_gap": "over-confidence gap",
    "ece_equal_width": f"ECE, {BINS} bins of equal width",
    "ece_equal_mass": f"ECE, {BINS} bins of equal mass",
    "brier": "Brier score",
    "nll": "log loss",
    "auroc": "AUROC, pooled",
    "auroc_within": "AUROC within a question",
    "aurc": "AURC",
    "coverage_at_risk": f"coverage at risk {_RISK:g}",
}


_COUNTS = ("questions", "answers")
"""Labels of what the numbers rest on: answers with such a confidence, and their questions."""


@dataclass(frozen=True)
class Asked:
    """What a base model said to every question under one condition."""

    condition: str
    said: Sequence[Generation]
    hits: Sequence[Sequence[float]]
    """Whether each completion is right, question by question."""

    @classmethod
    def graded(cls, condition: str, items: Sequence[Item], said: Sequence[Generation]) -> "Asked":
        """Grade each completion; blocks while they are graded."""
        hits = [
            [float(strict(item, sample.text).right) for sample in generation.samples]
            for item, generation in zip(items, said, strict=True)
        ]
        return cls(condition, said, hits)

    def scored(self, kind: ConfidenceKind) -> Scored:
        """Rows (confidence, right) of each question; completions without the kind are left out."""
        return [
            np.array(
                [
                    (sample.confidence[kind], hit)
                    for sample, hit in zip(generation.samples, hits, strict=True)
                    if kind in sample.confidence
                ],
                dtype=np.float64,
            ).reshape(-1, 2)
            for generation, hits in zip(self.said, self.hits, strict=True)
        ]

    def beliefs(self, kind: ConfidenceKind, mapping: ConfidenceMap | None) -> Beliefs:
        """What the kind of confidence says of each completion."""
        confidences, right = _columns(self.scored(kind))
        return Beliefs.mapped(confidences, right, kind, mapping, self.condition)


def notes(temperature: float, seen: int) -> tuple[str, ...]:
    """What a reader of the table has to know.

    Args:
        temperature: of the samples.
        seen: on how many of the study's questions the card of a base was chosen.
    """
    pictures = "pictures, a card's on some of this very study" if seen else "validation pictures"
    return (
        "Kinds of confidence are no probabilities: what needs one is taken after a mapping that "
        f"was fitted on clean {pictures}, and is empty where there is none. Under noise it is the "
        "same mapping, so the gap there is over-confidence.",
        f"Mappings were fitted on samples at temperature {temperature:g}. Greedy answers go "
        "through the same ones, so a part of their gap is the change of temperature.",
        "share of the votes: the winner's, of the samples alone and of CA-TTS with routing "
        "`paper`; it is a probability by itself.",
    )


def mapping_of(
    kind: ConfidenceKind, known: ConfidenceMap | None, validation: Asked | None, name: str
) -> ConfidenceMap | None:
    """The card's mapping if it is of this kind, or one fitted on validation answers, or None."""
    if known is not None and known.kind == kind:
        return known
    rows = [] if validation is None else validation.scored(kind)
    return fit_isotonic(rows, kind, name) if any(map(len, rows)) else None


def shares(runs: Sequence[Voted], condition: str) -> dict[str, Beliefs]:
    """The winner's share of the votes, of the samples alone and of all; unanswered are left out."""
    found: dict[str, list[tuple[float, float]]] = {"samples": [], "CA-TTS": []}
    for vote in runs:
        if vote.field:
            found["samples"].append((vote.leading, vote.right(vote.field[0].answer)))
        votes, answer = vote.trace.votes, vote.trace.answer
        if answer is not None:
            found["CA-TTS"].append((votes[answer] / sum(votes.values()), vote.answered))
    beliefs = {}
    for name, pairs in found.items():
        told = f"share of the votes, {name}"
        share, right = _columns([np.array([pair]) for pair in pairs])
        beliefs[told] = Beliefs.of_probabilities(share, right, told, condition)
    return beliefs


def table(beliefs: Mapping[str, Sequence[Beliefs]]) -> list[Line]:
    """A line for each metric of each confidence, a column for each condition.

    Args:
        beliefs: name of a confidence to what it says under each condition.
    """
    lines = []
    for group, told in beliefs.items():
        found = {b.condition: _numbers(b) for b in told if any(map(np.size, b.right))}
        for label in (*_COUNTS, "accuracy", *_LABELS.values()):
            cells: dict[str, Cell] = {
                condition: numbers.get(label) for condition, numbers in found.items()
            }
            lines.append(Line(group=group, label=label, cells=cells))
    return lines


def curves(beliefs: Mapping[str, Sequence[Beliefs]]) -> Curves:
    """Accuracy against the mean probability of bins that hold equally many answers."""
    return {
        f"{group}: {told.condition}": _reliability(told)
        for group, several in beliefs.items()
        for told in several
        if told.probabilities is not None and any(map(np.size, told.right))
    }


def _columns(rows: Scored) -> tuple[list[FloatArray], list[FloatArray]]:
    return [part[:, 0] for part in rows], [part[:, 1] for part in rows]


def _numbers(beliefs: Beliefs) -> dict[str, Cell]:
    right = [[float(hit) for hit in part] for part in map(np.asarray, beliefs.right) if part.size]
    found: dict[str, Cell] = dict(zip(_COUNTS, (len(right), sum(map(len, right))), strict=True))
    found["accuracy"] = Estimate.mean(right)
    for metric in calibration(beliefs, risks=(_RISK,)):
        estimate = _estimate(metric)
        if estimate is not None:
            found[_LABELS[metric.metric]] = estimate
    return found


def _estimate(metric: CalibrationMetric) -> Estimate | None:
    if metric.value is None or metric.low is None or metric.high is None:
        return None
    return Estimate(value=metric.value, low=metric.low, high=metric.high)


def _reliability(beliefs: Beliefs) -> tuple[tuple[float, Estimate], ...]:
    parts = zip(beliefs.probabilities or (), beliefs.right, strict=True)
    rows = [np.stack([np.asarray(p), np.asarray(r)], axis=1) for p, r in parts if np.size(p)]
    borders = edges(np.concatenate(rows)[:, 0], _BINS, "mass")
    bins = [places(part[:, 0], borders) for part in rows]
    points = []
    for number in range(len(borders) - 1):
        inside = [part[at == number] for part, at in zip(rows, bins, strict=True)]
        held = [part for part in inside if len(part)]
        if held:
            promised = float(np.concatenate(held)[:, 0].mean())
            points.append((promised, Estimate.mean([list(part[:, 1]) for part in held])))
    return tuple(points)
