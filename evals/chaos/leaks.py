"""What a process holds, and what is left behind: threads, sockets, files, tasks, memory, keys."""

import asyncio
import os
import resource
import stat
import sys
import threading
import time
from collections import Counter
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import NamedTuple

SETTLE_S = 5.0
"""Longest time that what ends by itself is given."""
MB = 2**20
_FOLDERS = (Path("/proc/self/fd"), Path("/dev/fd"))
_PIECE = 12
"""Characters of a key that count as the key."""


class Held(NamedTuple):
    """What a process has open."""

    threads: Counter[str]
    """By name."""
    sockets: int
    files: int
    """Other file descriptors."""

    def beyond(self, before: "Held") -> "Held":
        """What is held that was not held `before`; nothing counts below 0."""
        return Held(
            self.threads - before.threads,
            max(0, self.sockets - before.sockets),
            max(0, self.files - before.files),
        )

    @property
    def nothing(self) -> bool:
        """Whether all counts are 0."""
        return not (self.threads or self.sockets or self.files)


def held() -> Held:
    """What this process has open now."""
    folder = next((each for each in _FOLDERS if each.is_dir()), None)
    kinds: Counter[bool] = Counter()
    for name in os.listdir(folder) if folder is not None else ():  # noqa: PTH208 -- names alone
        try:
            kinds[stat.S_ISSOCK(os.fstat(int(name)).st_mode)] += 1
        except OSError:  # the one that lists the folder
            continue
    threads = Counter(thread.name for thread in threading.enumerate())
    return Held(threads, kinds[True], kinds[False])


def left_behind(before: Held, *, settle_s: float = SETTLE_S) -> Held:
    """What is held beyond `before`, once what ends by itself has had its time."""
    end = time.monotonic() + settle_s
    while not (left := held().beyond(before)).nothing and time.monotonic() < end:
        time.sleep(0.05)
    return left


async def tasks_left(
    before: Collection["asyncio.Task[object]"], *, settle_s: float = SETTLE_S
) -> int:
    """Tasks of this loop that are not done and were not there `before`, after the same time."""
    end = time.monotonic() + settle_s
    while (left := asyncio.all_tasks() - set(before)) and time.monotonic() < end:
        await asyncio.wait(left, timeout=0.05)
    return len(left)


def peak_bytes() -> int:
    """The most memory that this process has had."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def resident_bytes() -> int | None:
    """The memory that this process has now; None where the system does not tell."""
    try:
        pages = Path("/proc/self/statm").read_text().split()[1]
    except OSError:
        return None
    return int(pages) * resource.getpagesize()


def holds_key(data: bytes, keys: Iterable[str]) -> bool:
    """Whether `data` hold one of the keys, or a good part of one."""
    return any(
        key[start : start + _PIECE].encode() in data
        for key in keys
        for start in range(0, len(key) - _PIECE + 1, _PIECE // 2)
    )
