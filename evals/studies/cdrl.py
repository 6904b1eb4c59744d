"""What training a base on its sight has changed: its confidence, clean and under noise."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from itertools import product
from typing import Literal

import numpy as np

from catts.calibration import ConfidenceMap
from catts.confidence import ConfidenceKind
from catts.evals.calibration_metrics import (
    BINS,
    brier_statistic,
    ece_statistic,
    edges,
    gap_statistic,
)
from catts.evals.calibrators import Scored, cross_fitted, fit_isotonic
from catts.evals.measured import Beliefs
from catts.evals.metrics import FloatArray, weighted_auroc, within_cluster_aurocs
from catts.evals.resampled import Resampled
from catts.evals.studies import calibration
from catts.evals.studies.calibration import Asked
from catts.evals.studies.result import Cell, Curves, Estimate, Line

KIND: ConfidenceKind = "top_k_mean"
"""The paper's C, which is what CDRL trains."""

TITLE = "CDRL: confidence and sight, before and after training"

BASE = "base"
"""Label of the base itself."""

Way = Literal["greedy", "samples"]
"""How a base was asked: greedily, or sampled as for a vote."""


@dataclass(frozen=True)
class Said:
    """What a base said in one way, to the same questions' clean and noised pictures."""

    clean: Asked
    noised: Asked
    known: Asked | None
    """To clean pictures of other questions, for the mapping; None where there are none."""

    @cached_property
    def mapped(self) -> tuple[list[FloatArray], list[FloatArray]]:
        """Rows (probability, right) of each question, clean and noised.

        The mapping is fitted on clean answers alone: those of other questions, or else those of the
        other half of these.

        Raises:
            ValueError: no answer has the confidence.
        """
        maps: Sequence[ConfidenceMap]
        if self.known is None:
            maps = cross_fitted("isotonic", self.clean.scored(KIND), KIND)
        else:
            maps = [fit_isotonic(self.known.scored(KIND), KIND, "validation")]
        clean, noised = (_through(maps, a.scored(KIND)) for a in (self.clean, self.noised))
        return clean, noised


@dataclass(frozen=True)
class Quantity:
    """A number that training is to change."""

    name: str
    of: Callable[[Mapping[Way, Said]], Resampled]
    factor: bool = False
    """Whether its bar is a multiple of the base's."""
    noisy: bool = False
    """Whether noise pushes it one way, as it does ECE: see `cluster_bootstrap`."""
    between: Callable[[Mapping[Way, Said], Mapping[Way, Said]], Resampled] | None = None
    """The difference of two models where it is not that of their numbers: because a number exists
    for some questions alone, which are others for each model."""


def quantities(base: Mapping[Way, Said], t: int) -> Iterator[Quantity]:
    """All of them; confidences are measured on the scale of the `base`."""
    known = np.concatenate(base["greedy"].clean.scored(KIND))
    scale = float(known[:, 0].std()) if len(known) else 0.0
    yield Quantity(
        f"fall of C at t = {t}, greedy, in the base's clean SD", partial(_fall, scale), factor=True
    )
    yield Quantity("accuracy, clean, greedy", lambda said: _accuracy(said["greedy"].clean))
    yield Quantity(f"accuracy, t = {t}, greedy", lambda said: _accuracy(said["greedy"].noised))
    yield Quantity("pass@1, clean", lambda said: _accuracy(said["samples"].clean))
    ways: tuple[Way, ...] = ("greedy", "samples")
    for way in ways:
        yield Quantity(f"over-confidence gap at t = {t}, {way}", partial(_gap, way), factor=True)
        yield Quantity(f"ECE on the mix, {way}", partial(_ece, way), factor=True, noisy=True)
        yield Quantity(f"Brier score on the mix, {way}", partial(_brier, way))
        yield Quantity(f"AUROC on the mix, {way}", partial(_auroc, way, True))
        yield Quantity(f"AUROC, clean, {way}", partial(_auroc, way, False))
    yield Quantity("AUROC within one question, clean, samples", _within, between=_within_difference)


def notes(t: int, region: str, temperature: float, seen: str) -> tuple[str, ...]:
    """What a reader of the table has to know.

    Args:
        t: the noise step.
        region: what was noised.
        temperature: of the samples.
        seen: on which answers mappings were fitted.
    """
    return (
        f"C: mean over a completion's tokens of the negative mean log-probability of the 20 "
        f"likeliest tokens. Noised: {region} at t = {t}; every answer is a fresh one. samples: at "
        f"temperature {temperature:g}.",
        "mix: the answers to all clean and to all noised pictures, as many of each.",
        f"Probabilities are C after an isotonic mapping, each model's own for each way of asking, "
        f"fitted on {seen}, under noise too.",
        f"A line is the mean over a label's models (seeds), `seeds` is each of them. vs {BASE}, "
        "vs ...: differences; of base: the share of the base's number. All are paired: every "
        "interval resamples questions, the same ones for all models, which are taken as they are. "
        f"ECE has {BINS} bins of equal mass and the reflected interval; the intervals of its "
        "differences and shares are plain ones.",
        "AUROC within one question: over the questions with right and wrong samples; its "
        "differences over those that have both under both models.",
    )


def table(models: Mapping[str, Sequence[Mapping[Way, Said]]], t: int) -> list[Line]:
    """A group for each quantity, a line for each label.

    Args:
        models: label to what its models said, one for each seed, all on the same questions; the
            first is `BASE`. The second is compared with each one behind it.
        t: the noise step.
    """
    base, *others = models
    lines = []
    for quantity in quantities(models[base][0], t):
        found = {label: [_told(quantity, said) for said in s] for label, s in models.items()}
        means = {label: Resampled.mean(several) for label, several in found.items()}
        for label, several in found.items():
            mean = means[label]
            cells: dict[str, Cell] = {"value": _cell(mean, reflected=quantity.noisy)}
            if label != base:
                cells["seeds"] = ", ".join(f"{one.value:.3f}" for one in several if one.defined)
                cells[f"vs {BASE}"] = _difference(quantity, models, means, label, base)
                if quantity.factor:
                    cells["of base"] = _cell(mean / means[base])
            if label in others[1:]:
                cells[against(others[0])] = _difference(quantity, models, means, others[0], label)
            lines.append(Line(group=quantity.name, label=label, cells=cells))
    return lines


def curves(models: Mapping[str, Sequence[Mapping[Way, Said]]]) -> Curves:
    """Reliability on the mix, a panel for each way of asking and a curve for each label.

    A label without the confidence has none.
    """
    told: dict[str, list[Beliefs]] = {}
    for label, seeds in models.items():
        for way in seeds[0]:
            try:
                mixes = [_mix(way, said) for said in seeds]
            except ValueError:
                continue
            rows = [np.concatenate(several) for several in zip(*mixes, strict=True)]
            p, right = ([part[:, place] for part in rows] for place in (0, 1))
            mapped = Beliefs.of_probabilities(p, right, way, label)
            told.setdefault(f"clean and noised, {way}", []).append(mapped)
    return calibration.curves(told)


def against(label: str) -> str:
    """The column of differences between this label and the line's."""
    return f"{label} vs it"


def _difference(
    quantity: Quantity,
    models: Mapping[str, Sequence[Mapping[Way, Said]]],
    means: Mapping[str, Resampled],
    first: str,
    second: str,
) -> Estimate | None:
    """The mean of one label's models minus that of another's."""
    if quantity.between is None:
        return _cell(means[first] - means[second])
    try:
        pairs = product(models[first], models[second])
        return _cell(Resampled.mean([quantity.between(*pair) for pair in pairs]))
    except ValueError:  # no question that it could be taken of
        return None


def _told(quantity: Quantity, said: Mapping[Way, Said]) -> Resampled:
    try:
        return quantity.of(said)
    except ValueError:  # no answer that it could be taken of
        return Resampled.undefined()


def _cell(found: Resampled, *, reflected: bool = False) -> Estimate | None:
    return Estimate.of(found.interval(reflected=reflected)) if found.defined else None


def _through(maps: Sequence[ConfidenceMap], data: Scored) -> list[FloatArray]:
    return [
        np.stack([maps[place % len(maps)].probabilities(rows[:, 0]), rows[:, 1]], axis=1)
        for place, rows in enumerate(data)
    ]


def _accuracy(asked: Asked) -> Resampled:
    return Resampled.of([np.asarray(hits) for hits in asked.hits])


def _fall(scale: float, said: Mapping[Way, Said]) -> Resampled:
    """Over the questions whose answers both have the confidence."""
    if scale == 0:
        return Resampled.undefined()
    pair = (said["greedy"].clean.scored(KIND), said["greedy"].noised.scored(KIND))
    return Resampled.of(
        [
            (seen[:, 0] - unseen[:, 0]) / scale if len(seen) == len(unseen) else np.zeros(0)
            for seen, unseen in zip(*pair, strict=True)
        ]
    )


def _gap(way: Way, said: Mapping[Way, Said]) -> Resampled:
    return Resampled.of(said[way].mapped[1], gap_statistic)


def _mix(way: Way, said: Mapping[Way, Said]) -> list[FloatArray]:
    return [np.concatenate(pair) for pair in zip(*said[way].mapped, strict=True)]


def _ece(way: Way, said: Mapping[Way, Said]) -> Resampled:
    mix = _mix(way, said)
    borders = edges(np.concatenate(mix)[:, 0], BINS, "mass")
    return Resampled.of(mix, ece_statistic(borders))


def _brier(way: Way, said: Mapping[Way, Said]) -> Resampled:
    return Resampled.of(_mix(way, said), brier_statistic)


def _auroc(way: Way, mix: bool, said: Mapping[Way, Said]) -> Resampled:
    parts = (said[way].clean.scored(KIND), said[way].noised.scored(KIND))
    rows = [np.concatenate(pair) for pair in zip(*parts, strict=True)] if mix else parts[0]
    return Resampled.of(rows, weighted_auroc)


def _within(said: Mapping[Way, Said]) -> Resampled:
    return Resampled.of(_own_aurocs(said))


def _within_difference(first: Mapping[Way, Said], second: Mapping[Way, Said]) -> Resampled:
    """Over the questions that both have right and wrong answers to."""
    pairs = zip(_own_aurocs(first), _own_aurocs(second), strict=True)
    return Resampled.of(
        [one - other if len(one) == len(other) else np.zeros(0) for one, other in pairs]
    )


def _own_aurocs(said: Mapping[Way, Said]) -> list[FloatArray]:
    """Of each question: one number, or none where its answers are all right or all wrong."""
    data = said["samples"].clean.scored(KIND)
    return [within_cluster_aurocs([rows[:, 0]], [rows[:, 1]]) for rows in data]
