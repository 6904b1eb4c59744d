"""Calls that wait together, that are cancelled, that run out of time: on a real tiny model."""

import asyncio
import threading
import time
import warnings
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

from catts.agents.engines.call_queue import BatchLimits
from catts.agents.engines.loading import load_model
from catts.agents.engines.transformers_engine import TransformersEngine
from catts.agents.protocol import ContrastParams, Generation, SamplingParams
from catts.agents.spec import embedded_folder
from catts.agents.waiting import WAITING, time_limit
from catts.errors import EngineError
from catts.evals.shipped.items import load_items
from catts.perception.noise import add_noise
from catts.question import Question

Draw = Callable[..., Image.Image]
LONG = SamplingParams(n=1, max_new_tokens=100_000, temperature=0.0)
SHORT = SamplingParams(n=2, max_new_tokens=6)


class Watched:
    """The engine's model, watched: how many rows each forward had; it waits while `hold` holds."""

    def __init__(self, engine: TransformersEngine) -> None:
        self.engine = engine
        self.rows: list[int] = []
        self.entered = threading.Event()
        self._counted = threading.Condition()
        self._open = threading.Event()
        self._open.set()
        engine.loaded.model.register_forward_pre_hook(self._before, with_kwargs=True)

    def _before(self, _: Any, __: Any, kwargs: dict[str, Any]) -> None:
        with self._counted:
            self.rows.append(len(kwargs["input_ids"]))
            self._counted.notify_all()
        self.entered.set()
        assert self._open.wait(60)

    @contextmanager
    def held(self) -> Iterator[None]:
        """Inside, the model stops at its next forward."""
        self.entered.clear()
        self._open.clear()
        try:
            yield
        finally:
            self._open.set()

    async def forwards(self, count: int) -> None:
        """Wait until the model has been called that often."""

        def wait() -> bool:
            with self._counted:
                return self._counted.wait_for(lambda: len(self.rows) >= count, 60)

        assert await asyncio.to_thread(wait)

    async def busy(self) -> asyncio.Task[Generation]:
        """A call that the engine has begun on, and stops in; inside `held`."""
        task = asyncio.create_task(
            self.engine.complete("first", [], SamplingParams(n=1, max_new_tokens=2, seed=99))
        )
        assert await asyncio.to_thread(self.entered.wait, 60)
        return task


def load(checkpoint: Path, limits: BatchLimits | None = None) -> TransformersEngine:
    """An engine whose model writes to the longest, never ending its turn."""
    loaded = load_model(checkpoint, device="cpu")
    vocabulary = loaded.vocabulary
    suppressed = (*vocabulary.suppressed, *vocabulary.end_ids)
    endless = replace(loaded, vocabulary=vocabulary._replace(suppressed=suppressed))
    return TransformersEngine(endless, limits=limits)


@pytest.fixture
async def watched(tiny_checkpoint: Path) -> AsyncIterator[Watched]:
    engine = load(tiny_checkpoint)
    yield Watched(engine)
    await engine.aclose()


async def started(tasks: list[Any]) -> None:
    """Let every task ask its question."""
    for _ in range(2 + len(tasks)):
        await asyncio.sleep(0)


def ids(generation: Generation) -> list[tuple[int, ...]]:
    return [sample.token_ids for sample in generation.samples]


async def test_calls_that_wait_with_equal_settings_are_one_batch(
    watched: Watched, random_picture: Draw
) -> None:
    engine = watched.engine
    texts = ["a", "what is it?", "and now something longer than the others"]
    images = [[random_picture(1)], [], [random_picture(2), random_picture(3, 140, 56)]]
    alone = [await engine.complete(t, i, SHORT) for t, i in zip(texts, images, strict=True)]
    with watched.held():
        busy = await watched.busy()
        asked = [
            asyncio.create_task(engine.complete(t, i, SHORT))
            for t, i in zip(texts, images, strict=True)
        ]
        other = asyncio.create_task(engine.complete("a", [], SHORT.model_copy(update={"seed": 1})))
        await started(asked)
        watched.rows.clear()
    together = await asyncio.gather(*asked)
    await asyncio.gather(busy, other)
    # the rest of the first call, the prefill of three and their six rows, then the other seed
    assert watched.rows == [1, 3, *[6] * 5, 1, *[2] * 5]
    assert list(map(ids, together)) == list(map(ids, alone))
    for one, many in zip(alone, together, strict=True):
        assert many.usage.prompt_tokens == one.usage.prompt_tokens
        assert many.usage.completion_tokens == one.usage.completion_tokens
        for ours, theirs in zip(many.samples, one.samples, strict=True):
            assert ours.confidence == pytest.approx(theirs.confidence, abs=1e-4)


async def test_contrasts_that_wait_are_one_batch(watched: Watched, random_picture: Draw) -> None:
    engine, params = watched.engine, ContrastParams(max_new_tokens=5, beta=0.01)
    question = Question(text="What is it?", images=("a" * 64,))
    pictures = [random_picture(seed, 56 + 28 * seed) for seed in range(3)]
    noised = [add_noise(picture, 900, 0) for picture in pictures]
    alone = [
        await engine.contrast(question, [p], [n], params)
        for p, n in zip(pictures, noised, strict=True)
    ]
    with watched.held():
        busy = await watched.busy()
        asked = [
            asyncio.create_task(engine.contrast(question, [p], [n], params))
            for p, n in zip(pictures, noised, strict=True)
        ]
        await started(asked)
        watched.rows.clear()
    together = await asyncio.gather(*asked)
    await busy
    assert watched.rows == [1, *[6] * 5]
    assert [c.sample.token_ids for c in together] == [c.sample.token_ids for c in alone]
    assert [c.usage.prompt_tokens for c in together] == [c.usage.prompt_tokens for c in alone]


@pytest.mark.parametrize(
    ("limits", "rows"),
    [
        (BatchLimits(rows=1), [1, 1, *[2] * 5, 1, *[2] * 5, 1, *[2] * 5]),
        (BatchLimits(rows=5), [1, 2, *[4] * 5, 1, *[2] * 5]),
        (BatchLimits(tokens=100), [1, 2, *[4] * 5, 1, *[2] * 5]),
        (BatchLimits(tokens=1), [1, 1, *[2] * 5, 1, *[2] * 5, 1, *[2] * 5]),
    ],
)
async def test_a_batch_stays_within_its_limits(
    tiny_checkpoint: Path, limits: BatchLimits, rows: list[int]
) -> None:
    engine = load(tiny_checkpoint, limits)
    watched = Watched(engine)
    with watched.held():
        busy = await watched.busy()
        asked = [asyncio.create_task(engine.complete(t, [], SHORT)) for t in "abc"]
        await started(asked)
        watched.rows.clear()
    await asyncio.gather(busy, *asked)
    assert watched.rows == rows
    await engine.aclose()


async def test_a_cancelled_call_stops_at_the_next_step(watched: Watched) -> None:
    task = asyncio.create_task(watched.engine.complete("on and on", [], LONG))
    await watched.forwards(4)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await watched.engine.complete("next", [], SHORT)
    assert len(watched.rows) < 200
    assert watched.engine.usage.calls == 2, "what a cancelled call has cost is counted"


async def test_only_the_rows_of_a_cancelled_call_leave_the_batch(watched: Watched) -> None:
    engine = watched.engine
    params = SamplingParams(n=2, max_new_tokens=60)
    alone = await engine.complete("b", [], params)
    with watched.held():
        busy = await watched.busy()
        first, second = [asyncio.create_task(engine.complete(t, [], params)) for t in "ab"]
        await started([first, second])
        watched.rows.clear()
    await watched.forwards(5)
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    assert ids(await second) == ids(alone)
    await busy
    assert watched.rows[:5] == [1, 2, 4, 4, 4]
    assert watched.rows[-1] == 2
    assert len(watched.rows) == 1 + 60


async def test_a_cancelled_call_that_waits_is_never_begun(watched: Watched) -> None:
    with watched.held():
        busy = await watched.busy()
        waiting = asyncio.create_task(watched.engine.complete("x", [], SHORT))
        await started([waiting])
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        watched.rows.clear()
    await busy
    await watched.engine.complete("y", [], SamplingParams(n=1, max_new_tokens=1))
    assert watched.rows == [1, 1]


async def test_calls_that_wait_when_the_engine_closes_end_in_an_engine_error(
    watched: Watched,
) -> None:
    with watched.held():
        busy = await watched.busy()
        waiting = [asyncio.create_task(watched.engine.complete(t, [], SHORT)) for t in "ab"]
        await started(waiting)
        closing = asyncio.create_task(watched.engine.aclose())
        for task in waiting:
            with pytest.raises(EngineError, match="closed: load it again"):
                await task
        assert not busy.done()
    assert len((await busy).samples) == 1
    await closing
    with pytest.raises(EngineError, match="closed"):
        await watched.engine.complete("late", [], SHORT)


async def test_waiting_is_told_while_it_lasts(watched: Watched) -> None:
    engine, params = watched.engine, SamplingParams(n=1, max_new_tokens=300)
    beats: list[float] = []

    async def asked() -> Generation:
        WAITING.set(lambda _: beats.append(time.perf_counter()))
        return await engine.complete("x", [], params)

    with watched.held():
        busy = await watched.busy()
        waiting = asyncio.create_task(asked())
        await asyncio.sleep(0.7)
        assert not waiting.done()
    usage = (await waiting).usage
    ended = time.perf_counter()
    await busy
    assert 0.6 < usage.queued <= usage.seconds
    assert engine.usage.queued >= usage.queued
    assert beats[-1] - beats[0] > 0.5
    assert max(b - a for a, b in pairwise(beats)) < 0.5
    assert ended - beats[-1] > (usage.seconds - usage.queued) / 2, "not while it is worked on"


async def test_a_call_is_answered_when_its_own_rows_have_ended(tiny_checkpoint: Path) -> None:
    engine = TransformersEngine.load(tiny_checkpoint, device="cpu")
    watched, params = Watched(engine), SamplingParams(n=1, max_new_tokens=400)
    alone = {t: (await engine.complete(t, [], params)) for t in "abcdefghijklmnop"}
    length = {t: len(ids(generation)[0]) for t, generation in alone.items()}
    short, long = min(length, key=length.__getitem__), max(length, key=length.__getitem__)
    assert length[short] < 0.5 * length[long]
    with watched.held():
        busy = await watched.busy()
        asked = [asyncio.create_task(engine.complete(t, [], params)) for t in (long, short)]
        await started(asked)
        watched.rows.clear()
    first, second = await asyncio.gather(*asked)
    await busy
    assert (ids(first), ids(second)) == (ids(alone[long]), ids(alone[short]))
    assert watched.rows[:3] == [1, 2, 2]
    working = [g.usage.seconds - g.usage.queued for g in (first, second)]
    assert working[1] < 0.8 * working[0]
    await engine.aclose()


async def test_a_call_that_cannot_be_read_fails_by_itself(watched: Watched) -> None:
    thin = Image.new("RGB", (3000, 2))
    with watched.held():
        busy = await watched.busy()
        asked = [
            asyncio.create_task(watched.engine.complete(t, i, SHORT))
            for t, i in (("a", []), ("b", [thin]), ("c", []))
        ]
        await started(asked)
        watched.rows.clear()
    fine, bad, also = await asyncio.gather(*asked, return_exceptions=True)
    await busy
    assert isinstance(bad, EngineError)
    assert isinstance(fine, Generation)
    assert isinstance(also, Generation)
    assert watched.rows == [1, 2, *[4] * 5]


async def test_calls_that_fail_together_are_served_one_by_one(
    watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    def crowded(_: Any, __: Any, kwargs: dict[str, Any]) -> None:
        if len(kwargs["input_ids"]) > 2:
            raise torch.OutOfMemoryError("no room")

    watched.engine.loaded.model.register_forward_pre_hook(crowded, with_kwargs=True)
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        with watched.held():
            busy = await watched.busy()
            asked = [asyncio.create_task(watched.engine.complete(t, [], SHORT)) for t in "abc"]
            await started(asked)
        assert [len(g.samples) for g in await asyncio.gather(*asked)] == [2] * 3
        await busy
    assert any("3 calls to the model failed together" in str(w.message) for w in told)


async def test_a_call_whose_logits_are_no_numbers_fails_by_itself(watched: Watched) -> None:
    loaded = watched.engine.loaded
    bad = loaded.processor.tokenizer.convert_tokens_to_ids("~")
    with torch.no_grad():
        loaded.model.get_input_embeddings().weight[bad] = torch.nan
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with watched.held():
            busy = await watched.busy()
            asked = [asyncio.create_task(watched.engine.complete(t, [], SHORT)) for t in "a~"]
            await started(asked)
        fine, failed = await asyncio.gather(*asked, return_exceptions=True)
        await busy
    assert isinstance(fine, Generation)
    assert isinstance(failed, EngineError)
    assert "NaN or infinite" in str(failed)


def test_a_blocking_call_that_is_interrupted_is_cancelled(
    tiny_checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = load(tiny_checkpoint)
    watched = Watched(engine)

    def interrupted(self: Any, timeout: float | None = None) -> Any:
        watched.entered.wait(60)
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("concurrent.futures.Future.result", interrupted)
        with pytest.raises(KeyboardInterrupt):
            engine.complete_sync("on and on", [], LONG)
    started = time.perf_counter()
    asyncio.run(engine.aclose())
    assert time.perf_counter() - started < 10


@pytest.mark.models
async def test_the_embedded_model_answers_together_as_alone() -> None:
    engine = TransformersEngine.load(embedded_folder("base"), device="cpu")
    items = [(item.question, [item.example.image]) for item in load_items("validation", 12)]
    params = SamplingParams(n=8, max_new_tokens=engine.card.max_new_tokens)
    alone = [await engine.sample(*item, params) for item in items]
    together = await asyncio.gather(*(engine.sample(*item, params) for item in items))
    assert list(map(ids, together)) == list(map(ids, alone))
    for one, many in zip(alone, together, strict=True):
        for ours, theirs in zip(many.samples, one.samples, strict=True):
            assert ours.confidence == pytest.approx(theirs.confidence, abs=1e-4)
    await engine.aclose()


async def test_nested_limits_leave_the_wait_out(watched: Watched) -> None:
    engine, params = watched.engine, SamplingParams(n=1, max_new_tokens=1)
    await engine.complete("warm", [], params)

    async def limited() -> Generation:
        async with time_limit(5), time_limit(0.6):
            return await engine.complete("x", [], params)

    with watched.held():
        busy = await watched.busy()
        waiting = asyncio.create_task(limited())
        await asyncio.sleep(0.9)
        assert not waiting.done()
    await waiting
    await busy


async def test_a_limit_ends_work_and_stops_the_decoding(watched: Watched) -> None:
    with pytest.raises(TimeoutError):
        async with time_limit(0.3):
            await watched.engine.complete("on and on", [], LONG)
    await watched.engine.complete("next", [], SHORT)
    assert len(watched.rows) < 50_000
