"""The graph inside other programs: a plain call, a node of another graph, a tool of an agent."""

import asyncio
import json
import math
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol, cast

from langchain_core.runnables import RunnableConfig
from langchain_core.tools import BaseTool, StructuredTool, ToolException
from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.types import Durability, StreamMode
from pydantic import ValidationError

from catts.agents.spec import BaseSpec, ExpertSpec
from catts.errors import ImageError, InputError
from catts.graph.build import Graph, build_graph
from catts.graph.context import Context
from catts.graph.events import Event, parse_event
from catts.graph.opening import open_context
from catts.graph.state import Input, Output
from catts.graph.trace import Trace
from catts.images import ImageSource, ImageStore
from catts.question import Question
from catts.records import first_problem

Images = ImageSource | Sequence[ImageSource]
"""One image, or several in the order in which the question speaks of them."""


class ForeignNode(Protocol):
    """A node for another LangGraph graph."""

    async def __call__(self, state: Any, config: RunnableConfig) -> dict[str, Any]:
        """What changes in the other graph's state."""


async def answer(
    image: Images,
    question: str,
    *,
    choices: Sequence[str] = (),
    context: Context | None = None,
    base: BaseSpec = "embedded",
    expert: ExpertSpec = "embedded",
    checkpointer: BaseCheckpointSaver[Any] | None = None,
    config: RunnableConfig | None = None,
    on_event: Callable[[Event], None] | None = None,
    **settings: Any,
) -> Trace:
    """Answer one question about one or more images.

    Args:
        image: a path, an open image or the bytes of one, or several of them.
        question: the question without its choices.
        choices: texts of a multiple-choice question, in order.
        context: models and policy to use; then `base`, `expert` and `settings` must be left out.
            Without it the models are loaded for this call and freed after it (one that was given as
            an object stays open): for more than one question, keep a context (`open_context`). Its
            `images` keep this image; a program that runs for days gives each question
            `dataclasses.replace(context, images=ImageStore())`.
        base: the base model; see `catts.agents.spec.BaseSpec`.
        expert: the expert; see `catts.agents.spec.ExpertSpec`.
        checkpointer: stores the run under `config["configurable"]["thread_id"]`. A thread that
            stands unfinished at this very question is resumed where it stopped.
        config: a LangChain config; its callbacks see every node and every model call.
        on_event: called with each progress event (`catts.graph.events`) as it happens.
        **settings: fields of `catts.graph.context.Policy`, such as `samples=4, routing="paper"`,
            and what else `open_context` takes.

    Returns:
        The trace; `trace.answer_text` is the answer, None only together with `trace.no_answer`.

    Raises:
        InputError: an image, a spec or the combination of arguments cannot be used.
        ContextMismatchError: the thread to resume was started under another context.
    """
    async with _context(context, base, expert, settings) as held:
        asked = await asyncio.to_thread(ask, held.images, image, question, choices)
        return await _run(
            build_graph(False if checkpointer is None else checkpointer),
            asked,
            held,
            config,
            on_event,
        )


def answer_sync(image: Images, question: str, **options: Any) -> Trace:
    """`answer` for programs without an event loop; takes the same arguments.

    Raises:
        InputError: an event loop is running in this thread; `await answer(...)` there.
    """
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(answer(image, question, **options))
    raise InputError("an event loop is running here: write `await answer(...)` instead")


def ask(store: ImageStore, image: Images, question: str, choices: Sequence[str] = ()) -> Question:
    """The question as a record, with its images put into `store`.

    Raises:
        ImageError: an image cannot be read.
        InputError: the question is blank, or has more than 26 choices.
    """
    alone = (str, bytes, bytearray, memoryview)
    several = isinstance(image, Sequence) and not isinstance(image, alone)
    sources = cast("Sequence[ImageSource]", image if several else (image,))
    try:  # before the images: a bad question leaves nothing in the store
        asked = Question(text=question, choices=tuple(choices))
    except ValidationError as error:
        raise InputError(first_problem(error)) from error
    return asked.model_copy(update={"images": tuple(store.put(source) for source in sources)})


def as_node(context: Context) -> ForeignNode:
    """CA-TTS as a node of another LangGraph graph, whatever that graph's own context is.

    The node reads `image` (one or a list), `question` and, if there are any, `choices` from the
    other graph's state, and writes `answer` (its voting key), `answer_text` (for people) and
    `trace` (the `Trace` as plain JSON data, so the other graph's checkpointer needs to know no type
    of ours). A channel that the other graph's state lacks is not written. It runs without a
    checkpointer of its own, and keeps an image only for its question; progress events reach
    `astream(..., stream_mode="custom", subgraphs=True)` of the other graph.
    """
    graph = build_graph(checkpointer=False)

    async def catts(state: Any, config: RunnableConfig) -> dict[str, Any]:
        held = replace(context, images=ImageStore())
        asked = await asyncio.to_thread(
            ask,
            held.images,
            _read(state, "image"),
            _read(state, "question"),
            _read(state, "choices", ()) or (),
        )
        trace = await _run(graph, asked, held, config, None)
        return {
            "answer": trace.answer,
            "answer_text": trace.answer_text,
            "trace": _plain(trace),
        }

    return catts


def as_tool(context: Context, folder: str | Path, *, name: str = "look_at_image") -> BaseTool:
    """CA-TTS as a tool of an agent that asks about images in `folder`.

    The agent names an image by its path in `folder`; nothing outside can be opened. It gets the
    answer with its share of the votes as text, and the `Trace` as the message's artifact. A
    missing image is told to the agent instead of being raised.
    """
    root = Path(folder).resolve()
    graph = build_graph(checkpointer=False)

    async def look(
        image: str, question: str, config: RunnableConfig, choices: list[str] | None = None
    ) -> tuple[str, dict[str, Any]]:
        held = replace(context, images=ImageStore())
        try:
            asked = await asyncio.to_thread(
                ask, held.images, _inside(root, image), question, choices or ()
            )
        except InputError as error:
            raise ToolException(str(error)) from error
        trace = await _run(graph, asked, held, config, None)
        return summary(trace), _plain(trace)

    def look_sync(
        image: str, question: str, config: RunnableConfig, choices: list[str] | None = None
    ) -> tuple[str, dict[str, Any]]:
        return asyncio.run(look(image, question, config, choices))

    return StructuredTool.from_function(
        func=look_sync,
        coroutine=look,
        name=name,
        description=(
            "Answer a question about one image. `image` is its file name, `choices` the texts of "
            "a multiple-choice question. Says how sure the answer is."
        ),
        response_format="content_and_artifact",
        handle_tool_error=True,
    )


def _plain(trace: Trace) -> dict[str, Any]:
    """The trace as JSON has it: pydantic's own dump leaves infinities, which are none."""
    data: dict[str, Any] = json.loads(trace.model_dump_json())
    return data


def summary(trace: Trace) -> str:
    """One line on a run: the answer, its share of all votes, and what failed."""
    if trace.answer is None:
        line = f"no answer ({trace.no_answer})"
    else:
        share = trace.votes[trace.answer] / math.fsum(trace.votes.values())
        line = f"{trace.answer_text or trace.answer} ({share:.0%} of the votes)"
    return line + (f"; failed: {', '.join(trace.failed_roles)}" if trace.failed_roles else "")


async def _run(
    graph: Graph,
    question: Question,
    context: Context,
    config: RunnableConfig | None,
    on_event: Callable[[Event], None] | None,
) -> Trace:
    given: Input | None = Input(question=question)
    durability: Durability | None = None
    if isinstance(graph.checkpointer, BaseCheckpointSaver):
        if not config or not config.get("configurable", {}).get("thread_id"):
            raise InputError(
                'a checkpointer needs a thread: give config={"configurable": {"thread_id": "..."}}'
            )
        durability = "sync"
        standing = await graph.aget_state(config)
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
            on_event(parse_event(chunk))
    return Trace.of(Output.model_validate(result), context)


@asynccontextmanager
async def _context(
    given: Context | None, base: BaseSpec, expert: ExpertSpec, settings: Mapping[str, Any]
) -> AsyncIterator[Context]:
    if given is not None:
        if settings or base != "embedded" or expert != "embedded":
            raise InputError("give a context, or base, expert and settings; not both")
        yield given
        return
    async with open_context(base, expert, **settings) as opened:
        yield opened


def _read(state: Any, name: str, default: Any = None) -> Any:
    """A channel of another graph's state, whether that is a mapping or an object."""
    value = (
        state.get(name, default) if isinstance(state, Mapping) else getattr(state, name, default)
    )
    if value is None and default is None:
        raise InputError(f"the state has no {name!r}; the catts node reads `image` and `question`")
    return value


def _inside(root: Path, name: str) -> Path:
    """The file `name` in `root`; the agent's text cannot lead out of it, by links neither."""
    try:
        path = (root / name).resolve()
        found = path.is_file()
    except (OSError, ValueError, RuntimeError) as error:
        raise ImageError("that is not the name of a file") from error
    if not path.is_relative_to(root):
        raise ImageError("images outside the folder cannot be opened; give a name in it")
    if not found:
        known = sorted(p.name for p in root.iterdir() if p.is_file())[:20]
        raise ImageError(f"no such image; there are {', '.join(known) or 'none'}")
    return path
