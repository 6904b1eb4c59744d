"""Pictures for a chat model: small ones exact, large ones light, each encoded once."""

import base64
import gc
import io
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from PIL import Image, ImageDraw

from catts.agents import pictures
from catts.agents.experts.briefing import image_blocks


@pytest.fixture
def compressed(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[tuple[int, int]]]:
    """The sizes of the pictures that were compressed."""
    sizes: list[tuple[int, int]] = []
    compress = pictures._compress

    def count(image: Image.Image) -> pictures.Encoded:
        sizes.append(image.size)
        time.sleep(0.05)  # long enough for every thread to ask
        return compress(image)

    monkeypatch.setattr(pictures, "_compress", count)
    return sizes


def sent(image: Image.Image) -> tuple[str, Image.Image, int]:
    """Type, content and length of what is sent."""
    ((block),) = image_blocks([image])
    assert isinstance(block, dict)
    data = block["base64"]
    return block["mime_type"], Image.open(io.BytesIO(base64.b64decode(data))), len(data)


def photo(width: int, height: int) -> Image.Image:
    """Soft shapes under a sensor's noise, which no lossless format compresses."""
    rng = np.random.default_rng(0)
    shapes = Image.fromarray(rng.integers(0, 256, (9, 12, 3), dtype=np.uint8))
    pixels = np.asarray(shapes.resize((width, height), Image.Resampling.BICUBIC), np.float32)
    noisy = pixels + rng.normal(0, 6, pixels.shape).astype(np.float32)
    return Image.fromarray(noisy.clip(0, 255).astype(np.uint8))


def drawing(width: int, height: int) -> Image.Image:
    image = Image.new("RGB", (width, height), "white")
    pen = ImageDraw.Draw(image)
    for i in range(40):
        pen.rectangle(
            (i * width // 40, height - i * 30, (i + 1) * width // 40, height), (i * 6, 0, 9)
        )
        pen.text((i * 40, 20), f"bar {i}", "black")
    return image


@pytest.mark.parametrize("size", [(112, 112), (300, 200)])
def test_small_pictures_are_exact(
    random_picture: Callable[..., Image.Image], size: tuple[int, int]
) -> None:
    picture = random_picture(1, *size)
    kind, received, _ = sent(picture)
    assert kind == "image/png"
    assert (received.mode, received.tobytes()) == ("RGB", picture.tobytes())


def test_a_large_drawing_stays_exact() -> None:
    picture = drawing(2048, 1500)
    kind, received, length = sent(picture)
    assert kind == "image/png"
    assert received.tobytes() == picture.tobytes()
    assert length < 4 / 3 * pictures.MAX_PNG_BYTES + 4


def test_a_photo_is_sent_light() -> None:
    picture = photo(2048, 1536)
    kind, received, length = sent(picture)
    assert kind == "image/jpeg"
    assert received.size == (2048, 1536)
    assert length < 2_000_000
    difference = np.asarray(received, np.float32) - np.asarray(picture, np.float32)
    assert np.abs(difference).mean() < 6


def test_other_modes_are_sent_as_rgb() -> None:
    _, received, _ = sent(Image.new("L", (5, 4), 100))
    assert (received.mode, received.getpixel((0, 0))) == ("RGB", (100, 100, 100))


def test_a_picture_is_encoded_once_whoever_asks(
    compressed: list[tuple[int, int]], random_picture: Callable[..., Image.Image]
) -> None:
    picture = random_picture(2, 90, 60)
    with ThreadPoolExecutor(8) as threads:
        made = list(threads.map(pictures.encode, [picture] * 8))
    assert len({id(encoded.base64) for encoded in made}) == 1
    assert pictures.encode(picture.copy()).base64 is made[0].base64
    assert compressed == [(90, 60)]


def test_an_encoding_goes_with_its_picture(random_picture: Callable[..., Image.Image]) -> None:
    gc.collect()
    before = set(pictures._known)
    picture = random_picture(3, 91, 60)
    pictures.encode(picture)
    assert len(set(pictures._known) - before) == 1
    del picture
    gc.collect()
    assert set(pictures._known) <= before


def test_a_picture_that_was_drawn_on_is_encoded_anew(
    random_picture: Callable[..., Image.Image],
) -> None:
    picture = random_picture(4)
    sent(picture)
    picture.putpixel((0, 0), (1, 2, 3))
    assert sent(picture)[1].getpixel((0, 0)) == (1, 2, 3)


def test_a_failure_is_told_to_all_and_not_kept(
    monkeypatch: pytest.MonkeyPatch, random_picture: Callable[..., Image.Image]
) -> None:
    picture = random_picture(5)
    with monkeypatch.context() as patch:
        patch.setattr(pictures, "_compress", lambda _: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            pictures.encode(picture)
    assert sent(picture)[0] == "image/png"
