"""The size that is told is the one that the processor makes."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from transformers import Qwen2VLImageProcessor

from catts.agents.engines.picture_size import limit_pixels, seen_size
from catts.errors import EngineError


def of(vision: Any) -> SimpleNamespace:
    return SimpleNamespace(image_processor=vision)


def qwen(patch: int, most: int = 200 * 200, **options: Any) -> Qwen2VLImageProcessor:
    size = {"shortest_edge": (2 * patch) ** 2, "longest_edge": most}
    return Qwen2VLImageProcessor(size=size, patch_size=patch, merge_size=2, **options)


class Processed(Qwen2VLImageProcessor):  # type: ignore[misc]
    """Another class, of which nothing is known: it has to process the picture."""


@settings(deadline=None, max_examples=60)
@given(
    st.integers(1, 700), st.integers(1, 700), st.sampled_from([14, 16]), st.integers(3000, 90_000)
)
def test_it_is_the_size_that_processing_gives(
    width: int, height: int, patch: int, most: int
) -> None:
    picture, vision = Image.new("RGB", (width, height)), qwen(patch, most)
    told = Processed(**{key: vision.to_dict()[key] for key in ("size", "patch_size", "merge_size")})
    if max(width, height) > 200 * min(width, height):
        for each in (vision, told):
            with pytest.raises(EngineError, match="aspect ratio"):
                seen_size(picture, of(each))
        return
    assert seen_size(picture, of(vision)) == seen_size(picture, of(told))


def test_no_pixel_is_processed_where_the_size_can_be_computed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    vision, picture = qwen(14), Image.new("RGB", (640, 480))
    limit_pixels(of(vision), 100 * 100)
    (_, rows, columns), *_ = vision(images=[picture], return_tensors="np")["image_grid_thw"]

    def processed(*_: Any, **__: Any) -> None:
        raise AssertionError("the picture was processed")

    monkeypatch.setattr(Qwen2VLImageProcessor, "__call__", processed)
    assert seen_size(picture, of(vision)) == (columns * 14, rows * 14)


def test_a_processor_that_scales_nothing_is_asked_itself() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (56, 84, 3), dtype=np.uint8)
    assert seen_size(Image.fromarray(noise), of(qwen(14, 28 * 28, do_resize=False))) == (84, 56)
