"""Pictures of what saliency found: heat map, key region, and panels side by side."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from catts.perception.key_region import KeyRegion

_HOT = np.array((225.0, 20.0, 40.0))
_STRONGEST = 0.8
"""Share of the colour where the saliency peaks; the rest is the picture in grey."""
_DIM = 0.25
"""Brightness of what lies outside a key region."""
_SMALLEST = 224
"""Small pictures are magnified, by a whole number, until a panel is about so wide."""
_GAP, _CAPTION = 8, 18


def heat_map(image: Image.Image, saliency: NDArray[np.floating]) -> Image.Image:
    """The picture in grey under red, the more saliency the more of it; same size, RGB.

    Args:
        image: any mode.
        saliency: (rows, columns), at least 0; drawn smooth, relative to its maximum.
    """
    peak = max(float(saliency.max()), 1e-12)
    small = Image.fromarray((saliency / peak).astype(np.float32))
    heat = np.asarray(small.resize(image.size, Image.Resampling.BILINEAR)).clip(0, 1)[..., None]
    grey = np.asarray(image.convert("L").convert("RGB"), dtype=np.float64)
    return _picture(grey + _STRONGEST * heat * (_HOT - grey))


def saliency_map(image: Image.Image, region: KeyRegion) -> Image.Image | None:
    """`heat_map` of the saliency that a key region was found in; None where it was not kept."""
    heat = region.heat()
    return None if heat is None else heat_map(image, heat)


def region_map(image: Image.Image, region: KeyRegion) -> Image.Image:
    """The picture, dark outside the key region; same size, RGB."""
    mask = region.mask(*image.size)[..., None]
    return _picture(np.asarray(image.convert("RGB"), dtype=np.float64) * (_DIM + (1 - _DIM) * mask))


def side_by_side(panels: Sequence[tuple[str, Image.Image]]) -> Image.Image:
    """Pictures of one size in a row, each under its caption; RGB."""
    width, height = panels[0][1].size
    factor = max(1, round(_SMALLEST / width))
    width, height = factor * width, factor * height
    whole = Image.new(
        "RGB", (len(panels) * (width + _GAP) + _GAP, height + _CAPTION + _GAP), "white"
    )
    draw = ImageDraw.Draw(whole)
    for place, (caption, panel) in enumerate(panels):
        left = _GAP + place * (width + _GAP)
        draw.text((left, _CAPTION // 4), caption, fill="black")
        large = panel.convert("RGB").resize((width, height), Image.Resampling.NEAREST)
        whole.paste(large, (left, _CAPTION))
    return whole


def _picture(pixels: NDArray[np.float64]) -> Image.Image:
    return Image.fromarray(np.rint(pixels.clip(0, 255)).astype(np.uint8))
