"""What is left open is counted: a thread, a socket, a file, a task; a key is found in anything."""

import asyncio
import gc
import socket
import threading
import time

import pytest

from catts.evals.chaos.leaks import (
    held,
    holds_key,
    left_behind,
    peak_bytes,
    resident_bytes,
    tasks_left,
)

SETTLE_S = 0.1


@pytest.fixture(scope="module", autouse=True)
def quiet_process():
    """What earlier tests left to be collected must not be closed while these count."""
    end = time.monotonic() + 10
    gc.collect()
    before = held()
    while time.monotonic() < end:
        time.sleep(2 * SETTLE_S)
        gc.collect()
        if (now := held()) == before:
            break
        before = now
    gc.disable()
    yield
    gc.enable()


def test_nothing_is_left_of_what_was_closed():
    before = held()
    with socket.socket():
        pass
    thread = threading.Thread(target=lambda: None)
    thread.start()
    thread.join()
    assert left_behind(before, settle_s=SETTLE_S).nothing


def test_what_ends_by_itself_is_waited_for():
    before, end = held(), threading.Event()
    thread = threading.Thread(target=end.wait, name="ends")
    thread.start()
    threading.Timer(0.2, end.set).start()
    assert left_behind(before, settle_s=5).nothing
    thread.join()


def test_a_socket_is_found():
    before = held()
    with socket.socket():
        left = left_behind(before, settle_s=SETTLE_S)
    assert (left.sockets, left.files) == (1, 0)
    assert not left.nothing


def test_a_file_is_found(tmp_path):
    before = held()
    with (tmp_path / "open").open("w"):
        left = left_behind(before, settle_s=SETTLE_S)
    assert (left.sockets, left.files) == (0, 1)


def test_a_thread_is_found_by_name():
    before, end = held(), threading.Event()
    thread = threading.Thread(target=end.wait, name="forgotten")
    thread.start()
    left = left_behind(before, settle_s=SETTLE_S)
    end.set()
    thread.join()
    assert list(left.threads.elements()) == ["forgotten"]


async def test_a_task_is_found_and_one_that_ends_is_not():
    before = asyncio.all_tasks()
    ends = asyncio.ensure_future(asyncio.sleep(0.05))
    assert await tasks_left(before, settle_s=5) == 0
    forgotten = asyncio.ensure_future(asyncio.Event().wait())
    assert await tasks_left(before, settle_s=SETTLE_S) == 1
    forgotten.cancel()
    assert ends.done()


def test_memory_is_told():
    assert peak_bytes() > 10 * 2**20
    now = resident_bytes()
    assert now is None or 0 < now <= 2 * peak_bytes()


KEY = "AIza0123456789abcdef"


@pytest.mark.parametrize(
    ("data", "holds"),
    [
        (b"x\0" + KEY.encode() + b"\0y", True),
        (KEY[2:].encode(), True),
        (KEY[:18].encode(), True),
        (KEY[:8].encode(), False),
        (b"[key]", False),
        (b"", False),
    ],
)
def test_a_key_or_a_good_part_of_one_is_found(data, holds):
    assert holds_key(data, ["another-key-0123456789", KEY]) is holds
