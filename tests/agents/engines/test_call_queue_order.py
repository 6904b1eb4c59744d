"""Which waiting calls are served together, and when each is said to be worked on: no model."""

import threading
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest

from catts.agents.engines.call_queue import BatchLimits, Call, CallQueue
from catts.agents.engines.inputs import Encoded, Turn

Work = Callable[[Sequence[Call[Any]]], None]


class Held:
    """A queue whose worker is busy with a first call until `release` is called."""

    def __init__(self) -> None:
        self.queue = CallQueue("test", lambda turn: Encoded({}, 1, turn.key), BatchLimits())
        self._open, entered = threading.Event(), threading.Event()

        def busy(calls: Sequence[Call[Any]]) -> None:
            entered.set()
            assert self._open.wait(60)
            calls[0].finish(None)

        self.ask(busy, None)
        assert entered.wait(60)

    def ask(self, work: Work, kind: object) -> Call[Any]:
        call: Call[Any] = Call(
            work=work, kind=kind, turns=[Turn("", [], "")], parts=1, rows=1, new_tokens=1
        )  # fmt: skip
        return self.queue.submit(call)

    def release(self) -> None:
        self._open.set()


@pytest.fixture
def held() -> Iterator[Held]:
    held = Held()
    yield held
    held.release()
    held.queue.close()


@pytest.mark.parametrize(("kind", "together"), [("same", [3]), (None, [1, 1, 1])])
def test_calls_without_a_kind_go_alone(
    held: Held, kind: str | None, together: list[int], recwarn: pytest.WarningsRecorder
) -> None:
    served: list[int] = []

    def work(calls: Sequence[Call[Any]]) -> None:
        served.append(len(calls))
        for call in calls:
            call.finish(None)

    calls = [held.ask(work, kind) for _ in range(3)]
    held.release()
    for call in calls:
        call.future.result(60)
    assert served == together
    assert not recwarn.list


def test_after_a_joint_failure_those_that_wait_again_are_not_being_worked_on(held: Held) -> None:
    begun: list[list[bool]] = []
    calls: list[Call[Any]] = []

    def work(given: Sequence[Call[Any]]) -> None:
        begun.append([call.begun is not None for call in calls])
        if len(given) > 1:
            raise MemoryError("no room")
        time.sleep(0.1)
        given[0].finish(given[0].waited)

    calls += [held.ask(work, "same") for _ in range(3)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        held.release()
        waited = [call.future.result(60) for call in calls]
    assert begun == [
        [True, True, True],
        [True, False, False],
        [True, True, False],
        [True, True, True],
    ]
    assert waited[1] - waited[0] > 0.09, "it waited while the first was served"
    assert waited[2] - waited[1] > 0.09
