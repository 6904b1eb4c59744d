"""A base model that answers from a store, and is asked only what it does not hold."""

import asyncio
from collections.abc import Sequence
from typing import Any

from PIL.Image import Image

from catts.agents.card import ModelCard
from catts.agents.protocol import (
    Capabilities,
    Contrast,
    ContrastParams,
    Engine,
    Generation,
    Sample,
    SamplingParams,
    Score,
    Usage,
)
from catts.images import image_digest
from catts.question import Question
from catts.records import Record
from catts.store import Store, key_of


class _Scores(Record):
    scores: tuple[Score, ...]


class EngineBehind:
    """A base model that passes every call on to another, which stays its owner's."""

    def __init__(self, engine: Engine) -> None:
        """Pass calls on to `engine`."""
        self._engine = engine
        card = getattr(engine, "card", None)
        self.card = card if isinstance(card, ModelCard) else ModelCard()

    @property
    def name(self) -> str:
        """The model's name."""
        return self._engine.name

    @property
    def fingerprint(self) -> str:
        """The model's fingerprint: it is the same model."""
        return self._engine.fingerprint

    @property
    def capabilities(self) -> Capabilities:
        """What the model can do."""
        return self._engine.capabilities

    @property
    def usage(self) -> Usage:
        """What the model was really asked."""
        return self._engine.usage

    async def seen_size(self, image: Image) -> tuple[int, int]:
        """As the model."""
        return await self._engine.seen_size(image)

    async def sample(
        self, question: Question, images: Sequence[Image], params: SamplingParams
    ) -> Generation:
        """As the model."""
        return await self._engine.sample(question, images, params)

    async def reanswer(
        self,
        question: Question,
        images: Sequence[Image],
        *,
        previous: str,
        critique: str,
        params: SamplingParams,
    ) -> Generation:
        """As the model."""
        return await self._engine.reanswer(
            question, images, previous=previous, critique=critique, params=params
        )

    async def contrast(
        self,
        question: Question,
        images: Sequence[Image],
        noised: Sequence[Image],
        params: ContrastParams,
        *,
        candidates: Sequence[Sample] = (),
    ) -> Contrast:
        """As the model."""
        return await self._engine.contrast(question, images, noised, params, candidates=candidates)

    async def score(
        self, question: Question, images: Sequence[Image], completions: Sequence[Sequence[int]]
    ) -> tuple[Score, ...]:
        """As the model."""
        return await self._engine.score(question, images, completions)

    async def aclose(self) -> None:
        """The model is the caller's, and stays open."""


class StoredEngine(EngineBehind):
    """A base model whose answers are kept: asked again, it says the same and costs nothing.

    What is kept is keyed by the model's fingerprint, the question with its pictures' digests, and
    the parameters. Usage is what the model reported when it was asked. A call that fails stores
    nothing.
    """

    def __init__(self, engine: Engine, store: Store) -> None:
        """Keep what `engine` says in `store`; both stay the caller's."""
        super().__init__(engine)
        self._store = store

    async def sample(
        self, question: Question, images: Sequence[Image], params: SamplingParams
    ) -> Generation:
        """As the model."""
        key = self._key("sample", question, params.model_dump())
        return await self._store.recall(
            key, Generation, lambda: self._engine.sample(question, images, params)
        )

    async def reanswer(
        self,
        question: Question,
        images: Sequence[Image],
        *,
        previous: str,
        critique: str,
        params: SamplingParams,
    ) -> Generation:
        """As the model."""
        key = self._key("reanswer", question, previous, critique, params.model_dump())
        return await self._store.recall(
            key,
            Generation,
            lambda: self._engine.reanswer(
                question, images, previous=previous, critique=critique, params=params
            ),
        )

    async def contrast(
        self,
        question: Question,
        images: Sequence[Image],
        noised: Sequence[Image],
        params: ContrastParams,
        *,
        candidates: Sequence[Sample] = (),
    ) -> Contrast:
        """As the model; candidates count only where it does not decode both branches itself."""
        named = () if self.capabilities.lock_step_contrast else tuple(c.text for c in candidates)
        digests = await asyncio.to_thread(lambda: [image_digest(image) for image in noised])
        key = self._key("contrast", question, digests, params.model_dump(), named)
        return await self._store.recall(
            key,
            Contrast,
            lambda: self._engine.contrast(question, images, noised, params, candidates=candidates),
        )

    async def score(
        self, question: Question, images: Sequence[Image], completions: Sequence[Sequence[int]]
    ) -> tuple[Score, ...]:
        """As the model."""
        key = self._key("score", question, [list(ids) for ids in completions])

        async def ask() -> _Scores:
            return _Scores(scores=await self._engine.score(question, images, completions))

        return (await self._store.recall(key, _Scores, ask)).scores

    def _key(self, call: str, question: Question, *parts: Any) -> str:
        return key_of(call, self.fingerprint, question.digest, *parts)
