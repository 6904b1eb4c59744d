"""CA-TTS as a node of another graph, on scripted models."""

import asyncio
import base64
import gc
import io
import weakref
from typing import Annotated, Any, TypedDict

import pytest
from langchain_core.messages import AIMessage, AnyMessage, HumanMessage, SystemMessage
from langgraph.graph import END, START, StateGraph
from langgraph.graph.message import add_messages
from PIL import Image
from scripted_models import ScriptedEngine, ScriptedExpert

from catts.errors import ImageError, InputError
from catts.graph.context import Context
from catts.graph.events import parse_event
from catts.graph.node import as_node
from catts.images import ImageStore


class Chat(TypedDict, total=False):
    messages: Annotated[list[AnyMessage], add_messages]
    answer: str


class Foreign(TypedDict, total=False):
    photo: Any
    asked: str
    options: list[str]
    verdict: str | None
    words: str | None
    record: dict[str, Any]


def context() -> Context:
    return Context.of(ScriptedEngine(), ScriptedExpert(), routing="paper")


def graph(schema: type, held: Context, **names: Any) -> Any:
    builder = StateGraph(schema)
    builder.add_node("look", as_node(held, **names))
    builder.add_edge(START, "look")
    builder.add_edge("look", END)
    return builder.compile()


def encoded(image: Image.Image) -> str:
    buffer = io.BytesIO()
    image.save(buffer, format="PNG")
    return base64.b64encode(buffer.getvalue()).decode()


def block(image: Image.Image) -> dict[str, Any]:
    return {"type": "image", "base64": encoded(image), "mime_type": "image/png"}


def openai_block(image: Image.Image) -> dict[str, Any]:
    return {
        "type": "image_url",
        "image_url": {"url": f"data:image/png;base64,{encoded(image)}"},
    }


NAMES = {
    "image": "photo",
    "question": "asked",
    "choices": "options",
    "answer": "verdict",
    "answer_text": "words",
    "trace": "record",
}


@pytest.mark.parametrize("way", ["invoke", "invoke in a loop", "ainvoke"])
async def test_it_serves_invoke_and_ainvoke_under_the_outer_names(
    way: str, picture: Image.Image
) -> None:
    outer = graph(Foreign, context(), **NAMES)
    asked = {"photo": picture, "asked": "?", "options": ["a", "b"]}
    if way == "ainvoke":
        state = await outer.ainvoke(asked)
    elif way == "invoke":
        state = await asyncio.to_thread(outer.invoke, asked)
    else:
        state = outer.invoke(asked)  # as in a notebook, where a loop runs already
    assert state["verdict"] == "3"
    assert state["words"] == "3"
    assert state["record"]["question"]["choices"] == ["a", "b"]


async def test_events_reach_a_synchronous_stream_too(picture: Image.Image) -> None:
    def stream() -> list[str]:
        asked = {"photo": picture, "asked": "?"}
        chunks = graph(Foreign, context(), **NAMES).stream(
            asked, stream_mode="custom", subgraphs=True
        )
        return [parse_event(data).event for _, data in chunks]

    events = await asyncio.to_thread(stream)
    assert events[-1] == "answered"


@pytest.mark.parametrize("make", [block, openai_block])
async def test_pictures_and_question_come_from_messages(make: Any, picture: Image.Image) -> None:
    held = context()
    other = Image.new("RGB", (5, 7))
    sent = [
        SystemMessage("Be brief."),
        HumanMessage([make(other), {"type": "text", "text": "And this?"}]),
        AIMessage("A square."),
        HumanMessage([{"type": "text", "text": "How many?"}, make(picture), make(other)]),
    ]
    state = await graph(Chat, held, messages="messages").ainvoke({"messages": sent})
    assert held.engine.sizes == [(24, 16), (5, 7)]  # type: ignore[attr-defined]
    assert isinstance(state["messages"][-1], AIMessage)
    assert state["messages"][-1].text == "3" == state["answer"]


async def test_a_later_message_asks_about_the_picture_sent_before(picture: Image.Image) -> None:
    held = context()
    sent = [
        HumanMessage([block(picture), {"type": "text", "text": "Look."}]),
        HumanMessage("How many?"),
    ]
    await graph(Chat, held, messages="messages").ainvoke({"messages": sent})
    assert held.engine.sizes == [(24, 16)]  # type: ignore[attr-defined]


async def test_an_empty_channel_leaves_the_messages(picture: Image.Image) -> None:
    class Both(Chat, total=False):
        image: list[Any]

    sent = [HumanMessage([block(picture), {"type": "text", "text": "How many?"}])]
    state = await graph(Both, context(), messages="messages").ainvoke(
        {"messages": sent, "image": []}
    )
    assert state["answer"] == "3"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ([{"type": "image", "url": "https://a/b.png"}], "not fetched"),
        ([{"type": "image_url", "image_url": {"url": "https://a/b.png"}}], "not fetched"),
        ([{"type": "image", "base64": "?", "mime_type": "image/png"}], "not base64"),
        ([{"type": "image", "base64": "AAAA", "mime_type": "image/png"}], "not an image"),
    ],
)
async def test_pictures_that_cannot_be_read(content: Any, message: str) -> None:
    sent = [HumanMessage([*content, {"type": "text", "text": "?"}])]
    with pytest.raises(ImageError, match=message):
        await graph(Chat, context(), messages="messages").ainvoke({"messages": sent})


async def test_messages_without_a_picture_say_what_is_read() -> None:
    outer = graph(Chat, context(), messages="messages")
    with pytest.raises(InputError, match="the messages in 'messages'"):
        await outer.ainvoke({"messages": [HumanMessage("?")]})
    with pytest.raises(InputError, match="reads 'asked' and 'photo'"):
        await graph(Foreign, context(), **NAMES).ainvoke({"asked": "?"})


async def test_a_smaller_limit_of_the_outer_graph_ends_no_run(picture: Image.Image) -> None:
    outer = graph(Foreign, context(), **NAMES)
    state = await outer.ainvoke({"photo": picture, "asked": "?"}, {"recursion_limit": 3})
    assert state["verdict"] == "3"


async def test_pictures_are_let_go_when_the_run_is_over(monkeypatch: pytest.MonkeyPatch) -> None:
    kept: list[weakref.ref[Image.Image]] = []
    put = ImageStore.put

    def watched(store: ImageStore, image: Any) -> str:
        digest = put(store, image)
        kept.append(weakref.ref(store.get(digest)))
        return digest

    monkeypatch.setattr(ImageStore, "put", watched)
    outer = graph(Foreign, context(), **NAMES)
    asked = {"photo": base64.b64decode(encoded(Image.new("RGB", (9, 9)))), "asked": "?"}
    await outer.ainvoke(asked)
    gc.collect()
    assert [ref() for ref in kept] == [None]
