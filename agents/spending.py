"""What a request cost counts from the moment it is known, whatever happens to its call later."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from catts.agents.protocol import Usage

SPENDING: ContextVar[Callable[[Usage], None] | None] = ContextVar("catts_spending", default=None)
"""Told what each request to an expert cost, as soon as it has ended or was cut off."""


class Account:
    """What calls have cost, added up from any thread."""

    def __init__(self) -> None:
        self.total = Usage()
        self._lock = threading.Lock()

    def add(self, usage: Usage) -> None:
        """Add the cost of a call."""
        with self._lock:
            self.total += usage


class Bill:
    """What the requests of one call cost; whoever counts (`counted`) hears of each at once."""

    def __init__(self) -> None:
        self.total = Usage()

    def add(self, usage: Usage) -> None:
        """Put a request on the bill."""
        self.total += usage
        hear = SPENDING.get()
        if hear is not None:
            hear(usage)


@contextmanager
def counted() -> Iterator[Bill]:
    """Count what is spent inside, also by a call that is cut off before it can report it."""
    bill = Bill()

    def hear(usage: Usage) -> None:
        bill.total += usage

    token = SPENDING.set(hear)
    try:
        yield bill
    finally:
        SPENDING.reset(token)
