"""Opening a context: settings checked, models loaded, and freed again."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

from langchain_core.rate_limiters import BaseRateLimiter
from pydantic import InstanceOf, SecretStr, ValidationError

from catts.agents.expert import Expert
from catts.agents.experts.stored import StoredExpert
from catts.agents.local_spec import check_placing
from catts.agents.protocol import Engine
from catts.agents.spec import (
    SHIPPED,
    BaseSpec,
    ExpertSpec,
    LimitsSpec,
    check_expert,
    check_local,
    import_libraries,
    resolve_base,
    resolve_expert,
    runs_here,
)
from catts.arguments import check_types
from catts.errors import InputError
from catts.graph.context import ATTEMPTS, NODE_TIMEOUT, Context, Policy, card_of
from catts.graph.observer import Observer
from catts.images import ImageStore
from catts.names import Role
from catts.perception.looker import Looker
from catts.records import first_problem
from catts.store import Store

_NO_CLIP = (
    "region='saliency' needs a CLIP for your pictures: give saliency, such as "
    "'ViT-B-32:laion2b_s34b_b79k' or a folder, or region='whole'"
)


@asynccontextmanager
async def open_context(
    base: BaseSpec = "embedded",
    expert: ExpertSpec | Mapping[Role, ExpertSpec] = "embedded",
    *,
    expert_url: str | None = None,
    api_key: InstanceOf[SecretStr] | None = None,
    role_timeout: float | None = None,
    expert_max_tokens: int | None = None,
    rate_limiter: BaseRateLimiter | None = None,
    expert_settings: Mapping[str, Any] | None = None,
    expert_limits: LimitsSpec | None = None,
    expert_cache: str | Path | None = None,
    prices: str | Path | None = None,
    device: str | None = None,
    dtype: str | None = None,
    attn_implementation: str | None = None,
    max_pixels: int | None = None,
    images: ImageStore | None = None,
    saliency: str | Path | Looker | None = None,
    observer: Observer | None = None,
    node_timeout: float | None = NODE_TIMEOUT,
    attempts: int = ATTEMPTS,
    tell: Callable[[str], None] | None = None,
    **settings: Any,
) -> AsyncIterator[Context]:
    """Load the models that the specs stand for and hold them in a context.

    `async with open_context() as context: trace = await answer(..., context=context)`. What is
    loaded here is freed at the end, also when something else cannot be loaded; an engine, a chat
    model or an expert that was given stays the caller's. Settings, specs and a remote expert's
    provider and key are checked before anything is loaded, and loading does not block the event
    loop.

    Args:
        base: the base model; see `catts.agents.spec.BaseSpec`.
        expert: the expert; see `catts.agents.spec.ExpertSpec`. A mapping gives each role its own.
        expert_url: address of an OpenAI-compatible server; `expert` then names its model.
        api_key: key of the expert's provider; by default its environment variable is read.
        role_timeout: seconds for one request to the expert.
        expert_max_tokens: longest reply of the expert; by default 8192 tokens from a provider, 4096
            from a server of one's own, and for a local expert `max_new_tokens` where that is
            given, else what its card says.
        rate_limiter: asked before each request to a remote expert.
        expert_settings: settings of a remote expert as LangChain's class for its provider takes
            them, such as `{"thinking_budget": 1024}` or `{"safety_settings": {...}}`.
        expert_limits: time, attempts, pace and budgets of the expert's roles; see
            `catts.agents.experts.limits.Limits`. A text such as `dollars=2,voter.calls=100` does.
        expert_cache: a file that keeps the expert's replies: the same models with the same settings
            and prompts, asked the same about the same pictures and candidates (their counts and
            confidences included), say the same, and that costs nothing.
        prices: a table like `prices.toml` beside `catts.agents.experts.prices`, in its place.
        device: torch device of the models loaded here; by default `cuda` where there is one. `auto`
            spreads them over all GPUs, memory and disk.
        dtype: their precision: `float32`, `bfloat16` or `float16`.
        attn_implementation: how their attention is computed: `eager`, `sdpa`, `flash_attention_2`.
        max_pixels: largest picture, width times height, that the base model sees: its processor
            scales larger ones down. By default the checkpoint's own.
        images: where pictures are kept; a store with a folder lets another process resume a run.
        saliency: the CLIP that finds the key region where `region="saliency"` is set or the base's
            card recommends it: what `catts.perception.clip.load_clip` takes, or a
            `catts.perception.saliency.Saliency`, which stays the caller's. By default the one that
            is shipped, for the shipped base; another base has to be given one.
        observer: wraps every node.
        node_timeout: seconds that one attempt of a node may take, its waiting for a turn at an
            engine left out; None for no limit.
        attempts: how often a node is tried whose failure may pass: a lost connection, and what is
            left of a rate limit or a failing server after the provider's client has tried again.
        tell: hears what is being loaded, a few words at a time, from any thread.
        **settings: fields of `catts.graph.context.Policy`; the rest comes from the base's card.

    Raises:
        InputError: an argument has another type, a setting is unknown or out of range, a spec names
            no model, or the expert takes nothing of what was given for it.
    """
    check_types(open_context, **locals())
    check_settings(settings)
    asked: dict[str, Any] = {
        "url": expert_url,
        "api_key": api_key,
        "timeout": role_timeout,
        "max_tokens": expert_max_tokens,
        "rate_limiter": rate_limiter,
        "settings": expert_settings,
        "limits": expert_limits,
        "prices": prices,
    }
    placing: dict[str, Any] = {
        "device": device,
        "dtype": dtype,
        "attn_implementation": attn_implementation,
    }
    check_expert(expert, **asked)
    check_placing(device, dtype)
    if settings.get("region") == "saliency" and saliency is None and base not in SHIPPED:
        raise InputError(_NO_CLIP)
    experts = tuple(expert.values()) if isinstance(expert, Mapping) else (expert,)
    local = [e for e in experts if isinstance(e, str | Path) and runs_here(e, expert_url)]
    if isinstance(base, str | Path):
        check_local(base, "base")
    said = tell or (lambda _: None)
    async with AsyncExitStack() as loaded:
        cache = None if expert_cache is None else Store(Path(expert_cache))
        if cache is not None:
            loaded.callback(cache.close)

        async def find_expert(engine: Engine | None) -> Expert:
            if isinstance(expert, str | Path):
                said(f"loading the expert {expert}")
            found = await asyncio.to_thread(
                resolve_expert,
                expert,
                base_engine=engine,
                local_max_tokens=settings.get("max_new_tokens"),
                **placing,
                **asked,
            )
            if found is not expert:
                loaded.push_async_callback(found.aclose)
            return found if cache is None else StoredExpert(found, cache, cache=True)

        # a remote expert first: what is wrong with it is told before minutes of loading
        panel = None if local else await find_expert(None)
        if isinstance(base, str | Path):
            await asyncio.to_thread(import_libraries, said)
            said(f"loading the base model {base}")
        engine = await asyncio.to_thread(resolve_base, base, max_pixels=max_pixels, **placing)
        if engine is not base:
            loaded.push_async_callback(engine.aclose)
        panel = panel or await find_expert(engine)
        looker = saliency if isinstance(saliency, Looker) else None
        if looker is None and settings.get("region", card_of(engine).region) == "saliency":
            spec = saliency or ("embedded" if base in SHIPPED else None)
            if spec is not None:
                said(f"loading the CLIP {spec}")
                looker = await asyncio.to_thread(_load_looker, spec, device)
        yield Context.of(
            engine,
            panel,
            images=images,
            saliency=looker,
            observer=observer,
            node_timeout=node_timeout,
            attempts=attempts,
            **settings,
        )


def _load_looker(spec: object, device: str | None) -> Looker:
    from catts.perception.saliency import Saliency

    return Saliency.load(str(spec), device=None if device == "auto" else device)


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
