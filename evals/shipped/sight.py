"""Seeing less: accuracy and confidence as the key region is noised, and over-confidence there."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from catts.agents.engines.transformers_engine import TransformersEngine
from catts.agents.protocol import SamplingParams
from catts.calibration import ConfidenceMap
from catts.confidence import ConfidenceKind
from catts.evals.metrics import cluster_bootstrap
from catts.evals.shipped.collect import Collection, Samples
from catts.evals.shipped.fitting import cross_fitted, fit_map
from catts.evals.shipped.items import Item, shuffled
from catts.evals.shipped.rows import Row, row, row_of
from catts.evals.shipped.verdicts import accuracy_of

NOISE_STEPS = (100, 200, 300, 400, 500, 600, 700, 800, 900, 999)


class NoisePoint(NamedTuple):
    """Fresh greedy answers to pictures whose key region is noised to step t."""

    t: int
    accuracy: float
    expected: float
    """Accuracy that the paper's confidence C promises: its mean by a mapping to the probability of
    being right that was fitted on clean answers to the other half of the questions."""
    confidence: float
    """Mean of the paper's confidence C."""
    shift: float
    """Change of that mean from the clean pictures, in the clean standard deviation."""
    voting_shift: float
    """The same for the kind that weighs the votes."""


class Sight:
    """Greedy answers of one model to clean, noised and foreign pictures."""

    def __init__(
        self, engine: TransformersEngine, params: SamplingParams, voting: ConfidenceKind
    ) -> None:
        """`voting` is the kind of confidence that weighs the model's votes."""
        self._engine, self._params, self._voting = engine, params, voting

    def clean(self, data: Collection, title: str) -> list[Samples]:
        """Answers to the questions' own pictures."""
        return data.answers(self._engine, self._params, title=title)

    def blind(self, data: Collection, title: str) -> list[Samples]:
        """Answers to other questions' pictures: what the text alone is worth."""
        images = shuffled(data.items)
        return data.answers(
            self._engine, self._params, images=images, shown="shuffled", title=title
        )

    def noised(self, data: Collection, t: int) -> list[Samples]:
        """Answers to pictures whose key region is noised to step `t`."""
        images = [item.noised(t, key_region=True) for item in data.items]
        return data.answers(self._engine, self._params, images=images, shown=f"key {t}",
                            title=f"key region noised to {t}")  # fmt: skip

    def curve(self, data: Collection) -> tuple[list[NoisePoint], int | None]:
        """The noise curve, and the smallest t that costs half the margin over shuffled images."""
        clean = self.clean(data, "validation, clean")
        blind = self.blind(data, "validation, shuffled")
        halves = cross_fitted(data.items, clean, "top_k_mean")
        points = [self._point(data.items, 0, clean, clean, halves)]
        for t in NOISE_STEPS:
            points.append(self._point(data.items, t, self.noised(data, t), clean, halves))
        half = (points[0].accuracy + float(np.mean(accuracy_of(data.items, blind)))) / 2
        reached = [p.t for p in points if p.t and p.accuracy <= half]
        return points, (min(reached) if reached else None)

    def overconfidence(self, fitted_on: Collection, data: Collection, t: int) -> list[Row]:
        """How much more the model believes than it sees at step `t`, beside clean pictures.

        C is mapped to the probability of being right by an isotonic regression on the clean
        answers of `fitted_on`; the gap is the mean mapped probability minus the accuracy, on the
        questions of `data`.
        """
        group = f"over-confidence, key region at t* = {t}"
        before = self.clean(fitted_on, "validation, clean")
        mapping = fit_map(fitted_on.items, before, "top_k_mean", "embedded/validation")
        clean, noised = self.clean(data, "base, greedy"), self.noised(data, t)
        rows = [row(group, "accuracy", accuracy_of(data.items, noised))]
        for name, answers in (("clean", clean), ("noised", noised)):
            hits = accuracy_of(data.items, answers)
            gaps = [
                [mapping(s[0].confidence["top_k_mean"]) - h[0]]
                for s, h in zip(answers, hits, strict=True)
            ]
            gap = cluster_bootstrap(gaps)
            judged = name == "noised"
            rows.append(
                row_of(group, f"mapped C minus accuracy, {name}", gap, len(gaps),
                       ">= 0.10, low > 0.05" if judged else "",
                       gap.estimate >= 0.1 and gap.low > 0.05 if judged else None)
            )  # fmt: skip
        for kind in self._kinds:
            seen, unseen = _values(clean, kind), _values(noised, kind)
            fall = cluster_bootstrap([[d] for d in (seen - unseen) / seen.std()])
            rows.append(row_of(group, f"fall of {kind}, in its standard deviation", fall,
                               len(seen)))  # fmt: skip
        return rows

    @property
    def _kinds(self) -> tuple[ConfidenceKind, ...]:
        return tuple(dict.fromkeys(("top_k_mean", self._voting)))

    def _point(
        self,
        items: Sequence[Item],
        t: int,
        rows: list[Samples],
        clean: list[Samples],
        mappings: Sequence[ConfidenceMap],
    ) -> NoisePoint:
        """A point of the curve; `mappings` are those for the even and for the odd questions."""
        promised = [mappings[i % 2](row[0].confidence["top_k_mean"]) for i, row in enumerate(rows)]
        shifts = []
        for kind in ("top_k_mean", self._voting):
            before, after = _values(clean, kind), _values(rows, kind)
            shifts.append(float((after.mean() - before.mean()) / before.std()))
        accuracy = float(np.mean(accuracy_of(items, rows)))
        mean = float(_values(rows, "top_k_mean").mean())
        return NoisePoint(t, accuracy, float(np.mean(promised)), mean, shifts[0], shifts[1])


def _values(rows: Sequence[Samples], kind: ConfidenceKind) -> NDArray[np.float64]:
    """A kind of confidence of each question's one answer."""
    return np.array([row[0].confidence[kind] for row in rows])
