"""A diffusion step means the same for a picture of any size: noise is added at the size seen."""

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from scripted_models import ScriptedExpert

from catts.agents.engines.transformers_engine import TransformersEngine
from catts.agents.spec import embedded_folder
from catts.graph.context import Context
from catts.graph.nodes import render, self_check
from catts.graph.records import ContrastRecord, NoisedImage
from catts.graph.state import State
from catts.images import ImageStore
from catts.perception.noise import add_noise, noise_seed, signal_share
from catts.question import Question

T = 100
"""A step at which hardly any pixel of a grey picture is clipped."""


@pytest.fixture(scope="module")
def engine(tiny_checkpoint: Path) -> Iterator[TransformersEngine]:
    engine = TransformersEngine.load(tiny_checkpoint, device="cpu")
    yield engine
    asyncio.run(engine.aclose())


async def check(
    engine: TransformersEngine, picture: Image.Image, monkeypatch: pytest.MonkeyPatch
) -> tuple[ContrastRecord, Image.Image]:
    """The self-check's record, and the noised picture that the engine was given."""
    given: list[Image.Image] = []
    contrast = engine.contrast

    async def listen(question: Any, images: Any, noised: Any, params: Any, **more: Any) -> Any:
        given.extend(noised)
        return await contrast(question, images, noised, params, **more)

    monkeypatch.setattr(engine, "contrast", listen)
    store = ImageStore()
    digest = store.put(picture)
    context = Context.of(
        engine, ScriptedExpert(), images=store, noise_t=T, max_new_tokens=1, routing="parallel"
    )
    state = State(question=Question(text="What is it?", images=(digest,)))
    work = await self_check(state, context)
    (noised,) = given
    return work.update["self_check"], noised


def seen(engine: TransformersEngine, picture: Image.Image) -> np.ndarray:
    """Pixel values as the model gets them, of a range of 2, less each channel's mean."""
    processor = engine.loaded.processor.image_processor
    rows = processor(images=[picture], return_tensors="pt")["pixel_values"].numpy()
    channels = rows.reshape(rows.shape[0], 3, -1)
    scale = np.array(processor.image_std)[None, :, None]
    return 2 * scale * (channels - channels.mean(axis=(0, 2), keepdims=True))


@pytest.mark.parametrize("size", [(112, 112), (2000, 2000), (2000, 700), (20, 30)])
async def test_noise_is_as_strong_as_it_says_at_every_size(
    engine: TransformersEngine, size: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    grey = Image.new("RGB", size, (128, 128, 128))
    record, noised = await check(engine, grey, monkeypatch)
    expected = (1 - signal_share(T)) ** 0.5
    assert seen(engine, noised).std() == pytest.approx(expected, rel=0.04)
    assert record.noised[0].size == noised.size


@pytest.mark.parametrize("size", [(112, 112), (2000, 700), (20, 30)])
async def test_the_record_says_how_to_make_the_noised_picture_again(
    engine: TransformersEngine,
    size: tuple[int, int],
    monkeypatch: pytest.MonkeyPatch,
    random_picture: Callable[..., Image.Image],
) -> None:
    picture = random_picture(3, *size)
    record, noised = await check(engine, picture, monkeypatch)
    stored = NoisedImage.model_validate_json(record.noised[0].model_dump_json())
    assert render(stored, picture).tobytes() == noised.tobytes()
    assert seen(engine, noised).shape == seen(engine, picture).shape


@pytest.mark.models
async def test_pictures_of_the_embedded_world_are_noised_as_they_are(
    random_picture: Callable[..., Image.Image], monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = TransformersEngine.load(embedded_folder("base"), device="cpu")
    picture = random_picture(5, 112, 112)
    record, noised = await check(engine, picture, monkeypatch)
    seed = noise_seed(record.noised[0].digest, T)
    assert noised.tobytes() == add_noise(picture, T, seed).tobytes()
    await engine.aclose()
