"""Calls that wait for a model's one worker thread; those that go together are served together."""

import threading
import time
import warnings
from collections import deque
from collections.abc import Callable, Hashable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from pydantic import Field

from catts.agents.engines.inputs import Encoded, Turn
from catts.errors import EngineError
from catts.records import Record

_T = TypeVar("_T")


class BatchLimits(Record):
    """How much is decoded at once when calls wait together. One call alone may be larger."""

    rows: int = Field(default=128, ge=1)
    """Most completions; 1 serves each call by itself."""
    tokens: int = Field(default=65_536, ge=1)
    """Most tokens of all rows: prompts padded to the longest, and the longest completions. A token
    of a model of 7 billion weights takes some 60 kB of memory in 16 bits."""


@dataclass(eq=False)
class Call(Generic[_T]):
    """One call to the model. Its future stays pending until it ends, so it can be cancelled."""

    work: "Callable[[Sequence[Call[_T]]], None]"
    """Does the work of calls that go together, and finishes each as soon as its own is done."""
    kind: Hashable
    """Calls of the same kind go together; None goes alone."""
    turns: Sequence[Turn]
    parts: int
    """Results that it asks for, each of as many of the turns."""
    rows: int
    """Completions that are decoded for it, both branches of a contrast counted."""
    new_tokens: int
    """Most tokens of each."""
    future: "Future[_T]" = field(default_factory=Future)
    asked: float = field(default_factory=time.perf_counter)
    begun: float | None = None
    encoded: list[Encoded] = field(default_factory=list)
    _ending: threading.Lock = field(default_factory=threading.Lock)

    @property
    def waited(self) -> float:
        """Seconds that it has waited for the engine to begin on it."""
        return (self.begun or time.perf_counter()) - self.asked

    def gone(self) -> bool:
        """Whether nobody waits for it any more."""
        return self.future.done()

    def finish(self, result: _T) -> None:
        """Hand over the result, if somebody still waits for it."""
        self._end(lambda: self.future.set_result(result))

    def fail(self, error: BaseException) -> None:
        """Hand over an error, if somebody still waits."""
        self._end(lambda: self.future.set_exception(error))

    def _end(self, hand_over: Callable[[], None]) -> None:
        with self._ending:
            # the second step makes a cancellation come too late from here on
            if not self.future.done() and self.future.set_running_or_notify_cancel():
                hand_over()


class CallQueue:
    """Serves calls in one worker thread, in turn; waiting calls of one kind as one batch."""

    def __init__(self, name: str, encode: Callable[[Turn], Encoded], limits: BatchLimits) -> None:
        """`name` is for messages; `encode` makes a turn ready for the model, in the worker."""
        self._name, self._encode, self._limits = name, encode, limits
        self._waiting: deque[Call[Any]] = deque()
        self._lock = threading.Lock()
        self._closed = False
        self._worker = ThreadPoolExecutor(max_workers=1, thread_name_prefix="catts-engine")

    def submit(self, call: Call[_T]) -> Call[_T]:
        """Put a call at the end of the queue, and return it.

        Raises:
            EngineError: the queue is closed.
        """
        with self._lock:
            if self._closed:
                raise self._closed_error()
            try:
                self._worker.submit(self._serve_next)
            except RuntimeError as error:  # the interpreter is shutting down
                raise self._closed_error() from error
            self._waiting.append(call)
        return call

    def close(self) -> None:
        """Let the calls that wait end in an EngineError, and wait for those being served."""
        with self._lock:
            self._closed = True
            waiting, self._waiting = self._waiting, deque()
        for call in waiting:
            call.fail(self._closed_error())
        self._worker.shutdown(wait=True)

    def _closed_error(self) -> EngineError:
        return EngineError(f"the engine {self._name} is closed: load it again")

    def _serve_next(self) -> None:
        calls = self._take()
        if calls:
            _serve(calls)

    def _take(self) -> list[Call[Any]]:
        """The first call that waits and those that go with it, encoded, in their order."""
        with self._lock:
            waiting = tuple(self._waiting)
        begun = time.perf_counter()
        taken: list[Call[Any]] = []
        for call in waiting:
            if call.gone():
                self._remove(call)
                continue
            if taken and (call.kind is None or call.kind != taken[0].kind):
                continue
            together = [*taken, call]
            if taken and sum(each.rows for each in together) > self._limits.rows:
                break
            if not self._make_ready(call):
                self._remove(call)
                continue
            if taken and _padded_tokens(together) > self._limits.tokens:
                break
            if self._remove(call):
                call.begun = begun
                taken = together
        return taken

    def _remove(self, call: Call[Any]) -> bool:
        """Take a call out; False when closing the queue has done so."""
        with self._lock:
            if call not in self._waiting:
                return False
            self._waiting.remove(call)
            return True

    def _make_ready(self, call: Call[Any]) -> bool:
        """Encode a call's turns; one that cannot be read fails by itself."""
        try:
            if not call.encoded:
                call.encoded = [self._encode(turn) for turn in call.turns]
        except Exception as error:  # whatever it is belongs to the caller
            call.fail(error)
        return not call.future.done()


def _padded_tokens(calls: Sequence[Call[Any]]) -> int:
    longest = max(turn.length for call in calls for turn in call.encoded)
    return sum(call.rows * (longest + call.new_tokens) for call in calls)


def _serve(calls: Sequence[Call[Any]]) -> None:
    try:
        calls[0].work(calls)
        return
    except Exception as error:  # whatever it is belongs to the callers
        if len(calls) == 1:
            calls[0].fail(error)
            return
        reason = str(error)
    # outside the handler: an error keeps alive what the model held when it was raised
    left = [call for call in calls if not call.gone()]
    warnings.warn(
        f"{len(calls)} calls to the model failed together; {len(left)} are served one by one: "
        f"{reason}",
        RuntimeWarning,
        stacklevel=2,
    )
    for call in left:
        call.begun = None
    for call in left:
        if not call.gone():
            call.begun = time.perf_counter()
            _serve([call])
