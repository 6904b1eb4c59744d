"""An expert that answers from a store, and is asked only what it does not hold."""

import asyncio
import warnings
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeVar

from PIL.Image import Image

from catts.agents.expert import Candidate, Critique, Expert, Plan, RoleResult, Vote
from catts.agents.protocol import Usage
from catts.errors import StoreError
from catts.question import Question
from catts.store import Store, key_of

_Reply = TypeVar("_Reply", Plan, Vote, Critique)


class StoredExpert:
    """An expert whose replies are kept: asked again, it says the same.

    What is kept is keyed by the expert's fingerprint (models, settings, prompts), the question with
    its pictures' digests, the sizes at which they are shown, and what the role is asked about. Only
    replies that could be read are kept: a role that fails is asked again. (LangChain's own caches
    keep malformed replies and refusals as well, with each request's pictures as part of its key.)
    """

    def __init__(self, expert: Expert, store: Store, *, cache: bool = False) -> None:
        """Keep what `expert` says in `store`; both stay the caller's.

        Args:
            expert: The expert.
            store: The store.
            cache: Whether the store only saves money: a reply out of it costs nothing, and one that
                cannot be read or written is passed over with a warning. Else the usage of a reply
                is that of when it was asked for, and a store that fails ends the run.
        """
        self._expert, self._store, self._cache = expert, store, cache

    @property
    def name(self) -> str:
        """The expert's name."""
        return self._expert.name

    @property
    def fingerprint(self) -> str:
        """The expert's fingerprint: it is the same expert."""
        return self._expert.fingerprint

    async def plan(
        self, question: Question, images: Sequence[Image], candidates: Sequence[Candidate]
    ) -> RoleResult[Plan]:
        """As the expert."""
        key = self._key("plan", question, images, [c.model_dump() for c in candidates])
        return await self._recall(
            key, RoleResult[Plan], lambda: self._expert.plan(question, images, candidates)
        )

    async def vote(
        self, question: Question, images: Sequence[Image], candidates: Sequence[Candidate]
    ) -> RoleResult[Vote]:
        """As the expert."""
        key = self._key("vote", question, images, [c.model_dump() for c in candidates])
        return await self._recall(
            key, RoleResult[Vote], lambda: self._expert.vote(question, images, candidates)
        )

    async def criticise(
        self, question: Question, images: Sequence[Image], answer: str, reasoning: str
    ) -> RoleResult[Critique]:
        """As the expert."""
        key = self._key("criticise", question, images, answer, reasoning)
        return await self._recall(
            key,
            RoleResult[Critique],
            lambda: self._expert.criticise(question, images, answer, reasoning),
        )

    async def aclose(self) -> None:
        """The expert is the caller's, and stays open."""

    def _key(self, role: str, question: Question, images: Sequence[Image], *parts: Any) -> str:
        sizes = [list(image.size) for image in images]  # a picture may be shown scaled down
        return key_of(role, self.fingerprint, question.digest, sizes, *parts)

    async def _recall(
        self,
        key: str,
        kind: type[RoleResult[_Reply]],
        ask: Callable[[], Awaitable[RoleResult[_Reply]]],
    ) -> RoleResult[_Reply]:
        if not self._cache:
            return await self._store.recall(key, kind, ask)
        try:
            found = await asyncio.to_thread(self._store.get, key, kind)
        except StoreError as error:
            found = None
            _warn(error)
        if found is not None:
            return found.model_copy(update={"usage": Usage()})
        result = await ask()
        try:
            await asyncio.to_thread(self._store.put, key, result)
        except StoreError as error:
            _warn(error)
        return result


def _warn(error: StoreError) -> None:
    warnings.warn(f"the expert's cache is passed over: {error}", RuntimeWarning, stacklevel=3)
