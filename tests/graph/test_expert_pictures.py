"""What the expert is shown: the picture scaled to a setting and encoded once in a run."""

import asyncio
import gc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from scripted_models import ScriptedEngine, ScriptedExpert

from catts.agents import pictures
from catts.agents.engines.transformers_engine import TransformersEngine
from catts.agents.spec import embedded_folder, resolve_expert
from catts.graph.context import Context
from catts.graph.embed import answer

Draw = Callable[..., Image.Image]


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> list[Image.Image]:
    """The pictures that local experts are asked with, as they arrive there."""
    arrived: list[Image.Image] = []
    complete = TransformersEngine.complete

    async def listen(self: Any, text: Any, images: Any, params: Any) -> Any:
        arrived.extend(images)
        return await complete(self, text, images, params)

    monkeypatch.setattr(TransformersEngine, "complete", listen)
    return arrived


@pytest.fixture
def compressed(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int]]:
    """The sizes of the pictures that were compressed."""
    sizes: list[tuple[int, int]] = []
    compress = pictures._compress

    def count(image: Image.Image) -> pictures.Encoded:
        sizes.append(image.size)
        return compress(image)

    monkeypatch.setattr(pictures, "_compress", count)
    return sizes


async def test_the_expert_is_shown_less_than_the_base() -> None:
    engine, expert = ScriptedEngine(), ScriptedExpert()
    context = Context.of(engine, expert, routing="paper")
    trace = await answer(Image.new("RGB", (4096, 3072)), "What is it?", context=context)
    assert engine.sizes == [(4096, 3072)]
    assert expert.shown == [(2048, 1536)] * 3
    assert trace.policy.expert_max_side == 2048
    smaller = Context.of(engine, expert, routing="paper", expert_max_side=512)
    assert smaller.fingerprint != context.fingerprint


@pytest.mark.parametrize("routing", ["paper", "parallel"])
async def test_the_three_roles_of_a_run_share_one_encoding(
    routing: str,
    tiny_checkpoint: Path,
    shown: list[Image.Image],
    compressed: list[tuple[int, int]],
    random_picture: Draw,
) -> None:
    expert = resolve_expert(tiny_checkpoint, device="cpu")
    context = Context.of(
        ScriptedEngine(), expert, routing=routing, expert_max_side=256, max_new_tokens=4
    )
    picture = random_picture(len(routing), 1000, 800)
    before = set(pictures._known)  # of pictures that other tests hold for ever
    await answer(picture, "What is it?", context=context)
    assert compressed == [(256, 205)]
    assert {picture.size for picture in shown} == {(256, 205)}
    assert len(shown) >= 4, "two roles at least, each asked twice"
    assert set(pictures._known) - before, "kept while the context holds the picture"
    await expert.aclose()
    del context
    gc.collect()
    assert not set(pictures._known) - before


@pytest.mark.models
async def test_the_embedded_expert_sees_every_pixel(
    shown: list[Image.Image], random_picture: Draw
) -> None:
    picture = random_picture(12, 112, 112)
    expert = await asyncio.to_thread(resolve_expert, embedded_folder("expert"), device="cpu")
    await answer(
        picture, "What is it?", context=Context.of(ScriptedEngine(), expert, routing="paper")
    )
    assert len(shown) >= 3
    assert {arrived.tobytes() for arrived in shown} == {picture.tobytes()}
    await expert.aclose()
