"""What a person who waits is told while models load and a question is answered."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from PIL.Image import Image

from catts.agents.spec import import_libraries, resolve_base, resolve_expert
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


async def load(
    base: str,
    expert: str,
    *,
    expert_url: str | None = None,
    tell: Callable[[str], None],
    settings: Mapping[str, Any],
) -> Context:
    """A context with its models; `tell` hears what is being loaded. Close it with `aclose`.

    Args:
        base: see `catts.agents.spec.BaseSpec`.
        expert: see `catts.agents.spec.ExpertSpec`.
        expert_url: address of an OpenAI-compatible server, or None.
        tell: called with a few words, from any thread.
        settings: fields of `catts.graph.context.Policy`.

    Raises:
        InputError: the models cannot be used.
    """
    await asyncio.to_thread(import_libraries, tell)
    tell(f"loading the base model {base}")
    engine = await asyncio.to_thread(resolve_base, base)
    try:
        tell(f"loading the expert {expert}")
        judge = await asyncio.to_thread(resolve_expert, expert, base_engine=engine, url=expert_url)
    except BaseException:
        await engine.aclose()
        raise
    return Context.of(engine, judge, **settings)


def ask_live(
    image: Image,
    question: str,
    *,
    choices: Sequence[str],
    base: str,
    expert: str,
    expert_url: str | None,
    tell: Callable[[str], None],
    settings: Mapping[str, Any],
) -> Trace:
    """Load the models, ask, free the models.

    Args:
        image: the picture, as `load_image` returns it.
        question: the question without its choices.
        choices: texts of its choices, in order.
        base: as `load` takes it, like the three below.
        expert: the same.
        expert_url: the same.
        tell: called with a few words whenever something else begins.
        settings: the same.

    Raises:
        InputError: question, choices or models cannot be used.
    """
    check(ImageStore(), image, question, choices)  # before any model is loaded

    async def run() -> Trace:
        context = await load(base, expert, expert_url=expert_url, tell=tell, settings=settings)

        def show(event: Event) -> None:
            if (what := doing(event)) is not None:
                tell(what)

        try:
            return await answer(image, question, choices=choices, context=context, on_event=show)
        finally:
            await context.aclose()

    return asyncio.run(run())
