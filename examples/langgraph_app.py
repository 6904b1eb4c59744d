"""The graph that `langgraph dev` serves (see `langgraph.json`): image and question in, answer out.

`image` is a data URL, as a browser makes it of a file. It goes into no checkpoint and no output,
and no file of the server is ever read. The models are loaded with the first question and stay.
"""

import asyncio
import base64
import binascii
import threading
from typing import Annotated, Any, NotRequired

from langchain_core.runnables import Runnable, RunnableConfig
from langgraph.channels import UntrackedValue
from langgraph.graph import END, START, StateGraph
from typing_extensions import TypedDict  # typing's own has no JSON schema on 3.11

from catts import Context, as_node
from catts.agents.spec import resolve_base, resolve_expert
from catts.errors import ImageError


class Input(TypedDict):
    """What a client sends; without `choices` the answer is free."""

    image: Annotated[str, UntrackedValue(str)]
    question: str
    choices: NotRequired[list[str]]


class Output(TypedDict):
    """What a client gets back: the answer, its voting key, and the trace as JSON."""

    answer: str | None
    answer_text: str | None
    trace: dict[str, Any]


class State(Input, Output):
    """What travels through this graph."""


class Models:
    """Loaded once, however many questions come first at the same time."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._node: Runnable[Any, dict[str, Any]] | None = None

    def node(self) -> Runnable[Any, dict[str, Any]]:
        """CA-TTS, ready for a question; blocks the first time."""
        with self._lock:
            if self._node is None:
                base = resolve_base("embedded")
                expert = resolve_expert("embedded", base_engine=base)
                self._node = as_node(Context.of(base, expert))
            return self._node


MODELS = Models()


def picture(image: str) -> bytes:
    """The bytes inside a data URL."""
    head, _, data = image.partition(",")
    if not (head.startswith("data:image/") and head.endswith(";base64")):
        raise ImageError("`image` takes a data URL, data:image/png;base64,..., and nothing else")
    try:
        return base64.b64decode(data, validate=True)
    except binascii.Error as error:
        raise ImageError("the data URL holds no base64; give data:image/png;base64,...") from error


async def catts(state: State, config: RunnableConfig) -> dict[str, Any]:
    sent = picture(state["image"])
    node = await asyncio.to_thread(MODELS.node)
    return await node.ainvoke({**state, "image": sent}, config)


builder = StateGraph(State, input_schema=Input, output_schema=Output)
builder.add_node("catts", catts)
builder.add_edge(START, "catts")
builder.add_edge("catts", END)
graph = builder.compile(name="catts")
# the channel through which the input comes would be stored with the first checkpoint
graph.channels[START] = UntrackedValue(Input)
