"""The key region: the fewest patches that hold a given share of the saliency."""

from collections.abc import Iterator
from itertools import pairwise
from typing import Annotated, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from catts.records import Record

DEFAULT_SHARE = 0.9
"""Share of the saliency that a key region holds unless told otherwise: most of the evidence."""
EDGE = 0.5
"""Width of the soft edge around a region's patches, in patches."""


class KeyRegion(Record):
    """Patches of a grid that is laid over a whole picture: compact, and enough to mask it."""

    grid: tuple[Annotated[int, Field(ge=1)], Annotated[int, Field(ge=1)]]
    """Rows and columns of patches."""
    patches: tuple[int, ...]
    """Indices in reading order (row * columns + column), ascending, each once."""
    saliency: tuple[Annotated[float, Field(ge=0, le=1)], ...] | None = None
    """Share of the saliency in each patch of the grid, in reading order, to five places, for people
    to look at; None where it was not kept."""

    @model_validator(mode="after")
    def _inside(self) -> Self:
        if list(self.patches) != sorted(set(self.patches)):
            raise ValueError("the patches are not ascending, each once; sort them")
        if self.patches and not 0 <= self.patches[0] <= self.patches[-1] < self.count:
            raise ValueError(f"a grid of {self.grid} has patches 0 to {self.count - 1} only")
        if self.saliency is not None and len(self.saliency) != self.count:
            raise ValueError(f"a grid of {self.grid} has {self.count} shares of the saliency")
        return self

    def with_saliency(self, saliency: NDArray[np.floating]) -> Self:
        """The same region that keeps the map it was found in, of the grid's shape."""
        shares = saliency.ravel() / saliency.sum()
        return self.model_copy(update={"saliency": tuple(round(float(s), 5) for s in shares)})

    def heat(self) -> NDArray[np.float64] | None:
        """The kept saliency as a map of the grid's shape."""
        return None if self.saliency is None else np.array(self.saliency).reshape(self.grid)

    @property
    def count(self) -> int:
        """Patches of the whole grid."""
        return self.grid[0] * self.grid[1]

    @property
    def covered(self) -> float:
        """Share of the picture that its patches cover, in [0, 1], soft edges left out."""
        return len(self.patches) / self.count

    def mask(self, width: int, height: int) -> NDArray[np.float32]:
        """Where `catts.perception.noise.add_noise` is to put noise: (height, width) in [0, 1].

        1 in the region's patches; around each, falling to 0 over `EDGE` of a patch, linearly with
        the distance from its edge in x and in y (corners: the product of both). Where edges of two
        patches overlap, the larger counts.
        """
        mask = np.zeros((height, width), dtype=np.float32)
        rows, columns = self.grid
        across, down = list(_ramps(columns, width)), list(_ramps(rows, height))
        for patch in self.patches:
            row, column = divmod(patch, columns)
            (y, fall_y), (x, fall_x) = down[row], across[column]
            np.maximum(mask[y, x], np.outer(fall_y, fall_x), out=mask[y, x])
        return mask


def key_region(saliency: NDArray[np.floating], share: float = DEFAULT_SHARE) -> KeyRegion:
    """The smallest set of patches that holds at least `share` of the saliency.

    Patches are taken from the most salient down, of equal ones the first in reading order.

    Args:
        saliency: (rows, columns) of patches, at least 0, not all 0; any scale.
        share: in [0, 1]; 0 gives no patch, 1 every patch that has any saliency.

    Raises:
        ValueError: the share or the saliency lies outside its range.
    """
    if not 0 <= share <= 1:
        raise ValueError(f"a share of {share} of the saliency: give one from 0 to 1")
    values = np.asarray(saliency, dtype=np.float64)
    if values.ndim != 2 or not values.size or not (values >= 0).all() or not values.sum() > 0:
        raise ValueError("a saliency map is (rows, columns), at least 0, and not 0 everywhere")
    flat = values.ravel() / values.sum()
    order = np.argsort(-flat, kind="stable")
    held = np.concatenate(([0.0], np.cumsum(flat[order])))
    # what the sum lacks of 1 by rounding is no reason for one more patch
    needed = int(np.argmax(held >= min(share, held[-1]) - 1e-12))
    rows, columns = values.shape
    return KeyRegion(grid=(rows, columns), patches=tuple(sorted(order[:needed].tolist())))


def _ramps(parts: int, length: int) -> Iterator[tuple[slice, NDArray[np.float32]]]:
    """For each of `parts` along `length` pixels: where it counts, and how much at each pixel."""
    edge = EDGE * length / parts
    centres = np.arange(length) + 0.5
    for start, stop in pairwise(np.linspace(0, length, parts + 1)):
        beyond = np.maximum(start - centres, centres - stop).clip(min=0)
        inside = np.flatnonzero(beyond < edge)
        window = slice(int(inside[0]), int(inside[-1]) + 1) if inside.size else slice(0, 0)
        yield window, (1 - beyond[window] / edge).astype(np.float32)
