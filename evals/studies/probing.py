"""Seeing less: accuracy and confidence against the noise on the picture, the paper's figure."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from catts.agents.protocol import Generation, SamplingParams
from catts.confidence import ConfidenceKind
from catts.evals.asking import Asking
from catts.evals.benchmarks.item import Item
from catts.evals.graders.strict import strict
from catts.evals.studies.noised import Noised, regions
from catts.evals.studies.result import Curves, Estimate, Line

STEPS = (100, 200, 300, 400, 500, 600, 700, 800, 900, 999)
COLUMNS = ("accuracy", "confidence, fresh answers", "confidence, clean answers")

TITLE = "Probing: accuracy and confidence as the picture is noised"

NOTES = (
    "Greedy answers. fresh: the model answers the noised picture; clean: the completion that it "
    "gave to the clean picture, scored again under the noised one.",
    "Confidence: C, the mean over a completion's tokens of the negative mean log-probability of "
    "the 20 likeliest tokens, as its change from the clean pictures in units of its standard "
    "deviation there (the first base's, where there are several); intervals resample questions, "
    "that deviation taken as known.",
)


@dataclass(frozen=True)
class Level:
    """What was measured at one noise step."""

    region: str
    t: int
    hits: NDArray[np.float64]
    """Shape (questions,): whether the fresh answer is right."""
    fresh: NDArray[np.float64]
    """Shape (questions,): C of the fresh answer."""
    clean: NDArray[np.float64]
    """Shape (questions,): C of the clean answer under this picture."""


async def levels(
    asking: Asking,
    params: SamplingParams,
    kind: ConfidenceKind = "top_k_mean",
    steps: Sequence[int] = STEPS,
) -> list[Level]:
    """Ask at every step and region; the first level is the clean pictures.

    Regions are the evidence boxes, where all items have them, and the whole picture. An answer
    without a confidence of this kind (an empty one) is left at NaN.
    """
    before = await asking.samples(params, "clean pictures")
    clean = _confidences(before, kind)
    found = [Level("", 0, _hits(asking.items, before), clean, clean)]
    for region in regions(asking.items):
        for t in steps:
            picture = Noised(t, region)
            title = f"{region} at t = {t}"
            after = await asking.samples(params, title, picture)
            scores = await _scored(asking, before, kind, picture, f"{title}, clean answers")
            hits = _hits(asking.items, after)
            found.append(Level(region, t, hits, _confidences(after, kind), scores))
    return found


async def _scored(
    asking: Asking,
    before: Sequence[Generation],
    kind: ConfidenceKind,
    picture: Noised,
    title: str,
) -> NDArray[np.float64]:
    said = {item.id: g.samples[0].token_ids for item, g in zip(asking.items, before, strict=True)}

    async def one(item: Item) -> float:
        question, pictures = await asking.shown(item, picture)
        (score,) = await asking.context.engine.score(question, pictures, [said[item.id]])
        return score.confidence.get(kind, np.nan)

    return np.array(await asking.each(one, title))


def deviation(clean: Level) -> float:
    """Standard deviation of C over the answers to clean pictures; 0 where there is none."""
    known = clean.clean[~np.isnan(clean.clean)]
    return float(known.std()) if known.size else 0.0


def probing(found: Sequence[Level], scale: float, name: str = "") -> list[Line]:
    """The table of one base: a line for each level, the clean pictures first.

    Args:
        found: the levels.
        scale: what confidences are told in.
        name: of the base, in front of its groups.
    """
    first = found[0]
    lines = []
    for level in found:
        cells = {
            "accuracy": Estimate.mean([[h] for h in level.hits]),
            "confidence, fresh answers": _shift(level.fresh - first.clean, scale),
            "confidence, clean answers": _shift(level.clean - first.clean, scale),
        }
        group = ", ".join(filter(None, (name, level.region)))
        label = "clean" if level.t == 0 else f"t = {level.t}"
        lines.append(Line(group=group, label=label, cells=dict(cells)))
    return lines


def curves(found: Sequence[Level], table: Sequence[Line], name: str = "") -> Curves:
    """Accuracy and confidence of each region against t, for the plot, from the table's lines."""
    drawn: Curves = {}
    for region in dict.fromkeys(level.region for level in found[1:]):
        for column in COLUMNS:
            points = [
                (float(level.t), line.cells[column])
                for level, line in zip(found, table, strict=True)
                if level.region in ("", region)
            ]
            kept = [(t, cell) for t, cell in points if isinstance(cell, Estimate)]
            curve = ", ".join(filter(None, (name, column)))
            drawn[f"{region}: {curve}"] = tuple(kept)
    return drawn


def _shift(change: NDArray[np.float64], scale: float) -> Estimate | None:
    known = change[~np.isnan(change)]
    return Estimate.mean([[c] for c in known / scale]) if known.size and scale else None


def _hits(items: Sequence[Item], said: Sequence[Generation]) -> NDArray[np.float64]:
    return np.array(
        [float(strict(i, g.samples[0].text).right) for i, g in zip(items, said, strict=True)]
    )


def _confidences(said: Sequence[Generation], kind: ConfidenceKind) -> NDArray[np.float64]:
    return np.array([g.samples[0].confidence.get(kind, np.nan) for g in said])
