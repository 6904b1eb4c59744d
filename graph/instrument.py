"""What surrounds every node: the context check, the observer, the clock, events, and failures."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager, nullcontext
from typing import Literal, Protocol

from langgraph.config import get_config
from langgraph.errors import GraphBubbleUp
from langgraph.runtime import Runtime
from pydantic import BaseModel
from tenacity import (
    AsyncRetrying,
    RetryCallState,
    retry_if_exception,
    stop_after_attempt,
    wait_exponential_jitter,
)

from catts.agents.protocol import Usage
from catts.agents.spending import counted
from catts.agents.waiting import time_limit
from catts.errors import (
    CattsError,
    ContextMismatchError,
    EngineError,
    InputError,
    MissingContextError,
    NodeFailedError,
    NodeTimeoutError,
    RoleError,
)
from catts.graph.context import Context
from catts.graph.events import Started, events_of
from catts.graph.nodes import Work, decide
from catts.graph.observer import Span
from catts.graph.records import Failure, NodeRun, PlanRecord
from catts.graph.routing import decide_route
from catts.graph.state import State, Update, fresh
from catts.names import MODULES, Worker


class Node(Protocol):
    """A node as LangGraph calls it."""

    async def __call__(self, state: State, runtime: Runtime[Context]) -> Update:
        """The channels that change."""


LONGEST_RUN = 24
"""Most super-steps that a run can take, failures and a resumption included."""

_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.2, 5.0
_MAX_MESSAGE = 500
_FORESEEN = (RoleError, EngineError, NodeTimeoutError, ConnectionError, TimeoutError)


def worker(name: Worker, work: Callable[[State, Context], Awaitable[Work]]) -> Node:
    """The graph's node around `work`, which asks a model.

    What fails in a foreseen way, after as many attempts as the context allows, is written down, and
    the run goes on. An error that nobody foresaw ends the run; a stored one can be resumed here.
    """

    async def node(state: State, runtime: Runtime[Context]) -> Update:
        context = _checked(state, runtime)
        asked = state.question.digest
        clock, spent = _Clock(), Usage()
        failed: Exception | None = None
        tries = AsyncRetrying(
            retry=retry_if_exception(lambda error: error is failed and _transient(error)),
            stop=stop_after_attempt(context.attempts),
            wait=_pause,
            reraise=True,
        )
        try:
            async for trial in tries:
                with trial:
                    attempt = trial.retry_state.attempt_number
                    _tell(runtime, Started(question=asked, node=name, attempt=attempt))
                    async with _span(context, name, asked) as span:
                        done, cost = await _tried(name, work(state, context), context.node_timeout)
                        spent += cost
                        if isinstance(done, Exception):
                            failed = done
                            raise done
                        run = clock.run(name, "ok", spent, attempt, done.replies)
                        update = done.update | {"runs": (run,)}
                        if span is not None:
                            span.result(update)
        except _FORESEEN as error:
            if error is not failed:
                raise
            update = _after_failure(name, error, clock.run(name, "failed", spent, attempt))
        for event in events_of(name, asked, update):
            _tell(runtime, event)
        return update

    return node


async def start(state: State, runtime: Runtime[Context]) -> Update:
    """Begin a question with a whole new state, so that a thread can be asked a second one."""
    context = _given(runtime)
    limit = get_config().get("recursion_limit", LONGEST_RUN)
    if limit < LONGEST_RUN:
        raise InputError(
            f"a run may take {LONGEST_RUN} steps and recursion_limit allows {limit}; leave it out"
        )
    return fresh(context.fingerprint)


async def route(state: State, runtime: Runtime[Context]) -> Update:
    """Choose the next node and write the reason down."""
    context = _checked(state, runtime)
    asked = state.question.digest
    async with _span(context, "route", asked) as span:
        update: Update = {"route": (decide_route(state, context.policy),)}
        if span is not None:
            span.result(update)
    for event in events_of("route", asked, update):
        _tell(runtime, event)
    return update


async def settle(state: State, runtime: Runtime[Context]) -> Update:
    """Settle the answer from the ledger."""
    context = _checked(state, runtime)
    asked = state.question.digest
    async with _span(context, "decide", asked) as span:
        update = decide(state)
        if span is not None:
            span.result(update)
    for event in events_of("decide", asked, update):
        _tell(runtime, event)
    return update


def _pause(state: RetryCallState) -> float:
    """Exponential with jitter, and never before a provider wants to be asked again."""
    grown = wait_exponential_jitter(initial=_FIRST_PAUSE_S, max=_LONGEST_PAUSE_S)(state)
    failed = state.outcome.exception() if state.outcome is not None else None
    return max(grown, getattr(failed, "retry_after", None) or 0.0)


def _transient(error: BaseException) -> bool:
    """Whether trying again may help: a connection failed, here or as the cause, or a role says so.

    A node that used up its own time limit is not tried again: the limit bounds the run's time. Nor
    is one whose role has sent its request as often as it may.
    """
    link: BaseException | None = error
    while link is not None and not isinstance(link, NodeTimeoutError):
        if isinstance(link, (ConnectionError, TimeoutError)):
            return True
        if isinstance(link, RoleError) and (link.transient or link.attempts > 1):
            return link.attempts == 1
        link = link.__cause__
    return False


async def _tried(
    name: Worker, work: Awaitable[Work], limit: float | None
) -> tuple[Work | Exception, Usage]:
    """What `work` made, or the foreseen way in which it failed; and what it cost either way."""
    with counted() as bill:
        try:
            done = await _in_time(name, work, limit)
        except _FORESEEN as error:
            return error, _fuller(_usage_of(error), bill.total)
        except (CattsError, GraphBubbleUp):
            raise
        except Exception as error:
            raise NodeFailedError(
                f"{name} failed with {type(error).__name__}: {error}; this is a defect of the "
                "model or expert given, or of catts"
            ) from error
    return done, _fuller(done.usage, bill.total)


async def _in_time(name: Worker, work: Awaitable[Work], limit: float | None) -> Work:
    """Await `work` for `limit` seconds at most, its waiting for a turn at an engine left out."""
    timer: asyncio.Timeout | None = None
    try:
        async with time_limit(limit) as timer:
            return await work
    except TimeoutError as error:
        if timer is None or not timer.expired():
            raise
        raise NodeTimeoutError(
            f"the {name} took longer than {limit:g} s; allow more (node_timeout), or ask for less"
        ) from error


def _given(runtime: Runtime[Context]) -> Context:
    context: object = runtime.context
    if not isinstance(context, Context):
        raise MissingContextError(
            f"the graph needs a catts Context and got {type(context).__name__}; call it with "
            "context=Context.of(engine, expert), or embed it with as_node(context)"
        )
    return context


def _checked(state: State, runtime: Runtime[Context]) -> Context:
    context = _given(runtime)
    if state.context_fingerprint != context.fingerprint:
        raise ContextMismatchError(
            "this checkpoint was made with other models, prompts or policy; resume it with the "
            "context that it was started with, or ask the question again on a new thread"
        )
    return context


def _after_failure(name: Worker, error: Exception, run: NodeRun) -> Update:
    kind = (error.cause or "RoleError") if isinstance(error, RoleError) else type(error).__name__
    message = error.message if isinstance(error, RoleError) else str(error)
    failure = Failure(node=name, error=kind, message=message[:_MAX_MESSAGE] or kind)
    facts: Update = {"failures": (failure,), "runs": (run,)}
    if name == "planner":
        reason = "the planner failed, so the default order stands in"
        return facts | {"plan": PlanRecord(order=MODULES, reason=reason, source="default")}
    return facts


def _usage_of(error: Exception) -> Usage:
    usage = getattr(error, "usage", None)
    return usage if isinstance(usage, Usage) else Usage()


def _fuller(reported: Usage, heard: Usage) -> Usage:
    """What a call reported, or, where that leaves requests out, what was heard of them."""
    return heard if heard.calls > reported.calls else reported


class _Clock:
    """When a node began."""

    def __init__(self) -> None:
        self._began, self._start = time.time(), time.perf_counter()

    def run(
        self,
        name: Worker,
        status: Literal["ok", "failed"],
        usage: Usage,
        attempts: int,
        replies: int = 0,
    ) -> NodeRun:
        """The record of the node, which ends now."""
        seconds = time.perf_counter() - self._start
        return NodeRun(
            node=name,
            status=status,
            usage=usage,
            seconds=seconds,
            started=self._began,
            ended=self._began + seconds,
            attempts=attempts,
            replies=replies,
        )


def _span(context: Context, name: str, question: str) -> AbstractAsyncContextManager[Span | None]:
    return context.observer.node(name, question) if context.observer else nullcontext()


def _tell(runtime: Runtime[Context], event: BaseModel) -> None:
    runtime.stream_writer(event.model_dump(mode="json"))
