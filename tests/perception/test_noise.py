import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from catts.perception.noise import STEPS, add_noise, noise_seed, signal_share

SEEDS = st.integers(0, 2**63 - 1)
TIMES = st.integers(0, STEPS)


def picture(seed: int = 0, width: int = 24, height: int = 16) -> Image.Image:
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    return Image.fromarray(pixels)


def pixels(image: Image.Image) -> np.ndarray:
    return np.asarray(image, dtype=np.int16)


def test_schedule_by_hand() -> None:
    share = 1.0
    for step in range(STEPS):
        x = -6 + 12 * step / (STEPS - 1)
        share *= 1 - (1 / (1 + math.exp(-x)) * (0.5e-2 - 1e-5) + 1e-5)
        if step + 1 in {1, 10, 500, 999, 1000}:
            assert signal_share(step + 1) == pytest.approx(share, rel=1e-9)
    assert signal_share(0) == 1
    # the sum of the betas as an integral: softplus is the primitive of the sigmoid
    half, whole = math.log(2) - math.log1p(math.exp(-6)), 6.0
    assert signal_share(500) == pytest.approx(math.exp(-half / 12 * 4.99 - 0.005), rel=1e-2)
    assert signal_share(1000) == pytest.approx(math.exp(-whole / 12 * 4.99 - 0.01), rel=1e-2)


@given(st.integers(0, STEPS - 1))
def test_signal_only_falls(t: int) -> None:
    assert 0 < signal_share(t + 1) < signal_share(t) <= 1


@given(SEEDS)
def test_no_step_is_the_picture_itself(seed: int) -> None:
    assert (pixels(add_noise(picture(), 0, seed)) == pixels(picture())).all()


@given(SEEDS)
def test_one_step_is_nearly_the_picture(seed: int) -> None:
    assert np.abs(pixels(add_noise(picture(), 1, seed)) - pixels(picture())).mean() < 2


@settings(max_examples=30)
@given(SEEDS, st.integers(0, STEPS - 200))
def test_noise_grows_with_t(seed: int, t: int) -> None:
    grey = Image.new("RGB", (32, 32), (128, 128, 128))
    weak, strong = (pixels(add_noise(grey, step, seed)).var() for step in (t, t + 200))
    assert strong > weak


def test_variance_is_the_schedule_s() -> None:
    grey = Image.new("RGB", (128, 128), (128, 128, 128))
    deviation = pixels(add_noise(grey, 200, 3)).std() / 127.5
    assert deviation == pytest.approx((1 - signal_share(200)) ** 0.5, rel=0.02)


@given(SEEDS, TIMES, st.tuples(*[st.integers(-5, 30)] * 4))
def test_pixels_outside_the_region_are_untouched(
    seed: int, t: int, box: tuple[int, int, int, int]
) -> None:
    x0, y0, x1, y1 = box
    clean, whole = pixels(picture()), pixels(add_noise(picture(), t, seed))
    part = pixels(add_noise(picture(), t, seed, [box]))
    ys, xs = np.mgrid[0:16, 0:24]
    inside = (xs >= x0) & (xs < x1) & (ys >= y0) & (ys < y1)
    assert (part[~inside] == clean[~inside]).all()
    assert (part[inside] == whole[inside]).all()


def test_a_soft_mask_mixes() -> None:
    clean, whole = pixels(picture()), pixels(add_noise(picture(), 800, 1))
    half = pixels(add_noise(picture(), 800, 1, np.full((16, 24), 0.5)))
    assert np.abs(half - (clean + whole) / 2).max() <= 1


@given(SEEDS, TIMES)
def test_deterministic(seed: int, t: int) -> None:
    first, second = (add_noise(picture(), t, seed).tobytes() for _ in range(2))
    assert first == second


def test_seed_follows_picture_and_step() -> None:
    seeds = {noise_seed(digest, t) for digest in ("a" * 64, "b" * 64) for t in (500, 501)}
    assert len(seeds) == 4
    assert noise_seed("a" * 64, 500) == noise_seed("a" * 64, 500)
    assert all(0 <= seed < 2**63 for seed in seeds)
    assert add_noise(picture(), 500, 1).tobytes() != add_noise(picture(), 500, 2).tobytes()


def test_any_mode_becomes_rgb() -> None:
    assert add_noise(picture().convert("L"), 300, 0).mode == "RGB"


@pytest.mark.parametrize("t", [-1, STEPS + 1])
def test_step_out_of_range(t: int) -> None:
    with pytest.raises(ValueError, match="diffusion step"):
        add_noise(picture(), t, 0)


@pytest.mark.parametrize(
    "mask", [np.zeros((24, 16)), np.full((16, 24), 1.5), np.full((16, 24), np.nan)]
)
def test_bad_mask(mask: np.ndarray) -> None:
    with pytest.raises(ValueError, match="mask"):
        add_noise(picture(), 500, 0, mask)
