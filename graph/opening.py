"""Opening a context: settings checked, models loaded, and freed again."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

from pydantic import SecretStr, ValidationError

from catts.agents.spec import (
    BaseSpec,
    ExpertSpec,
    import_libraries,
    resolve_base,
    resolve_expert,
)
from catts.errors import InputError
from catts.graph.context import Context, Policy
from catts.graph.observer import Observer
from catts.images import ImageStore
from catts.records import first_problem


@asynccontextmanager
async def open_context(
    base: BaseSpec = "embedded",
    expert: ExpertSpec = "embedded",
    *,
    expert_url: str | None = None,
    api_key: SecretStr | None = None,
    role_timeout: float | None = None,
    device: str | None = None,
    dtype: str | None = None,
    attn_implementation: str | None = None,
    images: ImageStore | None = None,
    observer: Observer | None = None,
    tell: Callable[[str], None] | None = None,
    **settings: Any,
) -> AsyncIterator[Context]:
    """Load the models that the specs stand for and hold them in a context.

    `async with open_context() as context: trace = await answer(..., context=context)`. What is
    loaded here is freed at the end, also when something else cannot be loaded; an engine, a chat
    model or an expert that was given stays the caller's. Settings are checked before anything is
    loaded, and loading does not block the event loop.

    Args:
        base: the base model; see `catts.agents.spec.BaseSpec`.
        expert: the expert; see `catts.agents.spec.ExpertSpec`.
        expert_url: address of an OpenAI-compatible server; `expert` then names its model.
        api_key: key of the expert's provider; by default its environment variable is read.
        role_timeout: seconds for one request to the expert.
        device: torch device of the models loaded here; by default `cuda` where there is one. `auto`
            spreads them over all GPUs, memory and disk.
        dtype: their precision: `float32`, `bfloat16` or `float16`.
        attn_implementation: how their attention is computed: `eager`, `sdpa`, `flash_attention_2`.
        images: where pictures are kept; a store with a folder lets another process resume a run.
        observer: wraps every node.
        tell: hears what is being loaded, a few words at a time, from any thread.
        **settings: fields of `catts.graph.context.Policy`; the rest comes from the base's card.

    Raises:
        InputError: a setting is unknown or out of range, or a spec names no model.
    """
    check_settings(settings)
    said = tell or (lambda _: None)
    if isinstance(base, str | Path):
        await asyncio.to_thread(import_libraries, said)
        said(f"loading the base model {base}")
    async with AsyncExitStack() as loaded:
        engine = await asyncio.to_thread(
            resolve_base,
            base,
            device=device,
            dtype=dtype,
            attn_implementation=attn_implementation,
        )
        if engine is not base:
            loaded.push_async_callback(engine.aclose)
        if isinstance(expert, str | Path):
            said(f"loading the expert {expert}")
        panel = await asyncio.to_thread(
            resolve_expert,
            expert,
            base_engine=engine,
            url=expert_url,
            api_key=api_key,
            timeout=role_timeout,
            device=device,
            dtype=dtype,
            attn_implementation=attn_implementation,
        )
        if panel is not expert:
            loaded.push_async_callback(panel.aclose)
        try:
            context = Context.of(engine, panel, images=images, observer=observer, **settings)
        except ValidationError as error:
            raise InputError(first_problem(error)) from error
        yield context


def check_settings(settings: Mapping[str, Any]) -> None:
    """Check fields of `Policy` by themselves, as far as that is possible without a model's card.

    Raises:
        InputError: a setting is unknown or out of range.
    """
    try:
        Policy(**settings)
    except ValidationError as error:
        if any(problem["loc"] for problem in error.errors()):
            raise InputError(first_problem(error)) from error
