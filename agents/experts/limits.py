"""What an expert's roles may cost and how fast they may ask, and what holds them to it."""

import asyncio
import threading
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Literal
from weakref import WeakKeyDictionary

from langchain_core.rate_limiters import InMemoryRateLimiter
from pydantic import Field, ValidationError

from catts.agents.experts.prices import Price, priced
from catts.agents.protocol import Usage
from catts.agents.waiting import idle, turn
from catts.errors import InputError, RoleError
from catts.names import ROLES, Role
from catts.records import Record, first_problem


class Limits(Record):
    """Limits of one role, or of several that share them; what is None has no limit.

    A budget counts from when the expert is made, over all questions, requests sent a second time
    included. When it is spent, the role fails with cause `BudgetSpent`, which the trace names, and
    the graph goes on without it. No more than `calls` are sent, beside what a client of the model's
    own sends again by itself. What requests cost is known when they end, so `tokens` and `dollars`
    may be exceeded by those that are under way; one whose cost nobody tells, such as one that was
    cut off, counts as the costliest so far, and the first of all as `UNTOLD`.
    """

    timeout: float | None = Field(default=None, gt=0, allow_inf_nan=False)
    """Seconds for one request; None is the expert's own (`role_timeout`)."""
    attempts: int | None = Field(default=None, ge=1)
    """How often a request is sent that fails in a way that may pass; None is
    `catts.agents.experts.requests.ATTEMPTS` for a model that is made from its name, and 1 for a
    chat model that was given, which has retries of its own."""
    at_once: int | None = Field(default=None, ge=1)
    """Requests under way at a time; waiting for a place is no time of a request or node."""
    requests_per_minute: float | None = Field(default=None, gt=0, allow_inf_nan=False)
    """Evenly spaced, by LangChain's token bucket; waiting for it is no time of a request either."""
    calls: int | None = Field(default=None, ge=0)
    """Budget: requests."""
    tokens: int | None = Field(default=None, ge=0)
    """Budget: tokens, read and written."""
    dollars: float | None = Field(default=None, ge=0, allow_inf_nan=False)
    """Budget: US dollars, for models whose price is known."""


NO_LIMITS = Limits()
UNTOLD = Usage(completion_tokens=8192)
"""What a request counts as whose cost nobody tells, before any other has told its own."""


class Gate:
    """Lets requests pass that keep to the limits; serves any number of event loops.

    Places (`at_once`) are of each event loop; pace and budgets are of all.
    """

    def __init__(self, limits: Limits) -> None:
        """Hold requests to `limits`."""
        self.limits = limits
        self._rooms: WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Semaphore] = (
            WeakKeyDictionary()
        )
        self._pace: InMemoryRateLimiter | None = None
        if limits.requests_per_minute is not None:
            per_second = limits.requests_per_minute / 60
            self._pace = InMemoryRateLimiter(
                requests_per_second=per_second, check_every_n_seconds=min(0.1, 0.25 / per_second)
            )
            self._pace.available_tokens = 1.0  # the first request need not wait
        self._lock = threading.Lock()
        self._begun = 0
        self._spent = self._costliest = Usage()

    @asynccontextmanager
    async def place(self) -> AsyncIterator[None]:
        """One of the places of requests that may be under way."""
        if self.limits.at_once is None:
            yield
            return
        loop = asyncio.get_running_loop()
        room = self._rooms.get(loop)
        if room is None:
            room = self._rooms[loop] = asyncio.Semaphore(self.limits.at_once)
        async with turn(room):
            yield

    async def pace(self) -> None:
        """Wait until the next request may be sent."""
        if self._pace is not None:
            await idle(self._pace.aacquire())

    def take(self, role: Role, requests: int) -> None:
        """Count requests that are about to be sent; 0 only looks whether one may be.

        Raises:
            RoleError: the budget is spent, with cause `BudgetSpent`.
        """
        with self._lock:
            tokens = self._spent.prompt_tokens + self._spent.completion_tokens
            for name, spent, most in (
                ("calls", self._begun, self.limits.calls),
                ("tokens", tokens, self.limits.tokens),
                ("dollars", self._spent.dollars, self.limits.dollars),
            ):
                if most is not None and spent >= most:
                    raise RoleError(
                        role,
                        f"its budget of {most:g} {name} is spent: raise it, or go on without",
                        cause="BudgetSpent",
                    )
            self._begun += requests

    def charge(self, usage: Usage | None, price: Price | None) -> None:
        """Count what a request has cost; None where nobody tells."""
        with self._lock:
            if usage is None:
                usage = self._costliest if self._costliest.calls else priced(UNTOLD, price)
            elif _size(usage) > _size(self._costliest):
                self._costliest = usage
            self._spent += usage


def _size(usage: Usage) -> tuple[float, int]:
    return usage.dollars, usage.prompt_tokens + usage.completion_tokens


class RoleGate:
    """What a role's requests have to pass: its own limits, and those that the roles share."""

    def __init__(self, gates: Sequence[Gate]) -> None:
        """Hold requests to the limits of all `gates`, of which the first counts before the next."""
        self._gates = tuple(gates)

    @property
    def timeout(self) -> float | None:
        """Seconds for one request."""
        return next((g.limits.timeout for g in self._gates if g.limits.timeout is not None), None)

    @property
    def attempts(self) -> int | None:
        """How often a request is sent."""
        return next((g.limits.attempts for g in self._gates if g.limits.attempts is not None), None)

    @property
    def in_dollars(self) -> bool:
        """Whether there is a budget in dollars."""
        return any(gate.limits.dollars is not None for gate in self._gates)

    @asynccontextmanager
    async def request(self, role: Role) -> AsyncIterator[None]:
        """Surrounds one request.

        Raises:
            RoleError: a budget is spent, with cause `BudgetSpent`; nothing was sent.
        """
        async with AsyncExitStack() as places:
            for gate in self._gates:
                await places.enter_async_context(gate.place())
            for gate in self._gates:
                gate.take(role, 0)
            for gate in self._gates:
                await gate.pace()
            for requests in (0, 1):  # of none, where another has no more
                for gate in self._gates:
                    gate.take(role, requests)
            yield

    def charge(self, usage: Usage | None, price: Price | None) -> None:
        """Count what a request has cost; None where nobody tells."""
        for gate in self._gates:
            gate.charge(usage, price)


Shared = Literal["shared"]
OwnAndShared = Mapping[Role | Shared, Limits]
"""Role to its own limits, and what the roles share as `shared`."""


class Gates:
    """The roles' gates: the limits that they share are one, whoever asks."""

    def __init__(self, limits: Limits | OwnAndShared | None = None) -> None:
        """One `Limits` is shared by the roles; a mapping gives roles their own, and shared ones."""
        given = limits if isinstance(limits, Mapping) else {"shared": limits or NO_LIMITS}
        shared = Gate(given.get("shared", NO_LIMITS))
        self._of = {
            role: RoleGate((Gate(given[role]), shared) if role in given else (shared,))
            for role in ROLES
        }

    def of(self, role: Role) -> RoleGate:
        """The role's."""
        return self._of[role]

    def only(self, roles: Collection[Role]) -> "Gates":
        """The same gates for an expert that is asked in these roles alone."""
        some = Gates()
        some._of |= {role: self._of[role] for role in roles}
        return some


def read_limits(text: str) -> dict[Role | Shared, Limits]:
    """Limits from a text such as `dollars=2,requests_per_minute=60,voter.calls=100`.

    A limit without a role's name is shared by the three roles; one with it is the role's own, and
    holds beside the shared ones.

    Raises:
        InputError: a part is no `NAME=NUMBER`, or there is no such limit or role, or it is given
            twice.
    """
    given: dict[Role | Shared, dict[str, str]] = {}
    for part in text.split(","):
        name, equals, number = part.strip().partition("=")
        named, dot, limit = name.rpartition(".")
        role = next((role for role in ROLES if role == named), None)
        if not equals or (dot and role is None):
            raise InputError(
                f"{part.strip()!r} is no limit: give NAME=NUMBER or ROLE.NAME=NUMBER, such as "
                "dollars=2 or voter.calls=100"
            )
        own = given.setdefault(role or "shared", {})
        if limit in own:
            raise InputError(f"{name} is given twice: give it once")
        own[limit] = number
    return {whose: _limits(own) for whose, own in given.items()}


def _limits(given: Mapping[str, str]) -> Limits:
    try:
        return Limits.model_validate(given)
    except ValidationError as error:
        raise InputError(
            f"{first_problem(error)}; the limits are {', '.join(Limits.model_fields)}"
        ) from error
