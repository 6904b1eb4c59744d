"""The models of a task: loaded once for a run, shared by all its samples, freed at its end."""

import asyncio
from contextlib import AsyncExitStack
from typing import Any

from inspect_ai.hooks import Hooks, RunEnd, hooks

from catts.errors import InputError
from catts.graph.context import Context
from catts.graph.opening import open_context


class _Opened:
    """Contexts by the settings that they were opened with."""

    def __init__(self) -> None:
        self._contexts: dict[str, Context] = {}
        self._stack = AsyncExitStack()
        self._lock: asyncio.Lock | None = None
        self.refused: InputError | None = None
        """Why the last context could not be opened; each further sample is told at once."""

    async def get(self, settings: dict[str, Any]) -> Context:
        """The context of these settings, opened by the first who asks."""
        if self._lock is None:  # made in the running loop
            self._lock = asyncio.Lock()
        async with self._lock:
            if self.refused is not None:
                raise self.refused
            key = repr(sorted(settings.items()))
            if key not in self._contexts:
                try:
                    opened = open_context(**settings)
                    self._contexts[key] = await self._stack.enter_async_context(opened)
                except InputError as error:
                    self.refused = error
                    raise
            return self._contexts[key]

    async def aclose(self) -> None:
        """Free all models; the next `get` opens new ones."""
        self._contexts, self._lock = {}, None
        await self._stack.aclose()


OPENED = _Opened()


@hooks(name="catts_models", description="Frees the models of catts tasks at the end of a run.")
class FreeModels(Hooks):
    """Frees the models when the run is over."""

    async def on_run_end(self, data: RunEnd) -> None:
        """Free them."""
        await OPENED.aclose()
