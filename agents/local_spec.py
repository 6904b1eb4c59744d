"""What can be told of a checkpoint, a device and a precision before torch is imported."""

import re
from pathlib import Path

from catts.errors import ModelSpecError

DTYPES = ("float32", "bfloat16", "float16")

# a device that torch may have here or in another build of it; whether it is there, torch says
_DEVICE = re.compile(r"(?:auto|cpu|cuda|mps|xpu|hpu|npu|mtia|xla)(?::\d+)?")


def check_placing(device: str | None, dtype: str | None) -> None:
    """Check the names of a device and a precision; None is the default of either.

    Raises:
        ModelSpecError: there is none of that name.
    """
    if device is not None and not _DEVICE.fullmatch(device):
        raise ModelSpecError(f"{device!r} is no device: give `cpu`, `cuda` or `auto`")
    if dtype is not None and dtype not in DTYPES:
        raise ModelSpecError(f"dtype {dtype!r} is none of {', '.join(DTYPES)}")


def checkpoint_folder(spec: str | Path) -> Path | None:
    """The folder that `spec` names, or None when it is a hub id.

    Raises:
        ModelSpecError: it is neither.
    """
    text = str(spec)
    if not text.strip():  # as a path it would be the working directory
        raise ModelSpecError("the name of the model is empty: give a folder, or a hub id")
    folder = Path(text).expanduser()
    if folder.is_dir():
        return folder.resolve()
    parts = text.split("/")
    if folder.exists() or len(parts) != 2 or not all(parts) or text[0] in "./~":
        raise ModelSpecError(
            f"no model at {text!r}: give the folder of a checkpoint, or a hub id such as "
            "Qwen/Qwen2.5-VL-3B-Instruct"
        )
    return None
