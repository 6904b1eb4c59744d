"""Many questions at once: their order, number and errors, and pictures in place of theirs."""

import asyncio
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from asked import Told, item, said
from PIL import Image
from scripted_models import ScriptedExpert

from catts.agents.protocol import SamplingParams
from catts.errors import EngineError, ImageError
from catts.evals.asking import Asking
from catts.evals.benchmarks.item import Item
from catts.evals.studies.noised import Noised
from catts.graph.context import Context
from catts.images import image_digest
from catts.perception.noise import add_noise, noise_seed
from catts.store import Store

ITEMS = [item(name, size=(24, 16)) for name in "abcdef"]


def asking(engine: Told, items: list[Item] = ITEMS, concurrency: int = 16) -> Asking:
    context = Context.of(engine, ScriptedExpert(), routing="paper", samples=2)
    return Asking(items, context, concurrency=concurrency, quiet=True)


def engine() -> Told:
    return Told({name: (said(name, 2.0), said("0")) for name in "abcdef"})


async def test_answers_come_in_the_order_of_the_items_whoever_is_first() -> None:
    held = asking(engine())

    async def backwards(asked: Item) -> str:
        await asyncio.sleep(0.01 * (6 - ITEMS.index(asked)))
        return asked.id

    assert await held.each(backwards, "asking") == list("abcdef")
    samples = await held.samples(SamplingParams(n=1), "samples")
    assert ["".join(s.text[-2:-1] for s in g.samples) for g in samples] == list("abcdef")
    traces = await held.traces("traces")
    assert [trace.question.text[0] for trace in traces] == list("abcdef")


@pytest.mark.parametrize("limit", [1, 2, 6])
async def test_no_more_questions_are_under_way_than_allowed(limit: int) -> None:
    told = engine()
    told._slow["sample"] = 0.01
    await asking(told, concurrency=limit).samples(SamplingParams(n=1), "samples")
    assert told.most == limit


async def test_the_first_error_ends_them_all_and_names_its_question() -> None:
    begun: list[str] = []
    fault = EngineError("out of memory: take fewer samples")
    rows = [replace(item(n), origin=f"f.json, row {n}") for n in "abcdef"]

    async def ask(asked: Item) -> None:
        begun.append(asked.id)
        if asked.id == "b":
            raise fault
        await asyncio.sleep(60)

    with pytest.raises(EngineError, match=r"^b \(f.json, row b\): out of memory: take") as raised:
        await asking(engine(), rows, concurrency=3).each(ask, "asking")
    assert raised.value.__cause__ is fault
    assert not {"e", "f"} & set(begun), "whoever waits is not begun any more"


async def test_another_error_comes_out_as_it_is() -> None:
    fault = OSError("no space")

    async def ask(asked: Item) -> None:
        raise fault

    with pytest.raises(OSError, match="no space") as raised:
        await asking(engine()).each(ask, "asking")
    assert raised.value is fault


async def test_questions_that_cannot_be_answered_are_parted_from_the_others() -> None:
    told = engine()
    told.cannot = "be"
    params = SamplingParams(n=1)
    with pytest.raises(EngineError, match=r"^b: too long"):
        await asking(told).samples(params, "samples")
    kept, left_out = await asking(told).answerable(params, "samples")
    assert [item.id for item in kept.items] == list("acdf")
    assert left_out == {"b": "b: too long", "e": "e: too long"}
    assert len(await kept.samples(params, "samples")) == 4
    told.cannot = "abcdef"
    with pytest.raises(EngineError, match=r"^a: too long"):
        await asking(told).answerable(params, "samples")


async def test_a_broken_picture_is_named() -> None:
    broken = Item(
        "x", "x: how many?", (), (b"no picture",), "3", "free-form", origin="f.json, row 2"
    )
    with pytest.raises(ImageError, match=r"f.json, row 2, image 1"):
        await asking(engine(), [*ITEMS, broken]).samples(SamplingParams(n=1), "samples")


async def test_models_of_a_stored_asking_are_asked_once(tmp_path: Path) -> None:
    told, expert = engine(), ScriptedExpert()
    context = Context.of(told, expert, routing="paper", samples=2)
    store = Store(tmp_path / "said.sqlite")
    held = Asking.stored(ITEMS, context, store, quiet=True)
    first = await held.traces("once")
    drawn = await held.samples(context.policy.sampling, "the sampler's own")
    assert told.asked["a", "sample"] == 1
    assert [tuple(s.text for s in t.samples) for t in first] == [
        tuple(s.text for s in g.samples) for g in drawn
    ]
    asked = dict(told.asked), list(expert.calls)
    again = Asking.stored(ITEMS, context, store, quiet=True)
    assert [t.votes for t in await again.traces("twice")] == [t.votes for t in first]
    assert (dict(told.asked), expert.calls) == asked
    other = context.policy.model_copy(update={"samples": 1})
    await again.samples(other.sampling, "fewer")
    assert told.asked["a", "sample"] == 2


class Halving(Told):
    """Sees a picture at half its size."""

    async def seen_size(self, image: Image.Image) -> tuple[int, int]:
        return image.width // 2, image.height // 2


async def test_a_noised_picture_has_the_seen_size_and_its_boxes_are_scaled() -> None:
    told = Halving({"a": (said("1"),)})
    boxed = item("a", size=(40, 20), evidence=((10, 5, 21, 11),))
    held = asking(told, [boxed])
    (clean,) = boxed.load_images()
    seed = noise_seed(image_digest(clean), 700)
    small = clean.resize((20, 10), Image.Resampling.BICUBIC)

    await held.samples(SamplingParams(n=1), "key region", Noised(700, "key region"))
    (noised,) = told.pictures
    assert noised.size == (20, 10)
    # 10/2 to 21/2, 5/2 to 11/2: rounded outwards, so that nothing of the evidence stays
    changed = (np.asarray(noised) != np.asarray(small)).any(axis=2)
    assert changed[2:6, 5:11].any()
    changed[2:6, 5:11] = False
    assert not changed.any()
    assert noised.tobytes() == add_noise(small, 700, seed, [(5, 2, 11, 6)]).tobytes()

    question, (whole,) = await held.shown(boxed, Noised(700, "whole picture"))
    assert whole.tobytes() == add_noise(small, 700, seed).tobytes()
    assert question.images == (image_digest(whole),), "another picture is another question"
    plain, (own,) = await held.shown(boxed)
    assert (own.size, plain.images) == ((40, 20), (image_digest(clean),))
