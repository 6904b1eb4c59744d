"""What `--base` and `--expert` may say, and the models they stand for."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeAlias, get_args

from langchain_core.language_models import BaseChatModel
from pydantic import SecretStr

from catts.agents.chat_model import EngineChatModel
from catts.agents.expert import Expert, Role
from catts.agents.panel import ExpertPanel
from catts.agents.protocol import Engine
from catts.agents.providers import OWN_FORMAT, provider_model, server_model, split_url
from catts.agents.roles import ROLE_TIMEOUT, ChatExpert
from catts.errors import ModelSpecError

if TYPE_CHECKING:
    from catts.agents.transformers_engine import TransformersEngine

BaseSpec: TypeAlias = str | Path | Engine
"""An engine, `embedded`, the folder of a checkpoint, or a hub id `org/name`."""

ExpertSpec: TypeAlias = str | Path | BaseChatModel | Expert
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
) -> Engine:
    """The base model that `spec` stands for; an engine stands for itself.

    Raises:
        ModelSpecError: there is no such model, or it cannot be loaded.
    """
    if isinstance(spec, (str, Path)):
        return _load(spec, "base", device, dtype, attn_implementation)
    return spec


def resolve_expert(
    spec: ExpertSpec | Mapping[Role, ExpertSpec],
    *,
    base_engine: Engine | None = None,
    url: str | None = None,
    api_key: SecretStr | None = None,
    timeout: float | None = None,
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
        device: Where to load a local model.
        dtype: In which precision to load it.
        attn_implementation: How its attention is computed.

    Raises:
        ModelSpecError: nothing can be made of `spec`; one line says what is missing.
    """
    resolver = _Resolver(base_engine, url, api_key, timeout, device, dtype, attn_implementation)
    if isinstance(spec, Mapping):
        return resolver.panel(spec)
    if url is not None and _is_local(spec):
        raise ModelSpecError(
            f"the expert {spec} is no remote model and takes no address: leave the address out, "
            "or name the server's model"
        )
    return resolver.expert(spec)


def import_libraries(tell: Callable[[str], None]) -> None:
    """Import what a local model is loaded with; `tell` hears what takes the time.

    Loading a model imports the same by itself. This is for a program that a person waits for:
    these imports take longer than a small model's answer.
    """
    tell("loading torch")
    import_module("torch")
    tell("loading transformers")
    import_module("transformers.processing_utils")


def embedded_folder(which: Literal["base", "expert"]) -> Path:
    """The folder of a model that the package ships; the package that holds it is not imported.

    Raises:
        ModelSpecError: this installation ships no such model.
    """
    package = find_spec("catts.embedded")
    for location in (package.submodule_search_locations or ()) if package is not None else ():
        folder = Path(location) / "models" / which
        if folder.is_dir():
            return folder
    raise ModelSpecError(
        f"this installation has no embedded {which} model: train it "
        f"(`catts embedded train {which}`) and name its folder"
    )


@dataclass(frozen=True)
class _Resolver:
    base_engine: Engine | None
    url: str | None
    api_key: SecretStr | None
    timeout: float | None
    device: str | None
    dtype: str | None
    attn_implementation: str | None

    def panel(self, specs: Mapping[Role, ExpertSpec]) -> Expert:
        for role in get_args(Role):
            if role not in specs:
                raise ModelSpecError(f"no expert for the role {role}: give one for each role")
        made: dict[object, Expert] = {}
        for spec in specs.values():
            if _key(spec) not in made:
                made[_key(spec)] = self.expert(spec)
        return ExpertPanel(
            planner=made[_key(specs["planner"])],
            voter=made[_key(specs["voter"])],
            critic=made[_key(specs["critic"])],
        )

    def expert(self, spec: ExpertSpec) -> Expert:
        if isinstance(spec, BaseChatModel):
            return ChatExpert.single(spec, timeout=self.timeout or ROLE_TIMEOUT)
        if not isinstance(spec, (str, Path)):
            if not isinstance(spec, Expert):
                raise ModelSpecError(f"a {type(spec).__name__} is no chat model and no expert")
            return spec
        if spec == "base":
            return self._of_base()
        if _is_local(spec) or (self.url is None and _is_hub_id(spec)):
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
            chat = provider_model(provider, model, url=self.url, api_key=self.api_key)
        else:
            # a server's own model names may hold a colon: qwen2.5vl:7b
            chat = server_model(spec.removeprefix("openai:"), self.url, self.api_key)
        where = f" at {split_url(self.url).netloc.rpartition('@')[2]}" if self.url else ""
        return ChatExpert.single(chat, name=spec + where, timeout=self.timeout or ROLE_TIMEOUT)

    def _of_base(self) -> Expert:
        from catts.agents.transformers_engine import TransformersEngine

        if not isinstance(self.base_engine, TransformersEngine):
            raise ModelSpecError(
                "`base` as expert needs a base model that runs here, on transformers: name another"
            )
        return self._of_engine(self.base_engine, owned=False)

    def _of_engine(self, engine: "TransformersEngine", *, owned: bool) -> Expert:
        return ChatExpert.single(
            EngineChatModel(engine=engine, max_new_tokens=engine.card.max_new_tokens),
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
) -> "TransformersEngine":
    from catts.agents.transformers_engine import TransformersEngine

    where = embedded_folder(which) if spec == "embedded" else spec
    return TransformersEngine.load(
        where, device=device, dtype=dtype, attn_implementation=attn_implementation
    )


def _is_local(spec: ExpertSpec) -> bool:
    """Whether no request leaves the machine for `spec`, or it is an object of the caller's."""
    if isinstance(spec, str):
        return spec in ("embedded", "base") or spec.startswith((".", "/", "~")) or _is_folder(spec)
    return True


def _is_folder(spec: str) -> bool:
    return bool(spec) and Path(spec).is_dir()


def _is_hub_id(spec: str | Path) -> bool:
    return isinstance(spec, str) and ":" not in spec and len(spec.split("/")) == 2


def _key(spec: ExpertSpec) -> object:
    return str(spec) if isinstance(spec, (str, Path)) else id(spec)
