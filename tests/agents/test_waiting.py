"""Time limits and waiting, without a model."""

import asyncio
import time
from concurrent.futures import Future, ThreadPoolExecutor

import pytest

from catts.agents.waiting import served, time_limit, turn


async def worked(seconds: float, waiting: float = 0.0) -> None:
    """A call that waits, and then is worked on."""
    begin = time.monotonic() + waiting
    with ThreadPoolExecutor(1) as worker:
        future = worker.submit(time.sleep, waiting + seconds)
        await served(future, lambda: time.monotonic() >= begin)


async def test_waiting_leaves_what_is_left_of_a_limit() -> None:
    with pytest.raises(TimeoutError):
        async with time_limit(0.5):
            for _ in range(6):
                await worked(0.2, waiting=0.02)


async def test_a_long_wait_is_left_out() -> None:
    async with time_limit(0.5):
        await worked(0.1, waiting=0.9)


async def test_a_task_that_outlives_its_limit_goes_on() -> None:
    started = asyncio.Event()

    async def background() -> str:
        await started.wait()
        await worked(0.1, waiting=0.1)
        return "done"

    async with time_limit(5):
        task = asyncio.create_task(background())
    started.set()
    assert await task == "done"


async def test_who_stops_waiting_cancels_the_call() -> None:
    future: Future[None] = Future()

    def broken() -> bool:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        async with time_limit(5):
            await served(future, broken)
    await asyncio.sleep(0)
    assert future.cancelled()


async def test_waiting_for_a_place_is_left_out_of_a_limit() -> None:
    room = asyncio.Semaphore(1)

    async def takes(seconds: float) -> None:
        async with time_limit(0.5), turn(room):
            await asyncio.sleep(seconds)

    await asyncio.gather(*(takes(0.3) for _ in range(4)))
    with pytest.raises(TimeoutError):
        await takes(0.8)
    assert room._value == 1


async def test_who_gives_up_waiting_for_a_place_takes_none() -> None:
    room = asyncio.Semaphore(1)
    async with turn(room):
        waiting = asyncio.create_task(turn(room).__aenter__())
        await asyncio.sleep(0.02)
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
    assert room._value == 1 and not room.locked()
