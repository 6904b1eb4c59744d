"""Waiting for a turn at an engine is not work: whoever limits a call's time hears of it."""

import asyncio
from collections.abc import AsyncIterator, Callable
from concurrent.futures import Future
from contextlib import asynccontextmanager
from contextvars import ContextVar
from typing import TypeVar

_T = TypeVar("_T")

WAITING: ContextVar[Callable[[], None] | None] = ContextVar("catts_waiting", default=None)
"""Called every `BEAT_S` seconds, in the event loop, while a call waits for its turn."""

BEAT_S = 0.05


@asynccontextmanager
async def time_limit(seconds: float | None) -> AsyncIterator[asyncio.Timeout]:
    """A time limit that waiting for a turn at an engine does not use up; limits may be nested.

    Raises:
        TimeoutError: what it surrounds took longer than `seconds`; None is no limit.
    """
    timer, outer = asyncio.timeout(seconds), WAITING.get()
    now = asyncio.get_running_loop().time

    def beat() -> None:
        if seconds is not None and not timer.expired():
            timer.reschedule(now() + seconds)
        if outer is not None:
            outer()

    token = WAITING.set(beat)
    try:
        async with timer:
            yield timer
    finally:
        WAITING.reset(token)


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
