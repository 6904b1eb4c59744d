"""Loading a checkpoint: safetensors only, none of its own code, with its card and prompts."""

import json
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from catts.agents.card import ModelCard, fitted_card, has_card, read_card
from catts.agents.engines.architecture import check_architecture, check_processor
from catts.agents.engines.picture_size import limit_pixels
from catts.agents.engines.readout import read_out_in_float32
from catts.agents.engines.vocabulary import Vocabulary, read_vocabulary
from catts.agents.local_spec import DTYPES, check_placing, checkpoint_folder
from catts.arguments import check_types
from catts.errors import ModelSpecError
from catts.fingerprint import fingerprint
from catts.prompts import PromptSet, load_prompts

_ADAPTER_CONFIG = "adapter_config.json"
_HUB_FILES = ["*.safetensors", "*.json", "*.jinja", "*.txt", "*.model"]
_DTYPES: dict[str, torch.dtype] = {name: getattr(torch, name) for name in DTYPES}


class PromptMismatchWarning(UserWarning):
    """A checkpoint was trained on another wording of its prompt set than the one installed."""


@dataclass(frozen=True)
class LoadedModel:
    """A checkpoint in memory, in evaluation mode."""

    name: str
    """The card's name, else the last part of the path or hub id."""
    model: Any
    processor: Any
    vocabulary: Vocabulary
    card: ModelCard
    prompts: PromptSet
    device: torch.device
    """Where inputs go: the input embeddings' device, or the one that they are moved to for use."""
    dtype: torch.dtype
    folders: tuple[Path, ...]
    """Folders that it was read from: the checkpoint's, then the adapter's if there is one."""
    fingerprint: str
    """Hex digest of weights, tokenizer, processor and its limit, adapter, prompts and dtype."""
    max_pixels: int | None = None
    """What the processor's was set to; None when it is the checkpoint's own."""


def load_model(
    spec: str | Path,
    *,
    device: str | None = None,
    dtype: str | None = None,
    attn_implementation: str | None = None,
    prompts: PromptSet | None = None,
    max_pixels: int | None = None,
) -> LoadedModel:
    """Load an image-text-to-text checkpoint of transformers.

    Its card is the one beside its weights; without one, the one in the user's folder of cards that
    was fitted for its fingerprint (`catts.agents.card.cards_folder`), else the defaults.

    Args:
        spec: a local folder (a checkpoint, or a LoRA adapter of one), or a hub id `org/name`.
        device: a torch device, which the weights are read to; by default `cuda` where there is one,
            else `cpu`. `auto` lets accelerate spread the weights over all GPUs, and what does not
            fit there over memory and disk.
        dtype: `float32`, `bfloat16` or `float16`; by default float32 on a CPU, where 16 bits are
            slow, and the checkpoint's own elsewhere. Logits are in float32 in any case.
        attn_implementation: how attention is computed, as transformers names it: `eager`, `sdpa`,
            `flash_attention_2`; by default what transformers chooses.
        prompts: the prompt set to ask with, instead of the shipped one that the card names.
        max_pixels: largest picture, width times height, that the processor gives the model; larger
            ones are scaled down. By default the checkpoint's own; Qwen-VL and its kin have one.

    Raises:
        ModelSpecError: there is no such model, it or its card cannot be read, the engine cannot
            run its architecture, or the device is missing.
        PromptError: the card names a prompt set that is not shipped.
        InputError: an argument has another type.
    """
    check_types(load_model, **locals())
    check_placing(device, dtype)
    where = find_device(device)
    wanted = _dtype(dtype, where)
    folder = _resolve(str(spec))
    card = read_card(folder)
    folders = [folder]
    if (folder / _ADAPTER_CONFIG).is_file():
        base = _resolve(_adapter_base(folder))
        card = card if card != ModelCard() else read_card(base)
        folders = [base, folder]
    prompts = prompts or load_prompts(card.prompt_set)
    if card.prompt_hash is not None and card.prompt_hash != prompts.hash:
        warnings.warn(
            f"{spec} was trained on another wording of the prompt set {card.prompt_set!r} "
            f"({card.prompt_hash[:12]}, here {prompts.hash[:12]}): expect worse answers, "
            "or train it again",
            PromptMismatchWarning,
            stacklevel=2,
        )
    settings = {"dtype": wanted, "device_map": "auto" if device == "auto" else str(where)}
    if attn_implementation is not None:
        settings["attn_implementation"] = _attention(attn_implementation)
    model, processor = _read_checkpoint(folders[0], settings, max_pixels)
    if len(folders) == 2:
        model = _apply_adapter(model, folder)
    model.eval()
    read_out_in_float32(model)
    precision = next(model.parameters()).dtype
    limit = () if max_pixels is None else (f"max_pixels={max_pixels}",)
    mark = fingerprint(folders, (prompts.hash, str(precision), *limit))
    if not has_card(folders):
        card = fitted_card(mark)
    return LoadedModel(
        name=card.name or Path(str(spec)).name,
        model=model,
        processor=processor,
        vocabulary=read_vocabulary(model, processor),
        card=card,
        prompts=prompts,
        device=_input_device(model),
        dtype=precision,
        folders=tuple(folders),
        fingerprint=mark,
        max_pixels=max_pixels,
    )


def find_device(device: str | None) -> torch.device:
    """The device of that name; of None and `auto` where inputs go.

    Raises:
        ModelSpecError: it is no device, or torch cannot use it here.
    """
    check_placing(device, None)
    if device is None or device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        where = torch.device(device)
        torch.empty(0, device=where)  # torch knows names of devices that it was not built for
    except (RuntimeError, AssertionError, ImportError) as error:
        raise ModelSpecError(
            f"torch cannot use {device!r} here: give `cpu`, or leave it out"
        ) from error
    return where


def _attention(name: str) -> str:
    if "/" in name:
        raise ModelSpecError(
            f"the attention {name!r} would be code from the hub, which is never run: give sdpa or "
            "eager, or flash_attention_2 where flash-attn is installed"
        )
    return name


def _input_device(model: Any) -> torch.device:
    embeddings = model.get_input_embeddings()
    # weights that accelerate keeps elsewhere are moved to this device for each use
    moved_to = getattr(getattr(embeddings, "_hf_hook", None), "execution_device", None)
    return torch.device(embeddings.weight.device if moved_to is None else moved_to)


def hide_progress() -> None:
    """No progress bars of transformers' loaders from now on, in this process."""
    from transformers.utils import logging

    logging.disable_progress_bar()


def _dtype(dtype: str | None, device: torch.device) -> torch.dtype | str:
    if dtype is None:
        return torch.float32 if device.type == "cpu" else "auto"
    return _DTYPES[dtype]


def _resolve(spec: str) -> Path:
    """The folder that holds `spec`; a hub id is downloaded, or found in the hub's cache."""
    folder = checkpoint_folder(spec)
    if folder is not None:
        return folder
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    try:
        return Path(snapshot_download(spec, allow_patterns=_HUB_FILES))
    except (HfHubHTTPError, HFValidationError, LocalEntryNotFoundError, OSError) as error:
        raise ModelSpecError(
            f"there is no folder {spec!r}, and the hub did not give {spec!r} "
            f"({type(error).__name__}): check the name and the connection"
        ) from error


def _adapter_base(folder: Path) -> str:
    path = folder / _ADAPTER_CONFIG
    try:
        base = json.loads(path.read_text("utf-8")).get("base_model_name_or_path")
    except (OSError, ValueError, AttributeError) as error:
        raise ModelSpecError(f"{path} is not a readable adapter configuration: {error}") from error
    if not isinstance(base, str) or not base:
        raise ModelSpecError(f"{path} names no base model: set base_model_name_or_path")
    relative = folder / base
    return str(relative) if relative.is_dir() else base


def _read_checkpoint(
    folder: Path, settings: dict[str, Any], max_pixels: int | None
) -> tuple[Any, Any]:
    from transformers import AutoConfig, AutoModelForImageTextToText, AutoProcessor

    if not any(folder.glob("*.safetensors")):
        raise ModelSpecError(
            f"{folder} holds no *.safetensors: other weight formats can run code and are refused; "
            "save the model again with save_pretrained"
        )
    try:
        config = AutoConfig.from_pretrained(folder, trust_remote_code=False, local_files_only=True)
        check_architecture(folder, config)
        processor = _read_processor(AutoProcessor, folder)
        check_processor(folder, processor)
        if max_pixels is not None:
            limit_pixels(processor, max_pixels)
        model, report = AutoModelForImageTextToText.from_pretrained(
            folder,
            **settings,
            use_safetensors=True,
            trust_remote_code=False,
            local_files_only=True,
            output_loading_info=True,
        )
    except ModelSpecError:
        raise
    except Exception as error:  # a folder of any content can fail in any of transformers' layers
        reason = _first_line(error)
        if "attn_implementation" in settings and isinstance(error, (ImportError, ValueError)):
            raise ModelSpecError(
                f"{folder} does not load with the attention {settings['attn_implementation']!r}: "
                f"{reason}; give sdpa or eager, or leave attn_implementation out"
            ) from error
        raise ModelSpecError(
            f"{folder} is no image-text-to-text checkpoint that transformers loads: "
            f"{type(error).__name__}: {reason}"
        ) from error
    if report["missing_keys"]:
        missing = sorted(report["missing_keys"])
        raise ModelSpecError(f"{folder} lacks {len(missing)} weights, such as {missing[0]}")
    return model, processor


def _read_processor(processors: Any, folder: Path) -> Any:
    try:
        return processors.from_pretrained(folder, trust_remote_code=False)
    except ImportError as error:
        raise ModelSpecError(
            f"the processor of {folder} needs a package that is missing: {_first_line(error)}"
        ) from error


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [""])[0]


def _apply_adapter(model: Any, folder: Path) -> Any:
    """The model with the adapter's weights merged in, so that it decodes at full speed."""
    if not (folder / "adapter_model.safetensors").is_file():
        raise ModelSpecError(f"{folder} holds no adapter_model.safetensors: save the adapter again")
    try:
        from peft import PeftModel
    except ImportError as error:
        raise ModelSpecError(
            f"{folder} is a LoRA adapter: install peft with `pip install 'catts[lora]'`"
        ) from error
    try:
        return PeftModel.from_pretrained(model, folder).merge_and_unload(safe_merge=True)
    except (ValueError, RuntimeError, KeyError, TypeError, OSError) as error:
        raise ModelSpecError(
            f"the adapter {folder} does not fit its base model: {error}"
        ) from error
