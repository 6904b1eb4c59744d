"""Many questions at once: the graph, or the base model alone, over the items of a benchmark."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, Self, TypeVar

from PIL.Image import Image

from catts.agents.experts.stored import StoredExpert
from catts.agents.protocol import Generation, SamplingParams
from catts.errors import EngineError
from catts.evals.benchmarks.item import Item
from catts.evals.progress import progress_bar
from catts.evals.replay import StoredEngine
from catts.graph.context import Context
from catts.graph.embed import answer
from catts.graph.trace import Trace
from catts.images import image_digest
from catts.question import Question
from catts.store import Store

_Result = TypeVar("_Result")

Picture = Callable[[Item, Image, tuple[int, int]], Image]
"""Another picture in place of an item's, such as a noised one, made of the picture and the size at
which the model sees it; it may block for the pixels."""


@dataclass(frozen=True)
class Asking:
    """A benchmark's questions and the models that answer them.

    With a store, whatever a model has said once is not asked again.
    """

    items: Sequence[Item]
    context: Context
    concurrency: int = 16
    """Questions that are under way at a time."""
    quiet: bool = False
    """Whether to show no progress."""

    @classmethod
    def stored(cls, items: Sequence[Item], context: Context, store: Store, **options: Any) -> Self:
        """The same models, with what they say kept in `store`."""
        held = replace(
            context,
            engine=StoredEngine(context.engine, store),
            expert=StoredExpert(context.expert, store),
        )
        return cls(items, held, **options)

    async def traces(self, title: str, context: Context | None = None) -> list[Trace]:
        """The graph's run on each item, in order; `context` in place of the own one."""
        held = self.context if context is None else context

        async def one(item: Item) -> Trace:
            pictures = await asyncio.to_thread(item.load_images)
            return await answer(pictures, item.question, choices=item.choices, context=held)

        return await self.each(one, title)

    async def samples(
        self, params: SamplingParams, title: str, picture: Picture | None = None
    ) -> list[Generation]:
        """What the base model alone says to each item, or to another `picture` in its place.

        Raises:
            EngineError: it cannot answer one of them; the message names the item and its origin.
        """

        async def one(item: Item) -> Generation:
            question, pictures = await self.shown(item, picture)
            return await self.context.engine.sample(question, pictures, params)

        return await self.each(one, title)

    async def answerable(self, params: SamplingParams, title: str) -> tuple[Self, dict[str, str]]:
        """Those of the items to which the base model can draw such samples, and why not the others.

        Returns:
            The asking of those items; id of each other item to what the model said.

        Raises:
            EngineError: it can answer none; the message is that of the first.
        """

        async def one(item: Item) -> EngineError | None:
            question, pictures = await self.shown(item)
            try:
                with _naming(item):
                    await self.context.engine.sample(question, pictures, params)
            except EngineError as error:
                return error
            return None

        told = zip(self.items, await self.each(one, title), strict=True)
        faults = {item.id: fault for item, fault in told if fault is not None}
        if faults and len(faults) == len(self.items):
            raise next(iter(faults.values()))
        kept = [item for item in self.items if item.id not in faults]
        return replace(self, items=kept), {name: str(fault) for name, fault in faults.items()}

    async def shown(
        self, item: Item, picture: Picture | None = None
    ) -> tuple[Question, list[Image]]:
        """The question as engines take it, with the pictures that its digests stand for."""
        pictures = list(await asyncio.to_thread(item.load_images))
        if picture is not None:
            sizes = [await self.context.engine.seen_size(image) for image in pictures]
            pictures = await asyncio.to_thread(
                lambda: [
                    picture(item, image, size) for image, size in zip(pictures, sizes, strict=True)
                ]
            )
        digests = tuple(await asyncio.to_thread(lambda: [image_digest(p) for p in pictures]))
        return Question(text=item.question, choices=item.choices, images=digests), pictures

    async def each(self, ask: Callable[[Item], Awaitable[_Result]], title: str) -> list[_Result]:
        """`ask` of every item, `concurrency` at a time, in order; the first error ends them all.

        Raises:
            EngineError: a model could not do it; the message names the item and its origin.
            Exception: whatever else `ask` raises.
        """
        turn = asyncio.Semaphore(self.concurrency)
        with progress_bar(title, len(self.items), quiet=self.quiet) as advance:

            async def one(item: Item) -> _Result:
                async with turn:
                    with _naming(item):
                        result = await ask(item)
                advance()
                return result

            failed: BaseExceptionGroup[BaseException] | None = None
            try:
                async with asyncio.TaskGroup() as group:
                    tasks = [group.create_task(one(item)) for item in self.items]
            except BaseExceptionGroup as errors:
                failed = errors
        if failed is not None:  # a caller looks for the error, not for a group of its kind
            raise failed.exceptions[0]
        return [task.result() for task in tasks]


@contextmanager
def _naming(item: Item) -> Iterator[None]:
    """Say in the base model's error which item it could not do: many are under way at a time."""
    try:
        yield
    except EngineError as error:
        where = f"{item.id} ({item.origin})" if item.origin else item.id
        raise EngineError(f"{where}: {error}") from error
