"""CA-TTS as a node of another LangGraph graph."""

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from langchain_core.messages import (
    AIMessage,
    BaseMessage,
    ContentBlock,
    HumanMessage,
    convert_to_messages,
)
from langchain_core.runnables import Runnable, RunnableConfig, RunnableLambda

from catts.agents.blocks import picture_in, text_in
from catts.arguments import check_types
from catts.errors import InputError
from catts.graph.blocking import block_on
from catts.graph.build import unsaved_graph
from catts.graph.context import Context
from catts.graph.embed import ask, plain, run, summary
from catts.images import ImageSource


def as_node(
    context: Context,
    *,
    image: str = "image",
    question: str = "question",
    choices: str = "choices",
    messages: str | None = None,
    answer: str = "answer",
    answer_text: str = "answer_text",
    trace: str = "trace",
) -> Runnable[Any, dict[str, Any]]:
    """CA-TTS as a node of another LangGraph graph, whatever that graph's own context is.

    `builder.add_node("look", as_node(context))`; it serves `invoke` and `ainvoke` alike. It runs
    without a checkpointer of its own and lets go of the pictures when the run is over; progress
    events reach `astream(..., stream_mode="custom", subgraphs=True)` of the other graph.

    Args:
        context: models and policy.
        image: channel of the other graph that holds one image or a list of them.
        question: channel that holds the question.
        choices: channel that may hold the texts of a multiple-choice question.
        messages: channel of a conversation. Where the channels above are missing or empty, the
            question is the text of its latest human message, and the images are the image content
            blocks of the latest human message that has any, in base64 or as data URLs, in the form
            of LangChain or of any provider that it knows; the answer is added as a message.
        answer: channel that gets the answer's voting key.
        answer_text: channel that gets the answer for people.
        trace: channel that gets the `Trace` as plain JSON data, so that the other graph's
            checkpointer needs to know no type of ours.

    A channel that the other graph's state lacks is not written.

    Raises:
        InputError: an argument has another type; when it runs, image or question is missing or
            cannot be used. Images by address are not fetched.
    """
    check_types(as_node, **locals())
    graph = unsaved_graph()

    async def catts(state: Any, config: RunnableConfig) -> dict[str, Any]:
        said = convert_to_messages(_read(state, messages) or []) if messages else []
        pictures = _read(state, image)
        if _missing(pictures):
            pictures = _pictures(said)
        asked = _read(state, question) or _latest(said)
        if not asked or _missing(pictures):
            raise InputError(
                f"the state lacks a question or an image; this node reads {question!r} and "
                f"{image!r}" + (f", or the messages in {messages!r}" if messages else "")
            )
        held = context.for_one_run()
        record = await asyncio.to_thread(
            ask, held.images, pictures, asked, _read(state, choices) or ()
        )
        told = await run(graph, record, held, config)
        update: dict[str, Any] = {
            answer: told.answer,
            answer_text: told.answer_text,
            trace: plain(told),
        }
        if messages:
            update[messages] = [AIMessage(told.answer_text or summary(told))]
        return update

    def catts_sync(state: Any, config: RunnableConfig) -> dict[str, Any]:
        return block_on(catts(state, config))

    return RunnableLambda(catts_sync, afunc=catts, name="catts")


def _read(state: Any, name: str) -> Any:
    """A channel of another graph's state, whether that is a mapping or an object."""
    return state.get(name) if isinstance(state, Mapping) else getattr(state, name, None)


def _missing(pictures: Any) -> bool:
    return pictures is None or (isinstance(pictures, Sequence) and not pictures)


def _latest(messages: Sequence[BaseMessage]) -> str:
    for blocks in _heard(messages):
        text = "".join(text_in(block) or "" for block in blocks)
        if text.strip():
            return text
    return ""


def _pictures(messages: Sequence[BaseMessage]) -> list[ImageSource]:
    """The pictures of the latest human message that has any."""
    for blocks in _heard(messages):
        files = [file for block in blocks if (file := picture_in(block)) is not None]
        if files:
            return list[ImageSource](files)
    return []


def _heard(messages: Sequence[BaseMessage]) -> Iterator[list[ContentBlock]]:
    """The blocks of the human messages, the latest first."""
    for message in reversed(messages):
        if isinstance(message, HumanMessage):
            yield message.content_blocks
