"""Waiting for a turn at an engine is not work: whoever limits a call's time hears of it."""

import asyncio
from collections.abc import Callable
from concurrent.futures import Future
from contextvars import ContextVar
from typing import TypeVar

_T = TypeVar("_T")

WAITING: ContextVar[Callable[[], None] | None] = ContextVar("catts_waiting", default=None)
"""Called every `BEAT_S` seconds, in the event loop, while a call waits for its turn."""

BEAT_S = 0.05


async def served(future: "Future[_T]", begun: Callable[[], bool]) -> _T:
    """The result of a call to an engine; who stops waiting for it, or is cancelled, cancels it.

    Args:
        future: the call's.
        begun: whether the engine has begun on it; asked often.
    """
    result = asyncio.wrap_future(future)
    beat = WAITING.get()
    try:
        while beat is not None and not begun() and not result.done():
            beat()
            await asyncio.wait([result], timeout=BEAT_S)
        return await result
    except asyncio.CancelledError:
        result.cancel()
        raise
