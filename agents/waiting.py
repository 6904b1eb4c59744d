"""Waiting for a turn at an engine is not work: whoever limits a call's time hears of it."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent.futures import Future
from contextlib import asynccontextmanager
from contextvars import ContextVar
from typing import TypeVar

_T = TypeVar("_T")

WAITING: ContextVar[Callable[[float], None] | None] = ContextVar("catts_waiting", default=None)
"""Told, in the event loop, of seconds that a call waits for its turn, before they pass; what did
not pass after all is told as a negative number."""

BEAT_S = 0.05


@asynccontextmanager
async def time_limit(seconds: float | None) -> AsyncIterator[asyncio.Timeout]:
    """A time limit that waiting for a turn at an engine does not use up; limits may be nested.

    Raises:
        TimeoutError: what it surrounds took longer than `seconds`; None is no limit.
    """
    timer, outer = asyncio.timeout(seconds), WAITING.get()
    open_ = True

    def waits(wait: float) -> None:
        deadline = timer.when()
        # a task that was started inside may outlive the limit, and waits for others then
        if open_ and deadline is not None and not timer.expired():
            timer.reschedule(deadline + wait)
        if outer is not None:
            outer(wait)

    token = WAITING.set(waits)
    try:
        async with timer:
            yield timer
    finally:
        open_ = False
        WAITING.reset(token)


async def served(future: "Future[_T]", begun: Callable[[], bool]) -> _T:
    """The result of a call to an engine; who stops waiting for it, for any reason, cancels it.

    Args:
        future: the call's.
        begun: whether the engine is at work on it; asked every `BEAT_S` seconds, since a call may
            have to wait again.
    """
    result = asyncio.wrap_future(future)
    try:
        await _tell(result, lambda: not begun())
        return await result
    except BaseException:
        result.cancel()
        raise


async def idle(waited: Awaitable[_T]) -> _T:
    """The result of what it is no work to wait for, such as a rate limiter; see `served`."""
    result = asyncio.ensure_future(waited)
    try:
        await _tell(result, lambda: True)
        return await result
    except BaseException:
        result.cancel()
        raise


@asynccontextmanager
async def turn(room: asyncio.Semaphore) -> AsyncIterator[None]:
    """A place among the calls that may be under way; waiting for it is no work, as in `served`."""
    taking = asyncio.ensure_future(room.acquire())
    try:
        await _tell(taking, lambda: True)
        await taking
    except BaseException:
        if not taking.cancel() and not taking.cancelled():
            room.release()
        raise
    try:
        yield
    finally:
        room.release()


async def _tell(result: "asyncio.Future[_T]", waits: Callable[[], bool]) -> None:
    """Tell `WAITING` of the beats in which `waits`, until `result` is there; nobody may listen."""
    hear, now = WAITING.get(), asyncio.get_running_loop().time
    while hear is not None and not result.done():
        waiting, start = waits(), now()
        if waiting:
            hear(BEAT_S)
        await asyncio.wait([result], timeout=BEAT_S)
        if waiting:
            hear(now() - start - BEAT_S)
