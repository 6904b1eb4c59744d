"""What goes wrong, decided by seed and question alone: the same whatever runs first.

Of each question every role and every call to the base model has a course: it is fine, it fails and
then passes, or it fails for good. A request's fault follows from its course and from how many
requests of its kind came before, so that a check afterwards knows what was said to whom.
"""

import hashlib
import random
from collections.abc import Collection
from typing import Literal, NamedTuple, get_args

from catts.names import Role

Fault = Literal[
    "stalls",
    "refuses",
    "cut off",
    "rate-limited",
    "blocked",
    "no JSON",
    "other JSON",
    "bad numbers",
    "HTML page",
    "empty body",
    "hangs up",
    "server error",
    "key refused",
]
"""A way in which a request to the expert fails.

- `stalls`: no reply for as long as anybody waits.
- `refuses`: the model says that it would rather not.
- `cut off`: JSON that ends in the middle, marked as cut at its longest.
- `rate-limited`: 429 with Retry-After.
- `blocked`: kept back by the provider for safety.
- `no JSON`, `other JSON`: prose; a JSON object of another form.
- `bad numbers`: NaN, negative or too many probabilities; of other roles, values of a wrong kind.
- `HTML page`, `empty body`: what a gateway says, with status 200.
- `hangs up`: the connection ends in the place of a reply.
- `server error`, `key refused`: 5xx, 401.
"""

FAULTS: tuple[Fault, ...] = get_args(Fault)
PASSING: tuple[Fault, ...] = (
    "stalls",
    "cut off",
    "rate-limited",
    "no JSON",
    "other JSON",
    "bad numbers",
    "hangs up",
    "server error",
)
"""Faults after which a role asks again, so that a good reply can follow."""

Call = Literal["sample", "reanswer", "contrast"]
"""A call of the graph to the base model."""

EngineFault = Literal["EngineError", "ConnectionError", "hangs"]
"""How a call to the base model fails; one that hangs ends with the node's time limit."""


class Course(NamedTuple):
    """How the requests of one role go."""

    fault: Fault | None
    """None: all is well."""
    final: bool
    """Whether it stays so; else the first request meets the fault, and the others none."""

    @property
    def doomed(self) -> bool:
        """Whether the role fails for good once it has asked."""
        return self.fault is not None and self.final

    def at(self, request: int) -> Fault | None:
        """The fault of a request, counted from 0."""
        return self.fault if self.final or request == 0 else None


class EngineCourse(NamedTuple):
    """How one kind of call to the base model goes."""

    fault: EngineFault | None
    final: bool

    @property
    def doomed(self) -> bool:
        """Whether the node fails for good once it has called."""
        return self.fault is not None and self.final

    def at(self, call: int) -> EngineFault | None:
        """The fault of a call, counted from 0."""
        return self.fault if self.final or call == 0 else None


class Case(NamedTuple):
    """One question of the storm."""

    place: int
    """In the test stream, counted from 0."""
    id: str
    mark: str
    """What every good reply to it carries: no other question's record may hold it."""
    provider: Literal["gemini", "openai"]
    routing: Literal["paper", "planned", "parallel"]
    hurried: bool
    """Whether its nodes have a short time limit."""
    cancelled_after: float | None
    """Seconds after which it is cancelled from outside; None for never."""


class Script:
    """Decides, from a seed, what happens to every question."""

    def __init__(
        self,
        seed: int = 0,
        *,
        failing: float = 0.45,
        base_failing: float = 0.06,
        cancelled: float = 0.1,
        hurried: float = 0.1,
        longest_s: float = 8.0,
        faults: Collection[Fault] = FAULTS,
    ) -> None:
        """Shares are of 1.

        Args:
            seed: of everything.
            failing: share of the roles that meet a fault.
            base_failing: share of the calls to the base model that do.
            cancelled: share of the questions that are cancelled from outside.
            hurried: share of those with a short time limit for each node.
            longest_s: latest moment at which a question is cancelled.
            faults: which faults happen.
        """
        self.seed = seed
        self._failing, self._base_failing = failing, base_failing
        self._cancelled, self._hurried, self._longest_s = cancelled, hurried, longest_s
        self._faults = tuple(fault for fault in FAULTS if fault in faults)

    def case(self, place: int) -> Case:
        """The question at this place of the test stream."""
        name = f"embedded/test/{place}"
        chance = self._chance(name, "case")
        return Case(
            place=place,
            id=name,
            mark=f"[{self._digest(name, 'mark')[:12]}]",
            provider="gemini" if place % 2 == 0 else "openai",
            routing=("paper", "planned", "parallel")[place // 2 % 3],
            hurried=chance.random() < self._hurried,
            cancelled_after=(
                chance.uniform(0, self._longest_s) if chance.random() < self._cancelled else None
            ),
        )

    def course(self, case: Case, role: Role) -> Course:
        """How a role's requests go for a question."""
        chance = self._chance(case.id, role)
        if not self._faults or chance.random() >= self._failing:
            return Course(None, False)
        fault = chance.choice(self._faults)
        return Course(fault, fault not in PASSING or chance.random() < 0.5)

    def engine_course(self, case: Case, call: Call) -> EngineCourse:
        """How a kind of call to the base model goes for a question."""
        chance = self._chance(case.id, call)
        if chance.random() >= self._base_failing:
            return EngineCourse(None, False)
        fault: EngineFault = chance.choice(("EngineError", "ConnectionError"))
        if case.hurried and chance.random() < 0.5:
            fault = "hangs"
        return EngineCourse(fault, fault != "ConnectionError" or chance.random() < 0.5)

    def probabilities(self, case: Case, candidates: int) -> list[float]:
        """What a well-meaning voter says of so many candidates of a question: no two say alike."""
        chance = self._chance(case.id, f"voter of {candidates}")
        return [round(chance.uniform(0.01, 1), 6) for _ in range(candidates)]

    def chance(self, case: Case, what: str, request: int) -> random.Random:
        """Random numbers for whatever else a reply needs."""
        return self._chance(case.id, f"{what} {request}")

    def _digest(self, *parts: str) -> str:
        return hashlib.sha256("\0".join((str(self.seed), *parts)).encode()).hexdigest()

    def _chance(self, *parts: str) -> random.Random:
        return random.Random(self._digest(*parts))
