"""The graph that `langgraph dev` serves (see `langgraph.json`): image and question in, answer out.

`image` is the path of a file on the server, or a data URL as a browser makes it. The models are
loaded with the first question and stay.
"""

import asyncio
import base64
import binascii
import threading
from typing import Any, NotRequired

from langchain_core.runnables import RunnableConfig
from langgraph.graph import END, START, StateGraph
from typing_extensions import TypedDict  # typing's own has no JSON schema on 3.11

from catts import Context, as_node
from catts.agents.spec import resolve_base, resolve_expert
from catts.errors import ImageError


class Input(TypedDict):
    """What a client sends; without `choices` the answer is free."""

    image: str
    question: str
    choices: NotRequired[list[str]]


class State(Input):
    """What a client gets back: the answer, its voting key, and the trace as JSON."""

    answer: str | None
    answer_text: str | None
    trace: dict[str, Any]


class Models:
    """Loaded once, however many questions come first at the same time."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._context: Context | None = None

    def load(self) -> Context:
        """The models, ready for a question; blocks the first time."""
        with self._lock:
            if self._context is None:
                base = resolve_base("embedded")
                self._context = Context.of(base, resolve_expert("embedded", base_engine=base))
            return self._context


MODELS = Models()


def picture(image: str) -> str | bytes:
    """The bytes inside a data URL; a path as it is."""
    if not image.startswith("data:"):
        return image
    try:
        return base64.b64decode(image.partition(",")[2], validate=True)
    except binascii.Error as error:
        raise ImageError("the data URL holds no base64; give data:image/png;base64,...") from error


async def catts(state: State, config: RunnableConfig) -> dict[str, Any]:
    context = await asyncio.to_thread(MODELS.load)
    return await as_node(context)({**state, "image": picture(state["image"])}, config)


builder = StateGraph(State, input_schema=Input)
builder.add_node("catts", catts)
builder.add_edge(START, "catts")
builder.add_edge("catts", END)
graph = builder.compile(name="catts")
