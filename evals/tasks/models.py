"""The models of a task: loaded once for a run, shared by all its samples, freed at its end."""

import asyncio
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from typing import Any

from inspect_ai.hooks import Hooks, RunEnd, SampleEnd, hooks

from catts.graph.context import Context
from catts.graph.opening import open_context


def model_settings(given: Mapping[str, Any]) -> dict[str, Any]:
    """What a task's context is opened with."""
    # a bench waits for its turn: a question of many under way is not late
    return {"node_timeout": None, **given}


AT_WILL = frozenset({"expert_limits", "expert_cache", "prices"})
"""Settings that decide no answer, and may change from one part of a run to the next: a log does not
hold them."""


class _Opened:
    """Contexts by the settings that they were opened with."""

    def __init__(self) -> None:
        self.at_will: Mapping[str, Any] = {}
        """Of these settings, what contexts are opened with beside what a task says."""
        self._contexts: dict[str, Context] = {}
        self._stack = AsyncExitStack()
        self._lock: asyncio.Lock | None = None

    @property
    def used(self) -> bool:
        """Whether a context is open."""
        return bool(self._contexts)

    async def get(self, settings: dict[str, Any]) -> Context:
        """The context of these settings, opened by the first who asks."""
        if self._lock is None:  # made in the running loop
            self._lock = asyncio.Lock()
        async with self._lock:
            key = repr(sorted(settings.items()))
            if key not in self._contexts:
                opened = open_context(**{**self.at_will, **settings})
                self._contexts[key] = await self._stack.enter_async_context(opened)
            return self._contexts[key]

    async def aclose(self) -> None:
        """Free all models; the next `get` opens new ones."""
        self._contexts, self._lock, self.at_will = {}, None, {}
        await self._stack.aclose()


OPENED = _Opened()


ENDED: list[Callable[[], None]] = []
"""Who is told whenever a sample has ended."""


@hooks(name="catts", description="Frees the models of catts tasks at the end of a run.")
class CattsHooks(Hooks):
    """Frees the models when the run is over, and tells of samples that ended."""

    def enabled(self) -> bool:
        """Not where tasks of others run: then there is nothing to free and nobody to tell."""
        return OPENED.used or bool(ENDED)

    async def on_sample_end(self, data: SampleEnd) -> None:
        """Tell."""
        for tell in ENDED:
            tell()

    async def on_run_end(self, data: RunEnd) -> None:
        """Free them."""
        await OPENED.aclose()
