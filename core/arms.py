"""Processes that a benchmark compares: each arm is one, and is asked through its pipe."""

import multiprocessing
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from multiprocessing.connection import Connection
from typing import Any, TypeVar

_Name = TypeVar("_Name", bound=str)


@contextmanager
def started(
    names: Sequence[_Name], serve: Callable[[Connection, _Name, Any], None], setting: object
) -> Iterator[dict[_Name, Connection]]:
    """A process of its own for each arm, by name the pipe to it; they are waited for at the end.

    Args:
        names: of the arms, which start in this order.
        serve: what runs in each, with its end of the pipe, its name and `setting`; it ends when it
            has been asked for all, or is told so.
        setting: of all arms; it can be pickled.
    """
    context = multiprocessing.get_context("spawn")
    pipes: dict[_Name, Connection] = {}
    processes = []
    for name in names:
        pipes[name], far = context.Pipe()
        process = context.Process(target=serve, args=(far, name, setting), daemon=True)
        process.start()
        far.close()
        processes.append(process)
    yield pipes
    for process in processes:
        process.join()
