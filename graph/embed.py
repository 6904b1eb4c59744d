"""The graph as a plain call: one question in, its trace out."""

import asyncio
import inspect
import json
import math
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, cast

from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.types import Durability, StreamMode
from pydantic import ValidationError

from catts.agents.spec import BaseSpec, ExpertSpec
from catts.arguments import check_types
from catts.errors import InputError
from catts.graph.blocking import block_on
from catts.graph.build import Graph, build_graph, unsaved_graph
from catts.graph.context import Context
from catts.graph.events import Event, parse_event
from catts.graph.instrument import LONGEST_RUN
from catts.graph.opening import open_context
from catts.graph.state import Input, Output
from catts.graph.trace import Trace
from catts.images import ImageSource, ImageStore
from catts.names import Role
from catts.question import Question
from catts.records import first_problem

Images = ImageSource | Sequence[ImageSource]
"""One image, or several in the order in which the question speaks of them."""

OnEvent = Callable[[Event], Awaitable[None] | None]
"""Called with each event; what it returns is awaited where that can be."""


async def answer(
    image: Images,
    question: str,
    *,
    choices: Sequence[str] = (),
    context: Context | None = None,
    base: BaseSpec = "embedded",
    expert: ExpertSpec | Mapping[Role, ExpertSpec] = "embedded",
    checkpointer: BaseCheckpointSaver[Any] | None = None,
    config: RunnableConfig | None = None,
    on_event: OnEvent | None = None,
    **settings: Any,
) -> Trace:
    """Answer one question about one or more images.

    Args:
        image: a path, an open image or the bytes of one, or several of them.
        question: the question without its choices.
        choices: texts of a multiple-choice question, in order.
        context: models and policy to use; then `base`, `expert` and `settings` must be left out.
            Without it the models are loaded for this call and freed after it (one that was given as
            an object stays open): for more than one question, keep a context (`open_context`).
            The image is kept for this run only, or in the folder of the context's store.
        base: the base model; see `catts.agents.spec.BaseSpec`.
        expert: the expert, or one for each role; see `catts.agents.spec.ExpertSpec`.
        checkpointer: stores the run under `config["configurable"]["thread_id"]`. A thread that
            stands unfinished at this very question is resumed where it stopped.
        config: a LangChain config; its callbacks see every node and every model call.
        on_event: called with each progress event (`catts.graph.events`) as it happens, and awaited
            if it is asynchronous; what it raises ends the run and comes out unchanged.
        **settings: fields of `catts.graph.context.Policy`, such as `samples=4, routing="paper"`,
            and what else `open_context` takes.

    Returns:
        The trace; `trace.answer_text` is the answer, None only together with `trace.no_answer`.

    Raises:
        InputError: an image, a spec, an argument's type or the combination of arguments cannot be
            used.
        ContextMismatchError: the thread to resume was started under another context.
    """
    if isinstance(config, Mapping):  # LangChain takes None for left out
        config = cast("RunnableConfig", {k: v for k, v in config.items() if v is not None})
    check_types(
        answer,
        question=question,
        choices=choices,
        context=context,
        checkpointer=checkpointer,
        config=config,
        on_event=on_event,
    )
    async with _context(context, base, expert, settings) as opened:
        held = opened.for_one_run()
        asked = await asyncio.to_thread(ask, held.images, image, question, choices)
        graph = unsaved_graph() if checkpointer is None else build_graph(checkpointer)
        return await run(graph, asked, held, config, on_event)


def answer_sync(image: Images, question: str, **options: Any) -> Trace:
    """`answer` for programs without an event loop; takes the same arguments.

    Raises:
        InputError: an event loop is running in this thread; `await answer(...)` there.
    """
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return block_on(answer(image, question, **options))
    raise InputError("an event loop is running here: write `await answer(...)` instead")


def ask(store: ImageStore, image: Images, question: str, choices: Sequence[str] = ()) -> Question:
    """The question as a record, with its images put into `store`.

    Raises:
        ImageError: an image cannot be read.
        InputError: the question is blank, or the choices are no texts or more than 26.
    """
    alone = (str, bytes, bytearray, memoryview)
    several = isinstance(image, Sequence) and not isinstance(image, alone)
    sources = cast("Sequence[ImageSource]", image if several else (image,))
    if not sources:
        raise InputError("there is no image; give one, or several in a list")
    try:  # before the images: a bad question leaves nothing in the store
        asked = Question.model_validate({"text": question, "choices": choices})
    except ValidationError as error:
        raise InputError(first_problem(error, text="question")) from error
    return asked.model_copy(update={"images": tuple(store.put(source) for source in sources)})


def plain(trace: Trace) -> dict[str, Any]:
    """The trace as JSON has it: pydantic's own dump leaves infinities, which are none."""
    data: dict[str, Any] = json.loads(trace.model_dump_json())
    return data


def summary(trace: Trace) -> str:
    """One line on a run: the answer, its share of all votes, and what failed."""
    if trace.answer is None:
        line = f"no answer ({trace.why_no_answer})"
    else:
        share = trace.votes[trace.answer] / math.fsum(trace.votes.values())
        line = f"{trace.answer_text or trace.answer} ({share:.0%} of the votes)"
    return line + (f"; failed: {', '.join(trace.failed_nodes)}" if trace.failed_nodes else "")


async def run(
    graph: Graph,
    question: Question,
    context: Context,
    config: RunnableConfig | None,
    on_event: OnEvent | None = None,
) -> Trace:
    """Run `graph` on a question, or go on with the thread that stands at it; see `answer`."""
    config = cast("RunnableConfig", dict(config or {}))
    config["recursion_limit"] = max(config.get("recursion_limit", 0), LONGEST_RUN)
    given: Input | None = Input(question=question)
    durability: Durability | None = None
    if isinstance(graph.checkpointer, BaseCheckpointSaver):
        if not config.get("configurable", {}).get("thread_id"):
            raise InputError(
                'a checkpointer needs a thread: give config={"configurable": {"thread_id": "..."}}'
            )
        durability = "sync"
        try:
            standing = await graph.aget_state(config)
        except NotImplementedError as error:
            raise InputError(
                f"checkpointer is a {type(graph.checkpointer).__name__}, which works synchronously "
                "only: give an asynchronous one, such as AsyncSqliteSaver or InMemorySaver"
            ) from error
        if standing.next and standing.values.get("question") == question:
            given = None
    # inside another graph, events that nobody here listens to belong to its own stream
    modes: list[StreamMode] = ["values"] if on_event is None else ["custom", "values"]
    result: Any = None
    async for mode, chunk in graph.astream(
        given,
        config,
        context=context,
        stream_mode=modes,
        output_keys=graph.output_channels,
        durability=durability,
    ):
        if mode == "values":
            result = chunk
        elif on_event is not None:
            heard = on_event(parse_event(chunk))
            if inspect.isawaitable(heard):
                await heard
    return Trace.of(Output.model_validate(result), context)


@asynccontextmanager
async def _context(
    given: Context | None,
    base: BaseSpec,
    expert: ExpertSpec | Mapping[Role, ExpertSpec],
    settings: Mapping[str, Any],
) -> AsyncIterator[Context]:
    if given is not None:
        if settings or base != "embedded" or expert != "embedded":
            raise InputError("give a context, or base, expert and settings; not both")
        yield given
        return
    async with open_context(base, expert, **settings) as opened:
        yield opened
