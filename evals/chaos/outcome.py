"""How the questions of a storm ended."""

from typing import NamedTuple

from catts.evals.chaos.script import Case
from catts.graph.trace import Trace


class Outcome(NamedTuple):
    """How one question ended."""

    case: Case
    trace: Trace | None
    cancelled: bool
    error: BaseException | None = None


class Gathered(NamedTuple):
    """What came of the questions that one storm asked."""

    outcomes: list[Outcome]
    tasks: int
    """Left in the event loop."""
    memory: list[int]
    """After each question, bytes; empty where the system does not tell."""
    reprs: list[str]
    """Of what a user may print."""
