"""A CLIP of open_clip, loaded: from the package, a folder, open_clip's own list, or the hub.

Weights are read from safetensors only, and nothing that comes with a checkpoint is run.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from PIL.Image import Image
from torch import Tensor

from catts.errors import SaliencyError
from catts.fingerprint import file_digest, fingerprint
from catts.perception.attention import attention_layers

_CONFIG = "open_clip_config.json"
_WEIGHTS = ("open_clip_model.safetensors", "open_clip_pytorch_model.safetensors")
"""The names under which open_clip prefers safetensors to anything else in a folder."""
_FOLDER = "local-dir:"
_HUB = "hf-hub:"
_HUB_FILES = [*_WEIGHTS, "*.json", "*.txt", "*.model"]
_SQUASH = "squash"
"""The whole picture is scaled to the model's square: its default would cut the edges off, and a map
would say nothing of them."""


@dataclass(frozen=True)
class Clip:
    """A CLIP in memory, in evaluation mode, float32."""

    name: str
    """Its spec, or the last part of its folder's path."""
    model: Any
    """`open_clip.CLIP` or `CustomTextCLIP`, whose weights take no gradient."""
    preprocess: Callable[[Image], Tensor]
    """RGB picture to (3, side, side)."""
    tokenizer: Callable[[list[str]], Tensor]
    """N texts to (N, context), longer ones cut."""
    device: torch.device
    fingerprint: str
    """Hex digest of weights, configuration and tokenizer."""
    aligned_patches: bool = False
    """Whether its patches were trained to be similar to the texts about them, as its configuration
    says (`"catts": {"aligned_patches": true}`); CLIP's own training does not do that."""

    @property
    def grid(self) -> tuple[int, int]:
        """Rows and columns of patches."""
        rows, columns = self.model.visual.grid_size
        return int(rows), int(columns)

    def pixels(self, images: Sequence[Image]) -> Tensor:
        """Pictures (RGB) as the model's input, (N, 3, side, side)."""
        return torch.stack([self.preprocess(image) for image in images]).to(self.device)

    @torch.no_grad()
    def embed(self, texts: Sequence[str]) -> Tensor:
        """Texts as unit vectors, (N, D)."""
        features: Tensor = self.model.encode_text(
            self.tokenizer(list(texts)).to(self.device), normalize=True
        )
        return features


def load_clip(spec: str | Path = "embedded", device: str | None = None) -> Clip:
    """Load a CLIP whose vision tower is a ViT of open_clip's own.

    Args:
        spec: `embedded`, the one that the package ships; a folder with `open_clip_config.json` and
            safetensors; `NAME:PRETRAINED`, a model of open_clip's list with one of its tags or a
            safetensors file of weights, such as `ViT-B-32:laion2b_s34b_b79k`; or a repository of
            the hub, `hf-hub:org/name`.
        device: a torch device; by default `cuda` where there is one, else `cpu`.

    Raises:
        SaliencyError: open_clip is not installed, there is no such model, its weights are no
            safetensors, or it is of another kind.
    """
    if find_spec("open_clip") is None:
        raise SaliencyError("saliency needs open_clip: pip install 'catts[saliency]'")
    from open_clip import create_model_from_pretrained, get_tokenizer

    where, weights, mark = _locate(str(spec))
    place = _device(device)
    try:
        model, preprocess = create_model_from_pretrained(
            where, pretrained=weights, image_resize_mode=_SQUASH
        )
        tokenizer = get_tokenizer(where)
    except (RuntimeError, ValueError, KeyError, TypeError, OSError) as error:
        raise SaliencyError(
            f"open_clip cannot load {str(spec)!r}: {_first_line(error)}; check the folder, or "
            "choose another model"
        ) from error
    attention_layers(model.visual)
    return Clip(
        name=Path(str(spec)).name,
        model=model.requires_grad_(False).eval().to(place),
        preprocess=preprocess,
        tokenizer=tokenizer,
        device=place,
        fingerprint=mark,
        aligned_patches=_aligned(where),
    )


def embedded_clip() -> Path:
    """The folder of the CLIP that the package ships; the package that holds it is not imported.

    Raises:
        SaliencyError: this installation ships none.
    """
    package = find_spec("catts.embedded")
    for location in (package.submodule_search_locations or ()) if package is not None else ():
        folder = Path(location) / "models" / "clip"
        if (folder / _CONFIG).is_file():
            return folder
    raise SaliencyError(
        "this installation has no embedded CLIP: train it (`catts embedded train clip`) and name "
        "its folder"
    )


def _locate(spec: str) -> tuple[str, str | None, str]:
    """What open_clip calls the model, the tag or file of its weights, and its fingerprint."""
    if spec == "embedded":
        return _in_folder(embedded_clip())
    if Path(spec).expanduser().is_dir():
        return _in_folder(Path(spec).expanduser())
    if spec.startswith(_HUB):
        return _in_folder(_from_hub(spec.removeprefix(_HUB)))
    return _in_list(spec)


def _in_folder(folder: Path) -> tuple[str, str | None, str]:
    if not (folder / _CONFIG).is_file():
        raise SaliencyError(f"{folder} is no model of open_clip: it holds no {_CONFIG}")
    if not any((folder / name).is_file() for name in _WEIGHTS):
        raise SaliencyError(
            f"{folder} holds no {' or '.join(_WEIGHTS)}: other weight formats can run code and are "
            "refused; save the model again as safetensors"
        )
    return f"{_FOLDER}{folder}", None, fingerprint([folder], ())


def _aligned(where: str) -> bool:
    """What the configuration of a folder says; open_clip passes over what is not its own."""
    if not where.startswith(_FOLDER):
        return False
    config = json.loads((Path(where.removeprefix(_FOLDER)) / _CONFIG).read_text("utf-8"))
    return bool(config.get("catts", {}).get("aligned_patches", False))


def _in_list(spec: str) -> tuple[str, str | None, str]:
    from open_clip import download_pretrained, list_models, list_pretrained
    from open_clip.pretrained import get_pretrained_cfg

    name, _, pretrained = spec.partition(":")
    if name not in list_models() or not pretrained:
        raise SaliencyError(
            f"no saliency model {spec!r}: give `embedded`, a folder, hf-hub:org/name, or "
            "NAME:PRETRAINED of open_clip's list such as ViT-B-32:laion2b_s34b_b79k"
        )
    if Path(pretrained).is_file():
        file = Path(pretrained)
    else:
        known = get_pretrained_cfg(name, pretrained)
        if not known:
            tags = ", ".join(tag for model, tag in list_pretrained() if model == name)
            raise SaliencyError(
                f"{name} has no weights {pretrained!r}: there is no such file, and its tags are "
                f"{tags or 'none'}"
            )
        try:
            file = Path(download_pretrained(known))
        except (OSError, RuntimeError) as error:
            raise SaliencyError(
                f"the weights of {spec} did not come ({type(error).__name__}): check the "
                "connection, or name a folder"
            ) from error
    if file.suffix != ".safetensors":
        raise SaliencyError(
            f"the weights of {spec} are {file.name}: only safetensors are read, since other "
            "formats can run code; choose other weights"
        )
    return name, pretrained, f"{name}:{file_digest(file)}"


def _from_hub(name: str) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    try:
        return Path(snapshot_download(name, allow_patterns=_HUB_FILES))
    except (HfHubHTTPError, HFValidationError, LocalEntryNotFoundError, OSError) as error:
        raise SaliencyError(
            f"the hub did not give {name!r} ({type(error).__name__}): check the name and the "
            "connection"
        ) from error


def _device(name: str | None) -> torch.device:
    if name is None:
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.empty(0, device=device)  # torch knows names of devices that it was not built for
    except (RuntimeError, AssertionError, ImportError) as error:
        raise SaliencyError(f"torch cannot use {name!r} here: give `cpu`, or nothing") from error
    return device


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0] or type(error).__name__
