"""An item's picture with less to see: diffusion noise on its key region, or on all of it."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, floor
from typing import Literal

from PIL.Image import Image, Resampling

from catts.evals.benchmarks.item import Item
from catts.images import image_digest
from catts.perception.noise import add_noise, noise_seed

Region = Literal["key region", "whole picture"]


def regions(items: Sequence[Item]) -> tuple[Region, ...]:
    """The regions that can be noised: a key region is known where all items have evidence boxes."""
    whole: Region = "whole picture"
    return ("key region", whole) if all(item.evidence for item in items) else (whole,)


@dataclass(frozen=True)
class Noised:
    """A `catts.evals.asking.Picture`: noised at the size at which the model sees it."""

    t: int
    region: Region

    def __call__(self, item: Item, image: Image, seen: tuple[int, int]) -> Image:
        """The noised picture; the seed comes from the picture, so every study sees the same."""
        seed = noise_seed(image_digest(image), self.t)
        if self.region == "whole picture":
            return add_noise(_resized(image, seen), self.t, seed)
        across, down = seen[0] / image.width, seen[1] / image.height
        boxes = [
            (floor(x0 * across), floor(y0 * down), ceil(x1 * across), ceil(y1 * down))
            for x0, y0, x1, y1 in item.evidence
        ]
        return add_noise(_resized(image, seen), self.t, seed, boxes)


def _resized(image: Image, size: tuple[int, int]) -> Image:
    return image if image.size == size else image.resize(size, Resampling.BICUBIC)
