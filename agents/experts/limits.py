"""What an expert's roles may cost and how fast they may ask, and what holds them to it."""

import asyncio
import threading
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from weakref import WeakKeyDictionary

from langchain_core.rate_limiters import InMemoryRateLimiter
from pydantic import Field, ValidationError

from catts.agents.protocol import Usage
from catts.agents.waiting import idle, turn
from catts.errors import InputError, RoleError
from catts.names import ROLES, Role
from catts.records import Record, first_problem


class Limits(Record):
    """Limits of one role, or of several that share them; what is None has no limit.

    A budget counts from when the expert is made, over all questions, requests sent a second time
    included. When it is spent, the role fails with cause `BudgetSpent`, which the trace names, and
    the graph goes on without it. `calls` is never exceeded; what requests cost is known when they
    end, so `tokens` and `dollars` may be, by those that are under way.
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


class Gate:
    """Lets requests pass that keep to the limits; serves any number of event loops."""

    def __init__(self, limits: Limits = NO_LIMITS) -> None:
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
        self._spent = Usage()

    @property
    def spent(self) -> Usage:
        """What the requests so far have cost."""
        return self._spent

    @asynccontextmanager
    async def request(self, role: Role) -> AsyncIterator[None]:
        """Surrounds one request.

        Raises:
            RoleError: the budget is spent, with cause `BudgetSpent`; nothing was sent.
        """
        async with self._place():
            if self._pace is not None:
                self._take(role, 0)
                await idle(self._pace.aacquire())
            self._take(role, 1)  # only now: what others cost that were under way may be known
            yield

    def charge(self, usage: Usage) -> None:
        """Count what a request has cost."""
        with self._lock:
            self._spent += usage

    @asynccontextmanager
    async def _place(self) -> AsyncIterator[None]:
        if self.limits.at_once is None:
            yield
            return
        loop = asyncio.get_running_loop()
        room = self._rooms.get(loop)
        if room is None:
            room = self._rooms[loop] = asyncio.Semaphore(self.limits.at_once)
        async with turn(room):
            yield

    def _take(self, role: Role, requests: int) -> None:
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


class Gates:
    """A gate for each role: one for all where they share their limits, else one each."""

    def __init__(self, limits: Limits | Mapping[Role, Limits] | None = None) -> None:
        """One `Limits` is shared by the roles; in a mapping each has its own, or none."""
        if isinstance(limits, Mapping):
            self._of = {role: Gate(limits.get(role, NO_LIMITS)) for role in ROLES}
        else:
            self._of = dict.fromkeys(ROLES, Gate(limits or NO_LIMITS))

    def of(self, role: Role) -> Gate:
        """The role's."""
        return self._of[role]


def read_limits(text: str) -> Limits | dict[Role, Limits]:
    """Limits from a text such as `dollars=2,requests_per_minute=60` or `voter.calls=100`.

    A limit without a role's name is shared by the three roles. Where a role is named, each has
    limits of its own: those that name it, and for what these do not say those that name none.

    Raises:
        InputError: a part is no `NAME=NUMBER`, or there is no such limit or role.
    """
    shared: dict[str, str] = {}
    own: dict[Role, dict[str, str]] = {}
    for part in text.split(","):
        name, equals, number = part.strip().partition("=")
        named, dot, limit = name.rpartition(".")
        role = next((role for role in ROLES if role == named), None)
        if not equals or (dot and role is None):
            raise InputError(
                f"{part.strip()!r} is no limit: give NAME=NUMBER or ROLE.NAME=NUMBER, such as "
                "dollars=2 or voter.calls=100"
            )
        (shared if role is None else own.setdefault(role, {}))[limit] = number
    if not own:
        return _limits(shared)
    return {role: _limits(shared | own.get(role, {})) for role in ROLES}


def _limits(given: Mapping[str, str]) -> Limits:
    try:
        return Limits.model_validate(given)
    except ValidationError as error:
        raise InputError(
            f"{first_problem(error)}; the limits are {', '.join(Limits.model_fields)}"
        ) from error
