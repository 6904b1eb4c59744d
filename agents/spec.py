"""What `--base` and `--expert` may say, and the models they stand for."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeAlias, cast

from langchain_core.language_models import BaseChatModel
from langchain_core.rate_limiters import BaseRateLimiter
from pydantic import InstanceOf, SecretStr

from catts.agents.addresses import place_of
from catts.agents.engines.vllm.address import names_server, read_address
from catts.agents.expert import Expert
from catts.agents.experts.chat_model import EngineChatModel
from catts.agents.experts.panel import ExpertPanel
from catts.agents.experts.providers import OWN_FORMAT, provider_model, server_model
from catts.agents.experts.roles import ROLE_TIMEOUT, ChatExpert
from catts.agents.local_spec import checkpoint_folder
from catts.agents.protocol import Engine
from catts.arguments import check_types
from catts.errors import ModelSpecError
from catts.names import ROLES, Role

if TYPE_CHECKING:
    from catts.agents.engines.transformers_engine import TransformersEngine
    from catts.agents.engines.vllm.engine import VLLMEngine

BaseSpec: TypeAlias = str | Path | Engine
"""An engine, or a text:

- `embedded` or `embedded-cdrl`: a base that the package ships;
- the folder of a checkpoint, or a hub id `org/name`, run by the transformers engine;
- `vllm:ADDRESS[,ADDRESS...][#MODEL]`: a model on a vLLM server, or on several.
"""

Shipped = Literal["base", "expert", "cdrl"]
"""Models that the package ships: the base, the expert, and the base after CDRL."""
SHIPPED = ("embedded", "embedded-cdrl")
"""What names them: `embedded` is the base or the expert, whichever is asked for."""

ExpertSpec: TypeAlias = str | Path | InstanceOf[BaseChatModel] | Expert
"""An expert, a chat model, or a text:

- `embedded`: the expert model that the package ships;
- `base`: the base model is its own expert;
- `provider:model`, as LangChain's `init_chat_model` takes it: `google_genai:gemini-3-pro`;
- the folder of a checkpoint, or a hub id `org/name`, run by the transformers engine;
- with an address: the name of a model on an OpenAI-compatible server.
"""


def resolve_base(
    spec: BaseSpec,
    *,
    device: str | None = None,
    dtype: str | None = None,
    attn_implementation: str | None = None,
    max_pixels: int | None = None,
) -> Engine:
    """The base model that `spec` stands for; an engine stands for itself.

    `max_pixels` is the largest picture that the model sees; see
    `catts.agents.engines.loading.load_model`.

    Raises:
        ModelSpecError: there is no such model, it cannot be loaded, or `max_pixels` is given for an
            engine or a server, which have loaded theirs already.
        InputError: an argument has another type.
    """
    check_types(resolve_base, **locals())
    served = str(spec) if names_server(spec) else None
    if isinstance(spec, (str, Path)) and served is None:
        return _load(spec, "base", device, dtype, attn_implementation, max_pixels)
    if max_pixels is not None:
        raise ModelSpecError(
            "max_pixels is for a base model that is loaded here: give it to "
            "TransformersEngine.load or to the server (`--mm-processor-kwargs`), or leave it out"
        )
    return _served(served) if served is not None else cast("Engine", spec)


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
    )
    resolver = _Resolver(
        base_engine,
        url,
        api_key,
        timeout,
        max_tokens,
        local_max_tokens,
        rate_limiter,
        device,
        dtype,
        attn_implementation,
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
    specs = tuple(spec.values()) if isinstance(spec, Mapping) else (spec,)
    named = [each for each in specs if isinstance(each, (str, Path))]
    remote = [each for each in named if not runs_here(each, url)]
    chats = [each for each in specs if isinstance(each, BaseChatModel)]
    for what, given, taken_by in (
        ("address", url, remote),
        ("key", api_key, remote),
        ("rate limiter", rate_limiter, remote),
        ("time limit", timeout, [*named, *chats]),
        ("limit on its tokens", max_tokens, named),
    ):
        if given is not None and not taken_by:
            names = ", ".join(dict.fromkeys(map(_name, specs)))
            raise ModelSpecError(
                f"the expert {names} takes no {what}: leave it out, or name "
                + ("a remote model" if taken_by is remote else "a model instead of an object")
            )
    for each in named:
        if runs_here(each, url):
            check_local(each, "expert")


def check_local(spec: str | Path, which: Literal["base", "expert"]) -> None:
    """Check that there is a model at `spec`, without importing what it is loaded with.

    Raises:
        ModelSpecError: there is no such folder, and it is no hub id; what a hub id or a folder
            holds is not looked at.
    """
    if which == "base" and names_server(spec):
        read_address(str(spec))
    elif spec in SHIPPED:
        shipped_folder(str(spec), which)
    elif spec != "base" or which == "base":
        checkpoint_folder(spec)


def runs_here(spec: ExpertSpec, url: str | None = None) -> bool:
    """Whether `spec` names a model that this process loads, or the base model."""
    if isinstance(spec, Path):
        return True
    if not isinstance(spec, str):
        return False
    return (
        spec in (*SHIPPED, "base")
        or spec.startswith((".", "/", "~"))
        or (bool(spec) and Path(spec).is_dir())
        or (url is None and ":" not in spec and len(spec.split("/")) == 2)
    )


def import_libraries(tell: Callable[[str], None]) -> None:
    """Import what a local model is loaded with; `tell` hears what takes the time.

    Loading a model imports the same by itself. This is for a program that a person waits for:
    these imports take longer than a small model's answer.
    """
    tell("loading torch")
    import_module("torch")
    tell("loading transformers")
    import_module("transformers.processing_utils")


def shipped_folder(spec: str, which: Literal["base", "expert"]) -> Path:
    """The folder of the shipped model that `spec`, one of `SHIPPED`, names in this place.

    Raises:
        ModelSpecError: this installation ships no such model.
    """
    return embedded_folder(which if spec == "embedded" else "cdrl")


def embedded_folder(which: Shipped) -> Path:
    """The folder of a model that the package ships; the package that holds it is not imported.

    Raises:
        ModelSpecError: this installation ships no such model.
    """
    package = find_spec("catts.embedded")
    for location in (package.submodule_search_locations or ()) if package is not None else ():
        folder = Path(location) / "models" / which
        if folder.is_dir():
            return folder
    train = "catts train" if which == "cdrl" else f"catts embedded train {which}"
    raise ModelSpecError(
        f"this installation has no embedded {which} model: train it (`{train}`) and name its folder"
    )


@dataclass(frozen=True)
class _Resolver:
    base_engine: Engine | None
    url: str | None
    api_key: SecretStr | None
    timeout: float | None
    max_tokens: int | None
    local_max_tokens: int | None
    rate_limiter: BaseRateLimiter | None
    device: str | None
    dtype: str | None
    attn_implementation: str | None

    def panel(self, specs: Mapping[Role, ExpertSpec]) -> Expert:
        made: dict[object, Expert] = {}
        for spec in specs.values():
            if _key(spec) not in made:
                made[_key(spec)] = self.expert(spec)
        return ExpertPanel(
            planner=made[_key(specs["planner"])],
            voter=made[_key(specs["voter"])],
            critic=made[_key(specs["critic"])],
            owned=[expert for expert in made.values() if expert not in specs.values()],
        )

    def expert(self, spec: ExpertSpec) -> Expert:
        if isinstance(spec, BaseChatModel):
            return ChatExpert.single(spec, timeout=self.timeout or ROLE_TIMEOUT)
        if not isinstance(spec, (str, Path)):
            return spec
        if spec == "base":
            return self._of_base()
        if runs_here(spec, self.url):
            engine = _load(spec, "expert", self.device, self.dtype, self.attn_implementation)
            return self._of_engine(engine, owned=True)
        return self._remote(str(spec))

    def _remote(self, spec: str) -> Expert:
        provider, colon, model = spec.partition(":")
        if self.url is None and not (provider and colon and model):
            raise ModelSpecError(
                f"{spec!r} names no expert: give embedded, base, provider:model such as "
                "google_genai:gemini-3-pro, the folder of a checkpoint, or an address as well"
            )
        if self.url is None or provider in OWN_FORMAT:
            chat = provider_model(
                provider,
                model,
                url=self.url,
                api_key=self.api_key,
                max_tokens=self.max_tokens,
                rate_limiter=self.rate_limiter,
            )
        else:
            # a server's own model names may hold a colon: qwen2.5vl:7b
            chat = server_model(
                spec.removeprefix("openai:"),
                self.url,
                self.api_key,
                max_tokens=self.max_tokens,
                rate_limiter=self.rate_limiter,
            )
        where = f" at {place_of(self.url)}" if self.url else ""
        return ChatExpert.single(chat, name=spec + where, timeout=self.timeout or ROLE_TIMEOUT)

    def _of_base(self) -> Expert:
        from catts.agents.engines.transformers_engine import TransformersEngine
        from catts.agents.engines.vllm.engine import VLLMEngine

        if not isinstance(self.base_engine, (TransformersEngine, VLLMEngine)):
            raise ModelSpecError(
                "`base` as expert needs a base model on transformers or vLLM: name another expert"
            )
        return self._of_engine(self.base_engine, owned=False)

    def _of_engine(self, engine: "TransformersEngine | VLLMEngine", *, owned: bool) -> Expert:
        return ChatExpert.single(
            EngineChatModel(
                engine=engine,
                max_new_tokens=self.max_tokens
                or self.local_max_tokens
                or engine.card.max_new_tokens,
            ),
            prompts=engine.prompts,
            name=engine.name,
            timeout=self.timeout,
            on_close=engine.aclose if owned else None,
        )


def _load(
    spec: str | Path,
    which: Literal["base", "expert"],
    device: str | None,
    dtype: str | None,
    attn_implementation: str | None,
    max_pixels: int | None = None,
) -> "TransformersEngine":
    from catts.agents.engines.transformers_engine import TransformersEngine

    where = shipped_folder(str(spec), which) if spec in SHIPPED else spec
    return TransformersEngine.load(
        where,
        device=device,
        dtype=dtype,
        attn_implementation=attn_implementation,
        max_pixels=max_pixels,
    )


def _served(spec: str) -> "VLLMEngine":
    from catts.agents.engines.vllm.engine import VLLMEngine

    return VLLMEngine.load(spec)


def _name(spec: ExpertSpec) -> str:
    return str(spec) if isinstance(spec, (str, Path)) else f"of type {type(spec).__name__}"


def _key(spec: ExpertSpec) -> object:
    return str(spec) if isinstance(spec, (str, Path)) else id(spec)
