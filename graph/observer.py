"""A seam for spans: the graph tells an observer of every node, and knows nothing else of it."""

from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from typing import Protocol, runtime_checkable


class Span(Protocol):
    """One attempt of one node, while it is open."""

    def result(self, update: Mapping[str, object]) -> None:
        """The node is done; `update` is what it changes in the state. Not called when it fails."""


@runtime_checkable
class Observer(Protocol):
    """Opens a span around each attempt of each node.

    Entering is the start, leaving is the end (with the exception, if one ended it; a node that ran
    out of time ends with `NodeTimeoutError`). Nodes of one question may overlap, and so may
    questions. What an observer raises ends the run.
    """

    def node(self, name: str, question: str) -> AbstractAsyncContextManager[Span]:
        """The span of node `name`; `question` is `Question.digest`."""
