"""What a person who waits is told while models load and a question is answered."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

from PIL.Image import Image

from catts.graph.embed import answer
from catts.graph.embed import ask as check
from catts.graph.events import Event, Started
from catts.graph.opening import open_context
from catts.graph.trace import Trace
from catts.images import ImageStore
from catts.names import PARTS

_DOING: dict[str, str] = {part.node: part.doing for part in PARTS}


def doing(event: Event) -> str | None:
    """What a run is at, for a person who waits; None for events that begin nothing."""
    return _DOING.get(event.node) if isinstance(event, Started) else None


def ask_live(
    image: Image,
    question: str,
    *,
    choices: Sequence[str],
    tell: Callable[[str], None],
    **options: Any,
) -> Trace:
    """Load the models, ask, free the models.

    Args:
        image: the picture, as `load_image` returns it.
        question: the question without its choices.
        choices: texts of its choices, in order.
        tell: called with a few words whenever something else begins.
        **options: what `catts.graph.opening.open_context` takes.

    Raises:
        InputError: question, choices, settings or models cannot be used.
    """
    check(ImageStore(), image, question, choices)  # before any model is loaded

    def show(event: Event) -> None:
        if (what := doing(event)) is not None:
            tell(what)

    async def run() -> Trace:
        async with open_context(tell=tell, **options) as context:
            return await answer(image, question, choices=choices, context=context, on_event=show)

    return asyncio.run(run())
