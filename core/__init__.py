"""Visual question answering with a model that knows when it does not know (CDRL and CA-TTS).

`from catts import answer` and `trace = await answer("photo.jpg", "How many cups?")`. The names
below are loaded when they are first used: the import alone loads neither torch nor langgraph.
"""

from importlib import import_module
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from catts.graph.build import build_graph
    from catts.graph.context import Context
    from catts.graph.embed import answer, answer_sync
    from catts.graph.node import as_node
    from catts.graph.opening import open_context
    from catts.graph.tool import as_tool
    from catts.graph.trace import Trace
    from catts.images import load_image
    from catts.question import Question

__all__ = [
    "answer", "answer_sync", "as_node", "as_tool", "open_context",
    "build_graph", "Context", "Question", "Trace", "load_image", "__version__",
]  # fmt: skip

_HOMES = {
    "answer": "catts.graph.embed",
    "answer_sync": "catts.graph.embed",
    "as_node": "catts.graph.node",
    "as_tool": "catts.graph.tool",
    "open_context": "catts.graph.opening",
    "build_graph": "catts.graph.build",
    "Context": "catts.graph.context",
    "Question": "catts.question",
    "Trace": "catts.graph.trace",
    "load_image": "catts.images",
}


def __getattr__(name: str) -> Any:
    if name == "__version__":
        return version("catts")
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'catts' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
