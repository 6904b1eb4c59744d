"""What surrounds every node: the context check, the observer, the clock, events, and failures."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager, nullcontext
from typing import Protocol

from langgraph.config import get_config
from langgraph.errors import NodeError
from langgraph.runtime import Runtime
from langgraph.types import Command
from pydantic import BaseModel

from catts.agents.protocol import Usage
from catts.agents.waiting import WAITING
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


Handler = Callable[..., Awaitable[Command[str]]]
"""An error handler; LangGraph injects a `NodeError`, for which its own types have no name."""


LONGEST_RUN = 24
"""Most super-steps that a run can take, failures and a resumption included."""

_MAX_MESSAGE = 500
_FORESEEN = (RoleError, EngineError, NodeTimeoutError, ConnectionError, TimeoutError)


class _Failed(Exception):  # noqa: N818 - a carrier between node and handler, never seen by callers
    """A foreseen failure of a node, on its way to the node's error handler."""

    def __init__(self, failure: Failure, run: NodeRun, *, again: bool) -> None:
        super().__init__(failure.message)
        self.failure = failure
        self.run = run
        self.again = again


def worker(name: Worker, work: Callable[[State, Context], Awaitable[Work]]) -> Node:
    """The graph's node around `work`, which asks a model."""

    async def node(state: State, runtime: Runtime[Context]) -> Update:
        context = _checked(state, runtime)
        attempt = _attempt(runtime)
        asked = state.question.digest
        _tell(runtime, Started(question=asked, node=name, attempt=attempt))
        began, clock = time.time(), time.perf_counter()
        failed: _Failed | None = None
        try:
            async with _span(context, name, asked) as span:
                try:
                    update, usage = await _in_time(name, work(state, context), context.node_timeout)
                except _FORESEEN as error:
                    run = _run(name, error, time.perf_counter() - clock, attempt, began)
                    again = attempt < context.attempts and _transient(error)
                    failed = _Failed(_failure(name, error), run, again=again)
                    raise
                run = _run(name, usage, time.perf_counter() - clock, attempt, began)
                update = update | {"runs": (run,)}
                if span is not None:
                    span.result(update)
        except _FORESEEN as error:
            if failed is not None:
                raise failed from error
            raise
        for event in events_of(name, asked, update):
            _tell(runtime, event)
        return update

    return node


def handler(name: Worker) -> Handler:
    """What happens once `name` has failed for good: the failure is written down, the run goes on.

    An error that nobody foresaw ends the run. LangGraph stores an error beside the checkpoint as
    text, and on resuming calls the handler with that text instead of the node: the node is then
    tried again.
    """

    async def handle(state: State, error: NodeError, runtime: Runtime[Context]) -> Command[str]:
        raised: object = error.error
        if isinstance(raised, _Failed):
            update = _after_failure(raised)
            for event in events_of(name, state.question.digest, update):
                _tell(runtime, event)
            return Command(update=update, goto="route")
        if not isinstance(raised, BaseException):
            return Command(goto="route")
        # a new object: LangGraph takes the very one that failed for handled, and goes on silently
        if isinstance(raised, CattsError):
            raise type(raised)(*raised.args) from raised
        raise NodeFailedError(
            f"{name} failed with {type(raised).__name__}: {raised}; this is a defect of the model "
            "or expert given, or of catts"
        ) from raised

    return handle


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


def again(error: Exception) -> bool:
    """Whether a worker that failed with `error` is tried again."""
    return isinstance(error, _Failed) and error.again


def _transient(error: Exception) -> bool:
    """Whether trying again may help: a connection failed, here or as the cause, or a role says so.

    A node that used up its own time limit is not tried again: the limit bounds the run's time.
    """
    link: BaseException | None = error
    while link is not None and not isinstance(link, NodeTimeoutError):
        if isinstance(link, (ConnectionError, TimeoutError)):
            return True
        if isinstance(link, RoleError) and link.transient:
            return True
        link = link.__cause__
    return False


async def _in_time(name: Worker, work: Awaitable[Work], limit: float | None) -> Work:
    """Await `work` for `limit` seconds at most, its waiting for a turn at an engine left out."""
    if limit is None:
        return await work
    now = asyncio.get_running_loop().time
    timer = asyncio.timeout(limit)
    token = WAITING.set(lambda: timer.reschedule(now() + limit))
    try:
        async with timer:
            return await work
    except TimeoutError as error:
        if not timer.expired():
            raise
        raise NodeTimeoutError(
            f"the {name} took longer than {limit:g} s; allow more (node_timeout), or ask for less"
        ) from error
    finally:
        WAITING.reset(token)


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


def _after_failure(failed: _Failed) -> Update:
    facts: Update = {"failures": (failed.failure,), "runs": (failed.run,)}
    if failed.failure.node == "planner":
        reason = "the planner failed, so the default order stands in"
        return facts | {"plan": PlanRecord(order=MODULES, reason=reason, source="default")}
    return facts


def _attempt(runtime: Runtime[Context]) -> int:
    return runtime.execution_info.node_attempt if runtime.execution_info else 1


def _run(
    name: Worker, outcome: Usage | Exception, seconds: float, attempt: int, started: float
) -> NodeRun:
    usage = outcome if isinstance(outcome, Usage) else getattr(outcome, "usage", None)
    return NodeRun(
        node=name,
        status="failed" if isinstance(outcome, Exception) else "ok",
        usage=usage if isinstance(usage, Usage) else Usage(),
        seconds=seconds,
        started=started,
        ended=started + seconds,
        attempts=attempt,
    )


def _failure(name: Worker, error: Exception) -> Failure:
    kind = (error.cause or "RoleError") if isinstance(error, RoleError) else type(error).__name__
    message = error.message if isinstance(error, RoleError) else str(error)
    return Failure(node=name, error=kind, message=message[:_MAX_MESSAGE] or kind)


def _span(context: Context, name: str, question: str) -> AbstractAsyncContextManager[Span | None]:
    return context.observer.node(name, question) if context.observer else nullcontext()


def _tell(runtime: Runtime[Context], event: BaseModel) -> None:
    runtime.stream_writer(event.model_dump(mode="json"))
