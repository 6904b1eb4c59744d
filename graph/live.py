"""One question asked with its progress shown while it runs."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

from PIL.Image import Image
from rich.console import Console

from catts.agents.spec import resolve_base, resolve_expert
from catts.graph.context import Context
from catts.graph.embed import answer
from catts.graph.embed import ask as check
from catts.graph.events import Event, Started
from catts.graph.trace import Trace
from catts.images import ImageStore

_DOING = {
    "sampler": "drawing samples",
    "planner": "asking the planner",
    "voter": "asking the voter",
    "critic": "asking the critic",
    "reanswer": "answering again under the critique",
    "self_check": "decoding against the noised image",
}


def doing(event: Event) -> str | None:
    """What a run is at, for a person who waits; None for events that begin nothing."""
    return _DOING.get(event.node) if isinstance(event, Started) else None


def ask_live(
    image: Image,
    question: str,
    *,
    choices: Sequence[str],
    base: str,
    expert: str,
    expert_url: str | None,
    settings: Mapping[str, Any],
) -> Trace:
    """Load the models, ask, free the models; progress goes to stderr.

    Args:
        image: the picture, as `load_image` returns it.
        question: the question without its choices.
        choices: texts of its choices, in order.
        base: see `catts.agents.spec.BaseSpec`.
        expert: see `catts.agents.spec.ExpertSpec`.
        expert_url: address of an OpenAI-compatible server, or None.
        settings: fields of `catts.graph.context.Policy`.

    Raises:
        InputError: question, choices or models cannot be used.
    """
    check(ImageStore(), image, question, choices)  # before any model is loaded

    async def run() -> Trace:
        with Console(stderr=True).status("loading models") as status:
            engine = await asyncio.to_thread(resolve_base, base)
            try:
                judge = await asyncio.to_thread(
                    resolve_expert, expert, base_engine=engine, url=expert_url
                )
            except BaseException:
                await engine.aclose()
                raise
            context = Context.of(engine, judge, **settings)

            def show(event: Event) -> None:
                status.update(doing(event) or status.status)

            try:
                return await answer(
                    image, question, choices=choices, context=context, on_event=show
                )
            finally:
                await context.aclose()

    return asyncio.run(run())
