"""Does the saliency find the evidence? Pointing game, mass inside, and what key regions cover."""

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from rich.progress import track

from catts.evals.metrics import FloatArray, paired_difference
from catts.evals.shipped.items import Item
from catts.evals.shipped.rows import Row, row, row_of
from catts.perception.key_region import KeyRegion, key_region
from catts.perception.noise import Box
from catts.perception.saliency import Saliency, texts_of

_BATCH = 64
SHARES = (0.3, 0.5, 0.7, 0.9)
"""Shares of the saliency whose key regions are measured."""

Maps = Sequence[NDArray[np.floating]]


def measure_pointing(
    saliency: Saliency, items: Sequence[Item], *, quiet: bool = False
) -> list[Row]:
    """The rows of the table; every question counts once, intervals resample questions.

    - Pointing game: whether the most salient patch lies in the evidence boxes, with more than half
      of its area; where patches tie, the share of them that do.
    - Mass inside: share of the saliency in the evidence boxes, by the area that they share with
      each patch.
    - Key region: the share of the evidence that it covers (recall), and of the picture.

    Against three other maps: uniform, a centre prior (a normal distribution around the centre, its
    standard deviation a quarter of each side), and the same CLIP's map of another question. A CLIP
    with aligned patches is also measured as one without them would be: by its attention.
    """
    asked = [item.example for item in items]
    texts = [texts_of(e.question, e.choices) for e in asked]
    moved = [texts[i - 1] for i in range(len(items))]
    found = _maps(saliency, items, texts, "saliency", quiet)
    other = _maps(saliency, items, moved, "another question's", quiet)
    grid = saliency.clip.grid
    inside = [overlap(grid, item.example.image.size, item.example.evidence) for item in items]
    kinds: dict[str, Maps] = {
        "saliency": found,
        "another question's text": other,
        "centre prior": [centre_prior(grid)] * len(items),
        "uniform": [np.full(grid, 1 / (grid[0] * grid[1]))] * len(items),
    }
    if saliency.clip.aligned_patches:
        mark = f"{saliency.clip.fingerprint}, attention"
        attention = Saliency(replace(saliency.clip, aligned_patches=False, fingerprint=mark))
        kinds["attention roll-out"] = _maps(attention, items, texts, "attention", quiet)
    rows: list[Row] = []
    for group, score in (("pointing game", _pointed), ("mass inside the evidence", _mass)):
        rows += _compared(group, kinds, inside, score)
        rows += _by_family(group, items, found, inside, score)
    for share in SHARES:
        rows += _regions(share, kinds, inside)
    return rows


def overlap(grid: tuple[int, int], size: tuple[int, int], boxes: Sequence[Box]) -> FloatArray:
    """Share of each patch's area inside the boxes, (rows, columns) in [0, 1].

    Args:
        grid: rows and columns of patches, laid over the whole picture.
        size: width and height of the picture in pixels.
        boxes: disjoint, in pixels.
    """
    share = np.zeros(grid)
    for x0, y0, x1, y1 in boxes:
        share += np.outer(_along(grid[0], size[1], y0, y1), _along(grid[1], size[0], x0, x1))
    return share


def centre_prior(grid: tuple[int, int]) -> FloatArray:
    """A normal distribution around the picture's centre, sd a quarter of each side; sums to 1."""
    rows, columns = (np.exp(-0.5 * ((np.arange(n) + 0.5) / n - 0.5) ** 2 / 0.25**2) for n in grid)
    prior: FloatArray = np.outer(rows, columns)
    prior /= prior.sum()
    return prior


def _along(parts: int, length: int, start: int, stop: int) -> FloatArray:
    """Share of each of `parts` equal parts of `length` that lies between `start` and `stop`."""
    edges = np.linspace(0, length, parts + 1)
    common = np.minimum(edges[1:], stop) - np.maximum(edges[:-1], start)
    return np.asarray(common.clip(min=0) / np.diff(edges))


def _maps(
    saliency: Saliency,
    items: Sequence[Item],
    texts: Sequence[Sequence[str]],
    title: str,
    quiet: bool,
) -> Maps:
    maps: list[NDArray[np.floating]] = []
    for start in track(range(0, len(items), _BATCH), description=title, disable=quiet):
        part = slice(start, start + _BATCH)
        maps += saliency.maps([i.example.image for i in items[part]], texts[part])
    return maps


Score = Callable[[NDArray[np.floating], FloatArray], float]


def _pointed(saliency: NDArray[np.floating], inside: FloatArray) -> float:
    peaks = saliency == saliency.max()
    return float((inside[peaks] > 0.5).mean())


def _mass(saliency: NDArray[np.floating], inside: FloatArray) -> float:
    return float((saliency * inside).sum() / saliency.sum())


def _scores(maps: Maps, inside: Sequence[FloatArray], score: Score) -> list[list[float]]:
    return [[score(m, i)] for m, i in zip(maps, inside, strict=True)]


def _compared(
    group: str, kinds: dict[str, Maps], inside: Sequence[FloatArray], score: Score
) -> list[Row]:
    found = {name: _scores(maps, inside, score) for name, maps in kinds.items()}
    first, *others = found
    rows = [row(group, name, values) for name, values in found.items()]
    for name in others:
        gain = paired_difference(found[first], found[name])
        rows.append(row_of(group, f"{first} minus {name}", gain, len(inside), "low > 0",
                           gain.low > 0))  # fmt: skip
    return rows


def _by_family(
    group: str, items: Sequence[Item], maps: Maps, inside: Sequence[FloatArray], score: Score
) -> list[Row]:
    values = _scores(maps, inside, score)
    families = dict.fromkeys(item.example.family for item in items)
    grades = sorted({item.example.grade for item in items})
    parts = [
        *((name, [i for i, x in enumerate(items) if x.example.family == name])
          for name in families),
        *((f"grade {grade}", [i for i, x in enumerate(items) if x.example.grade == grade])
          for grade in grades),
    ]  # fmt: skip
    return [row(group, name, [values[i] for i in members]) for name, members in parts]


def _regions(share: float, kinds: dict[str, Maps], inside: Sequence[FloatArray]) -> list[Row]:
    group = f"key region, {share:.0%} of the saliency"
    regions = [key_region(m, share) for m in kinds["saliency"]]
    recall = [[_recall(r, i)] for r, i in zip(regions, inside, strict=True)]
    covered = [[r.covered] for r in regions]
    gain = paired_difference(recall, covered)
    return [
        row(group, "share of the evidence covered", recall),
        row(group, "share of the picture covered", covered),
        # a region of as many patches, drawn blindly, covers the evidence as it covers the picture
        row_of(group, "difference", gain, len(inside), "low > 0", gain.low > 0),
    ]


def _recall(region: KeyRegion, inside: FloatArray) -> float:
    return float(inside.ravel()[list(region.patches)].sum() / inside.sum())
