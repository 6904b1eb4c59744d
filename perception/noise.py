"""Diffusion forward noise: a picture after t of 1000 steps (DDPM, arXiv 2006.11239).

x_t = sqrt(abar_t) x_0 + sqrt(1 - abar_t) eps with eps standard normal per pixel and channel, and
abar_t the product of (1 - beta_s) over the first t steps. Pixels live in [-1, 1] (0..255 mapped
linearly) while noise is added, and are clipped back into it. beta follows the sigmoid schedule that
visual contrastive decoding uses (arXiv 2311.16922).
"""

import hashlib
from collections.abc import Sequence
from functools import cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image

STEPS = 1000
"""Number of diffusion steps T; t runs from 0 (untouched) to T."""

Box = tuple[int, int, int, int]
"""A rectangle (x0, y0, x1, y1) in pixels: left and top inclusive, right and bottom exclusive."""

Region = Sequence[Box] | NDArray[np.floating]
"""Where noise goes: boxes with hard edges, or a mask of shape (height, width) in [0, 1]."""


@cache
def signal_share(t: int) -> float:
    """abar_t, the share of the variance that is still the picture: 1 at t = 0, falling with t.

    beta_s = sigmoid(linspace(-6, 6, T))_s * (0.5e-2 - 1e-5) + 1e-5 for the T = 1000 steps.

    Raises:
        ValueError: t lies outside 0..1000.
    """
    if not 0 <= t <= STEPS:
        raise ValueError(f"diffusion step {t} lies outside 0..{STEPS}")
    beta = 1 / (1 + np.exp(-np.linspace(-6, 6, STEPS))) * (0.5e-2 - 1e-5) + 1e-5
    return float(np.prod(1 - beta[:t]))


def add_noise(image: Image.Image, t: int, seed: int, region: Region | None = None) -> Image.Image:
    """The picture after `t` diffusion steps, in `region` or everywhere.

    The noise of a pixel depends on seed, size of the picture and the pixel's place, so noise in a
    region is the whole picture's noise seen through it.

    Args:
        image: any mode; read as RGB.
        t: 0 (no noise) to 1000.
        seed: equal arguments give equal pixels; `noise_seed` derives it from the picture.
        region: boxes are clipped to the picture; where a mask is between 0 and 1, clean and noised
            pixels are mixed by it. None is the whole picture.

    Returns:
        A new RGB picture of the same size.

    Raises:
        ValueError: t lies outside 0..1000, or the mask has another shape or range.
    """
    share = signal_share(t)
    clean = np.asarray(image.convert("RGB"), dtype=np.float32) / 127.5 - 1
    noise = np.random.default_rng(seed).standard_normal(clean.shape, dtype=np.float32)
    noised = np.clip(share**0.5 * clean + (1 - share) ** 0.5 * noise, -1, 1)
    if region is not None:
        weight = _mask(region, clean.shape[0], clean.shape[1])[..., None]
        noised = clean + weight * (noised - clean)
    return Image.fromarray(np.rint((noised + 1) * 127.5).astype(np.uint8))


def noise_seed(digest: str, t: int) -> int:
    """Seed of a picture's noise, from its digest and t, so that runs repeat; below 2**63."""
    return int.from_bytes(hashlib.sha256(f"{digest}\0{t}".encode()).digest()[:8], "big") >> 1


def _mask(region: Region, height: int, width: int) -> NDArray[np.float32]:
    if isinstance(region, np.ndarray):
        if region.shape != (height, width):
            raise ValueError(f"a mask of shape {region.shape} on a picture of {(height, width)}")
        if not ((region >= 0) & (region <= 1)).all():
            raise ValueError("a mask holds values from 0 to 1")
        return region.astype(np.float32)
    mask = np.zeros((height, width), dtype=np.float32)
    for x0, y0, x1, y1 in region:
        mask[max(y0, 0) : max(y1, 0), max(x0, 0) : max(x1, 0)] = 1
    return mask
