"""Coroutines run from code without an event loop."""

import asyncio
import os
import threading
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import pytest

from catts.graph.blocking import _Loop, block_on


async def loop() -> asyncio.AbstractEventLoop:
    return asyncio.get_running_loop()


def test_all_threads_share_one_loop() -> None:
    fresh, gate = _Loop(), threading.Barrier(8)

    def get(_: int) -> asyncio.AbstractEventLoop:
        gate.wait()
        return fresh.get()

    with ThreadPoolExecutor(8) as threads:
        assert len({id(found) for found in threads.map(get, range(8))}) == 1
    assert block_on(loop()) is block_on(loop())


def test_an_error_is_the_caller_s() -> None:
    async def broken() -> None:
        raise KeyError("x")

    with pytest.raises(KeyError):
        block_on(broken())


def test_an_interrupt_waits_for_the_cleaning_up(monkeypatch: pytest.MonkeyPatch) -> None:
    entered, cleaned = threading.Event(), []

    async def work() -> None:
        try:
            entered.set()
            await asyncio.sleep(60)
        finally:
            await asyncio.sleep(0.2)
            cleaned.append(True)

    def interrupted(self: Future[Any], timeout: float | None = None) -> Any:
        entered.wait(10)
        raise KeyboardInterrupt

    monkeypatch.setattr(Future, "result", interrupted)
    with pytest.raises(KeyboardInterrupt):
        block_on(work())
    assert cleaned == [True]


@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_a_forked_child_has_a_loop_of_its_own() -> None:
    block_on(loop())
    child = os.fork()
    if child == 0:
        try:
            os._exit(0 if block_on(loop()).is_running() else 1)
        except BaseException:
            os._exit(2)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
