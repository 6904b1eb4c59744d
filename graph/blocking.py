"""Coroutines for callers without an event loop."""

import asyncio
import concurrent.futures
import os
import threading
from collections.abc import Coroutine
from typing import Any, TypeVar

_T = TypeVar("_T")


def block_on(work: Coroutine[Any, Any, _T]) -> _T:
    """Run `work` to its end and return its result.

    An interrupt here cancels it and waits until it has cleaned up; a second one does not wait.
    All such work of a process runs in one event loop in a thread of its own: clients of HTTP
    servers belong to the loop that first used them. Must not be called in that loop.
    """
    ended = threading.Event()

    async def whole() -> _T:
        try:
            return await work
        finally:
            ended.set()

    future = asyncio.run_coroutine_threadsafe(whole(), _LOOP.get())
    try:
        return future.result()
    except concurrent.futures.CancelledError:
        raise
    except BaseException:
        if not future.done():
            future.cancel()
            ended.wait()
        raise


class _Loop:
    """An event loop in a daemon thread, started by its first use."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None

    def get(self) -> asyncio.AbstractEventLoop:
        with self._lock:
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
                threading.Thread(
                    target=self._loop.run_forever, name="catts-blocking", daemon=True
                ).start()
            return self._loop

    def forget(self) -> None:
        """Start anew: a forked process has the loop, but not its thread."""
        self._lock = threading.Lock()
        self._loop = None


_LOOP = _Loop()
os.register_at_fork(after_in_child=_LOOP.forget)
