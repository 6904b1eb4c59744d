"""The state machine, put together.

start -> route -> {sampler, planner, voter, critic, reanswer, self_check} -> route ... -> decide

Every worker returns to `route`, which decides and records the next edge; `parallel` simply names
several nodes at once. What surrounds a worker (`catts.graph.instrument`) limits its time, tries it
again where a connection failed, and writes a failure down.
"""

import copy
from collections.abc import Awaitable, Callable, Mapping
from functools import cache
from typing import Any

from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer
from langgraph.graph import END, START, StateGraph
from langgraph.graph.state import CompiledStateGraph
from langgraph.types import Checkpointer

from catts.graph import nodes
from catts.graph.context import Context
from catts.graph.instrument import LONGEST_RUN, route, settle, start, worker
from catts.graph.routing import chosen
from catts.graph.state import CHECKPOINT_TYPES, Input, Output, State
from catts.names import STEPS, Worker

Graph = CompiledStateGraph[State, Context, Input, Output]

_WORKERS: Mapping[Worker, Callable[[State, Context], Awaitable[nodes.Work]]] = {
    "sampler": nodes.sampler,
    "planner": nodes.planner,
    "voter": nodes.voter,
    "critic": nodes.critic,
    "reanswer": nodes.reanswer,
    "self_check": nodes.self_check,
}


def build_graph(checkpointer: Checkpointer = None) -> Graph:
    """Compile the graph; it holds no model, so one serves every context.

    Call it with `await graph.ainvoke({"question": question}, config, context=context)`; all nodes
    are asynchronous. Pass `durability="sync"` beside a checkpointer that is to survive a kill.

    Args:
        checkpointer: None runs without (and inherits the one of a graph that this is a subgraph
            of); False runs without for certain. A saver with LangGraph's standard serializer gets
            our types on its allow-list, in a copy; a serializer of your own has to know
            `catts.graph.state.CHECKPOINT_TYPES`.
    """
    builder = StateGraph(State, context_schema=Context, input_schema=Input, output_schema=Output)
    for name, work in _WORKERS.items():
        builder.add_node(name, worker(name, work))
        builder.add_edge(name, "route")
    builder.add_node("start", start)
    builder.add_node("route", route)
    builder.add_node("decide", settle)
    builder.add_edge(START, "start")
    builder.add_edge("start", "route")
    builder.add_conditional_edges("route", chosen, list(STEPS))
    builder.add_edge("decide", END)
    saver = (
        _allowing(checkpointer) if isinstance(checkpointer, BaseCheckpointSaver) else checkpointer
    )
    graph = builder.compile(checkpointer=saver, name="catts")
    return graph.with_config(recursion_limit=LONGEST_RUN)


@cache
def unsaved_graph() -> Graph:
    """The graph without a checkpointer, compiled once: that takes some 20 ms."""
    return build_graph(checkpointer=False)


def _allowing(saver: BaseCheckpointSaver[Any]) -> BaseCheckpointSaver[Any]:
    """A shallow copy of `saver` that reads our types and, but for LangGraph's own, no others."""
    extended = saver.with_allowlist([(t.__module__, t.__name__) for t in CHECKPOINT_TYPES])
    if extended is saver and type(saver.serde) is JsonPlusSerializer:
        # the standard serializer reads anything, with a warning for each type: ours reads these
        extended = copy.copy(saver)
        extended.serde = JsonPlusSerializer(allowed_msgpack_modules=CHECKPOINT_TYPES)
    return extended
