"""What `--base` may say, which models the package ships, and what of them runs here."""

from collections.abc import Callable
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeAlias, cast

from catts.agents.engines.vllm.address import names_server, read_address
from catts.agents.local_spec import checkpoint_folder
from catts.agents.protocol import Engine
from catts.arguments import check_types
from catts.errors import ModelSpecError

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
        return load_engine(spec, "base", device, dtype, attn_implementation, max_pixels)
    if max_pixels is not None:
        raise ModelSpecError(
            "max_pixels is for a base model that is loaded here: give it to "
            "TransformersEngine.load or to the server (`--mm-processor-kwargs`), or leave it out"
        )
    return _served(served) if served is not None else cast("Engine", spec)


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


def runs_here(spec: object, url: str | None = None) -> bool:
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


def load_engine(
    spec: str | Path,
    which: Literal["base", "expert"],
    device: str | None,
    dtype: str | None,
    attn_implementation: str | None,
    max_pixels: int | None = None,
) -> "TransformersEngine":
    """The transformers engine on the checkpoint that `spec` names.

    Raises:
        ModelSpecError: there is no such model, or it cannot be loaded.
    """
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
