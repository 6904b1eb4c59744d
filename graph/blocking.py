"""Coroutines for callers without an event loop."""

import asyncio
import threading
from collections.abc import Coroutine
from functools import cache
from typing import Any, TypeVar

_T = TypeVar("_T")


def block_on(work: Coroutine[Any, Any, _T]) -> _T:
    """Run `work` to its end and return its result; an interrupt here cancels it.

    All such work of a process runs in one event loop in a thread of its own: clients of HTTP
    servers belong to the loop that first used them. Must not be called in that loop.
    """
    future = asyncio.run_coroutine_threadsafe(work, _loop())
    try:
        return future.result()
    except BaseException:
        future.cancel()
        raise


@cache
def _loop() -> asyncio.AbstractEventLoop:
    loop = asyncio.new_event_loop()
    threading.Thread(target=loop.run_forever, name="catts-blocking", daemon=True).start()
    return loop
