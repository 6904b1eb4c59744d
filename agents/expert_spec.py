"""What `--expert` may say, and the models it stands for."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, TypeAlias

from langchain_core.language_models import BaseChatModel
from langchain_core.rate_limiters import BaseRateLimiter
from pydantic import InstanceOf, SecretStr

from catts.agents.addresses import place_of
from catts.agents.base_spec import check_local, load_engine, runs_here
from catts.agents.expert import Expert
from catts.agents.experts.chat_model import EngineChatModel
from catts.agents.experts.limits import Gates, Limits, OwnAndShared, read_limits
from catts.agents.experts.panel import ExpertPanel
from catts.agents.experts.prices import read_prices
from catts.agents.experts.providers import OWN_FORMAT, provider_model, server_model
from catts.agents.experts.requests import ATTEMPTS
from catts.agents.experts.roles import ROLE_TIMEOUT, ChatExpert
from catts.agents.keys import named_keys
from catts.agents.protocol import Engine
from catts.arguments import check_types
from catts.errors import ModelSpecError
from catts.names import ROLES, Role

if TYPE_CHECKING:
    from catts.agents.engines.transformers_engine import TransformersEngine
    from catts.agents.engines.vllm.engine import VLLMEngine

ExpertSpec: TypeAlias = str | Path | InstanceOf[BaseChatModel] | Expert
"""An expert, a chat model, or a text:

- `embedded`: the expert model that the package ships;
- `base`: the base model is its own expert;
- `provider:model`, as LangChain's `init_chat_model` takes it: `google_genai:gemini-2.5-pro`;
- the folder of a checkpoint, or a hub id `org/name`, run by the transformers engine;
- with an address: the name of a model on an OpenAI-compatible server.
"""


LimitsSpec: TypeAlias = Limits | OwnAndShared | str
"""`Limits` that the roles share; or a mapping of roles to their own, and of `shared` to those that
they share; or a text, such as `dollars=2,requests_per_minute=60,voter.calls=100`."""


def resolve_expert(
    spec: ExpertSpec | Mapping[Role, ExpertSpec],
    *,
    base_engine: Engine | None = None,
    url: str | None = None,
    api_key: InstanceOf[SecretStr] | None = None,
    timeout: float | None = None,
    max_tokens: int | None = None,
    local_max_tokens: int | None = None,
    rate_limiter: BaseRateLimiter | None = None,
    settings: Mapping[str, Any] | None = None,
    limits: LimitsSpec | None = None,
    prices: str | Path | None = None,
    device: str | None = None,
    dtype: str | None = None,
    attn_implementation: str | None = None,
) -> Expert:
    """The expert that `spec` stands for; a mapping gives each role an expert of its own.

    A model that is loaded here belongs to the expert and is freed by its `aclose`; `base` and
    objects given by the caller stay the caller's. A model run by the transformers engine is asked
    with the prompt set that its card names, any other with the `default` set.

    Args:
        spec: See `ExpertSpec`. Equal texts in a mapping share one model.
        base_engine: The base model, for `base`.
        url: Address of an OpenAI-compatible server (`spec` is then the name of its model), or,
            for `provider:model`, an address to use instead of the provider's own. In a mapping it
            is for the roles whose models are remote.
        api_key: Key of the provider or server; by default its environment variable is read.
        timeout: Seconds for one request of a role; by default `ROLE_TIMEOUT` for a remote model
            and none for a local one, which serves its callers in turn.
        max_tokens: Longest reply in tokens, what the model thinks included; by default
            `PROVIDER_MAX_TOKENS` or `SERVER_MAX_TOKENS` of `catts.agents.experts.providers` for a
            remote model, and what its card says for a local one.
        local_max_tokens: The same for local models only, where `max_tokens` is not given.
        rate_limiter: Asked before each request to a remote model; waiting for it counts as time of
            the request.
        settings: Settings of a remote model as LangChain's class for its provider takes them, such
            as `{"thinking_budget": 1024}`.
        limits: What roles may cost and how fast they may ask; see `LimitsSpec`.
        prices: A table like `prices.toml` beside `catts.agents.experts.prices`, in its place.
        device: Where to load a local model.
        dtype: In which precision to load it.
        attn_implementation: How its attention is computed.

    Raises:
        ModelSpecError: nothing can be made of `spec`, or it takes nothing of what was given with
            it; one line says what is missing.
        InputError: an argument has another type.
    """
    check_types(resolve_expert, **locals())
    check_expert(
        spec,
        url=url,
        api_key=api_key,
        timeout=timeout,
        max_tokens=max_tokens,
        rate_limiter=rate_limiter,
        settings=settings,
        limits=limits,
        prices=prices,
    )
    resolver = _Resolver(
        base_engine,
        url,
        timeout,
        max_tokens or local_max_tokens,
        {
            "api_key": api_key,
            "max_tokens": max_tokens,
            "rate_limiter": rate_limiter,
            "settings": settings,
        },
        {
            "limits": Gates(read_limits(limits) if isinstance(limits, str) else limits),
            "prices": None if prices is None else read_prices(prices),
        },
        (device, dtype, attn_implementation),
    )
    return resolver.panel(spec) if isinstance(spec, Mapping) else resolver.expert(spec)


def check_expert(
    spec: ExpertSpec | Mapping[Role, ExpertSpec],
    *,
    url: str | None = None,
    api_key: SecretStr | None = None,
    timeout: float | None = None,
    max_tokens: int | None = None,
    rate_limiter: BaseRateLimiter | None = None,
    settings: Mapping[str, Any] | None = None,
    limits: LimitsSpec | None = None,
    prices: str | Path | None = None,
) -> None:
    """Check, before anything is loaded, a spec and that what is given with it reaches it.

    Arguments as of `resolve_expert`. What a hub id or a folder holds is not looked at, and a
    provider is not asked.

    Raises:
        ModelSpecError: a local model is not there, a role has no expert, a setting is out of range,
            or one would reach no model that `spec` names.
    """
    if isinstance(spec, Mapping) and (lacking := [role for role in ROLES if role not in spec]):
        raise ModelSpecError(f"no expert for the role {lacking[0]}: give one for each role")
    if max_tokens is not None and max_tokens < 1:
        raise ModelSpecError(f"the longest reply is {max_tokens} tokens: give 1 or more")
    if timeout is not None and timeout <= 0:
        raise ModelSpecError(f"the time limit is {timeout:g} s: give more than 0")
    if isinstance(limits, str):
        read_limits(limits)
    if prices is not None:
        read_prices(prices)
    if key := next(named_keys(settings or {}), None):
        raise ModelSpecError(f"{key} is a key: give it as api_key, or in its environment variable")
    if "max_retries" in (settings or {}):
        raise ModelSpecError("max_retries is no setting here: give attempts as a limit")
    specs = tuple(spec.values()) if isinstance(spec, Mapping) else (spec,)
    named = [each for each in specs if isinstance(each, (str, Path))]
    remote = [each for each in named if not runs_here(each, url)]
    chats = [each for each in specs if isinstance(each, BaseChatModel)]
    for what, given, taken_by in (
        ("address", url, remote),
        ("key", api_key, remote),
        ("rate limiter", rate_limiter, remote),
        ("settings", settings, remote),
        ("limits", limits, [*named, *chats]),
        ("table of prices", prices, [*remote, *chats]),
        ("time limit", timeout, [*named, *chats]),
        ("limit on its tokens", max_tokens, named),
    ):
        if given is not None and not taken_by:
            names = ", ".join(dict.fromkeys(map(_name, specs)))
            raise ModelSpecError(
                f"the expert {names} takes no {what}: leave it out, or name "
                + ("a model instead of an object" if not named else "a remote model")
            )
    for each in named:
        if runs_here(each, url):
            check_local(each, "expert")


@dataclass(frozen=True)
class _Resolver:
    base_engine: Engine | None
    url: str | None
    timeout: float | None
    local_max_tokens: int | None
    remote: Mapping[str, Any]
    """What remote models are made with."""
    kept_to: Mapping[str, Any]
    """Limits, shared by what is made here, and prices."""
    placing: tuple[str | None, str | None, str | None]
    """Device, precision and attention of local models."""

    def panel(self, specs: Mapping[Role, ExpertSpec]) -> Expert:
        made: dict[object, Expert] = {}
        for spec in specs.values():
            if _key(spec) not in made:
                roles = [role for role, other in specs.items() if _key(other) == _key(spec)]
                made[_key(spec)] = self._serving(roles).expert(spec)
        return ExpertPanel(
            planner=made[_key(specs["planner"])],
            voter=made[_key(specs["voter"])],
            critic=made[_key(specs["critic"])],
            owned=[expert for expert in made.values() if expert not in specs.values()],
        )

    def _serving(self, roles: Collection[Role]) -> Self:
        gates = self.kept_to["limits"].only(roles)
        return replace(self, kept_to={**self.kept_to, "limits": gates})

    def expert(self, spec: ExpertSpec) -> Expert:
        if isinstance(spec, BaseChatModel):
            return ChatExpert.single(spec, timeout=self.timeout or ROLE_TIMEOUT, **self.kept_to)
        if not isinstance(spec, (str, Path)):
            return spec
        if spec == "base":
            return self._of_base()
        if runs_here(spec, self.url):
            engine = load_engine(spec, "expert", *self.placing)
            return self._of_engine(engine, owned=True)
        return self._remote(str(spec))

    def _remote(self, spec: str) -> Expert:
        provider, colon, model = spec.partition(":")
        if self.url is None and not (provider and colon and model):
            raise ModelSpecError(
                f"{spec!r} names no expert: give embedded, base, provider:model such as "
                "google_genai:gemini-2.5-pro, the folder of a checkpoint, or an address as well"
            )
        if self.url is None or provider in OWN_FORMAT:
            chat, priced_as = provider_model(provider, model, url=self.url, **self.remote), spec
        else:
            # a server's own model names may hold a colon: qwen2.5vl:7b
            priced_as = spec.removeprefix("openai:")
            chat = server_model(priced_as, self.url, **self.remote)
        where = f" at {place_of(self.url)}" if self.url else ""
        return ChatExpert.single(
            chat,
            name=spec + where,
            timeout=self.timeout or ROLE_TIMEOUT,
            attempts=ATTEMPTS,
            priced_as=priced_as,
            **self.kept_to,
        )

    def _of_base(self) -> Expert:
        from catts.agents.engines.transformers_engine import TransformersEngine
        from catts.agents.engines.vllm.engine import VLLMEngine

        if not isinstance(self.base_engine, (TransformersEngine, VLLMEngine)):
            raise ModelSpecError(
                "`base` as expert needs a base model on transformers or vLLM: name another expert"
            )
        return self._of_engine(self.base_engine, owned=False)

    def _of_engine(self, engine: "TransformersEngine | VLLMEngine", *, owned: bool) -> Expert:
        from catts.agents.engines.vllm.engine import VLLMEngine

        return ChatExpert.single(
            EngineChatModel(
                engine=engine,
                remote=isinstance(engine, VLLMEngine),
                max_new_tokens=self.local_max_tokens or engine.card.max_new_tokens,
            ),
            prompts=engine.prompts,
            name=engine.name,
            timeout=self.timeout,
            on_close=engine.aclose if owned else None,
            **self.kept_to,
        )


def _name(spec: ExpertSpec) -> str:
    return str(spec) if isinstance(spec, (str, Path)) else f"of type {type(spec).__name__}"


def _key(spec: ExpertSpec) -> object:
    return str(spec) if isinstance(spec, (str, Path)) else id(spec)
