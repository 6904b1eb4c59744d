"""What surrounds every node: the context check, the observer, the clock, events, and failures."""

import time
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager, nullcontext
from typing import Literal, Protocol

from langgraph.errors import NodeError, NodeTimeoutError
from langgraph.runtime import Runtime
from langgraph.types import Command, Overwrite
from pydantic import BaseModel

from catts.agents.expert import MODULES
from catts.agents.protocol import Usage
from catts.errors import (
    CattsError,
    ContextMismatchError,
    EngineError,
    MissingContextError,
    NodeFailedError,
    RoleError,
)
from catts.graph.context import Context
from catts.graph.events import Started, events_of
from catts.graph.nodes import Work, decide
from catts.graph.observer import Span
from catts.graph.records import Failure, NodeRun, PlanRecord, Worker
from catts.graph.routing import decide_route
from catts.graph.state import State, Update, fresh


class Node(Protocol):
    """A node as LangGraph calls it."""

    async def __call__(self, state: State, runtime: Runtime[Context]) -> Update:
        """The channels that change."""


Handler = Callable[..., Awaitable[Command[str]]]
"""An error handler; LangGraph injects a `NodeError`, for which its own types have no name."""


_MAX_MESSAGE = 500
_SPENT: dict[str, Usage] = {}
"""What the failed attempts of a node cost that may still be tried again, by LangGraph's task: the
account of its last attempt holds them all."""

_FORESEEN = (RoleError, EngineError, ConnectionError, TimeoutError)


class _Failed(Exception):  # noqa: N818 - a carrier between node and handler, never seen by callers
    """A foreseen failure of a node, on its way to the node's error handler."""

    def __init__(self, failure: Failure, run: NodeRun, task: str = "") -> None:
        super().__init__(failure.message)
        self.failure = failure
        self.run = run
        self.task = task


def worker(name: Worker, work: Callable[[State, Context], Awaitable[Work]]) -> Node:
    """The graph's node around `work`, which asks a model."""

    async def node(state: State, runtime: Runtime[Context]) -> Update:
        context = _checked(state, runtime, first=name == "sampler")
        attempt, task = _attempt(runtime), _task(runtime)
        before = _SPENT.pop(task, Usage())
        asked = state.question.digest
        _tell(runtime, Started(question=asked, node=name, attempt=attempt))
        began, start = time.time(), time.perf_counter()
        failed: _Failed | None = None
        try:
            async with _span(context, name, asked) as span:
                try:
                    update, usage = await work(state, context)
                except _FORESEEN as error:
                    failed = _failed(
                        name, error, time.perf_counter() - start, attempt, before, task
                    )
                    raise
                run = _run(name, "ok", before + usage, time.perf_counter() - start, attempt, began)
                update = update | {"runs": Overwrite((run,)) if name == "sampler" else (run,)}
                if span is not None:
                    span.result(update)
        except _FORESEEN as error:
            if failed is not None:
                _SPENT[task] = failed.run.usage
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
        if isinstance(raised, NodeTimeoutError):
            raised = _failed(name, raised, raised.elapsed, _attempt(runtime))
        if isinstance(raised, _Failed):
            _SPENT.pop(raised.task, None)
            update = _after_failure(state, raised, runtime.context)
            for event in events_of(name, state.question.digest, update):
                _tell(runtime, event)
            return Command(update=update, goto="route")
        if not isinstance(raised, BaseException):
            return Command(goto="sampler" if name == "sampler" else "route")
        # a new object: LangGraph takes the very one that failed for handled, and goes on silently
        if isinstance(raised, CattsError):
            raise type(raised)(*raised.args) from raised
        raise NodeFailedError(
            f"{name} failed with {type(raised).__name__}: {raised}; this is a defect of the model "
            "or expert given, or of catts"
        ) from raised

    return handle


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


def transient(error: Exception) -> bool:
    """Whether trying again may help: a connection failed, here or as the cause, or a role says so.

    A node that used up its own time limit is not tried again: the limit bounds the run's time.
    """
    if isinstance(error, NodeTimeoutError):
        return False
    link: BaseException | None = error
    while link is not None:
        if isinstance(link, (ConnectionError, TimeoutError)):
            return True
        if isinstance(link, RoleError) and link.transient:
            return True
        link = link.__cause__
    return False


def _checked(state: State, runtime: Runtime[Context], *, first: bool = False) -> Context:
    context: object = runtime.context
    if not isinstance(context, Context):
        raise MissingContextError(
            f"the graph needs a catts Context and got {type(context).__name__}; call it with "
            "context=Context.of(engine, expert), or embed it with as_node(context)"
        )
    if not first and state.context_fingerprint != context.fingerprint:
        raise ContextMismatchError(
            "this checkpoint was made with other models, prompts or policy; resume it with the "
            "context that it was started with, or ask the question again on a new thread"
        )
    return context


def _after_failure(state: State, failed: _Failed, context: Context) -> Update:
    name = failed.failure.node
    facts: Update = {"failures": (failed.failure,), "runs": (failed.run,)}
    if name == "sampler":
        return fresh(context.fingerprint, **facts)
    if name == "planner":
        reason = "the planner failed, so the default order stands in"
        return facts | {"plan": PlanRecord(order=MODULES, reason=reason, source="default")}
    return facts


def _attempt(runtime: Runtime[Context]) -> int:
    return runtime.execution_info.node_attempt if runtime.execution_info else 1


def _task(runtime: Runtime[Context]) -> str:
    return runtime.execution_info.task_id if runtime.execution_info else ""


def _run(
    name: Worker,
    status: Literal["ok", "failed"],
    usage: Usage,
    seconds: float,
    attempts: int,
    started: float,
) -> NodeRun:
    return NodeRun(
        node=name,
        status=status,
        usage=usage,
        seconds=seconds,
        started=started,
        ended=started + seconds,
        attempts=attempts,
    )


def _failed(
    name: Worker,
    error: Exception,
    seconds: float,
    attempt: int,
    before: Usage = Usage(),  # noqa: B008 - frozen
    task: str = "",
) -> _Failed:
    kind = (error.cause or "RoleError") if isinstance(error, RoleError) else type(error).__name__
    message = error.message if isinstance(error, RoleError) else str(error)
    usage = getattr(error, "usage", None)
    return _Failed(
        Failure(node=name, error=kind, message=message[:_MAX_MESSAGE] or kind),
        _run(
            name,
            "failed",
            before + usage if isinstance(usage, Usage) else before,
            seconds,
            attempt,
            time.time() - seconds,
        ),
        task,
    )


def _span(context: Context, name: str, question: str) -> AbstractAsyncContextManager[Span | None]:
    return context.observer.node(name, question) if context.observer else nullcontext()


def _tell(runtime: Runtime[Context], event: BaseModel) -> None:
    runtime.stream_writer(event.model_dump(mode="json"))
