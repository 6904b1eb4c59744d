"""A digest of everything that decides what a checkpoint writes."""

import hashlib
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

_SUFFIXES = (".safetensors", ".json", ".jinja", ".txt", ".model")
_COSMETIC = ("catts.json",)


def fingerprint(folders: Sequence[Path], facts: Sequence[str]) -> str:
    """SHA-256 (hex) over the files of `folders` and over `facts`, in order.

    Weights, configuration, tokenizer and processor files count, by name and content; where the
    folder lies does not, nor does the model card, whose numbers are settings of the caller's. A
    snapshot of the Hugging Face hub counts by its commit, which names its content already.
    """
    digest = hashlib.sha256()
    for folder in folders:
        digest.update(f"folder\0{_folder_identity(folder)}\0".encode())
    for fact in facts:
        digest.update(f"fact\0{fact}\0".encode())
    return digest.hexdigest()


def _folder_identity(folder: Path) -> str:
    if folder.parent.name == "snapshots":
        return f"{folder.parent.parent.name}@{folder.name}"
    names = []
    for path in sorted(folder.iterdir()):
        if path.suffix in _SUFFIXES and path.name not in _COSMETIC:
            stat = path.stat()
            names.append(f"{path.name}={_file_digest(path, stat.st_size, stat.st_mtime_ns)}")
    return "\n".join(names)


@lru_cache(maxsize=1024)
def _file_digest(path: Path, size: int, modified: int) -> str:
    """Digest of a file's content; size and time of change are there to key the cache."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
