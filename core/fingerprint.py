"""A digest of everything that decides what a checkpoint writes."""

import hashlib
import re
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from pathlib import Path

_SUFFIXES = (".safetensors", ".json", ".jinja", ".txt", ".model")
_COSMETIC = ("catts.json",)
_COMMIT = re.compile("[0-9a-f]{40}")
_READERS = 8
"""Files that are read at a time."""


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
    if _is_hub_snapshot(folder):
        return f"{folder.parent.parent.name}@{folder.name}"
    paths = [
        path
        for path in sorted(folder.iterdir())
        if path.suffix in _SUFFIXES and path.name not in _COSMETIC
    ]
    stats = [path.stat() for path in paths]
    sizes, times = [stat.st_size for stat in stats], [stat.st_mtime_ns for stat in stats]
    # large checkpoints come in several files, and hashing lets go of the interpreter's lock
    with ThreadPoolExecutor(_READERS, "catts-fingerprint") as readers:
        digests = readers.map(_file_digest, paths, sizes, times)
        return "\n".join(f"{path.name}={d}" for path, d in zip(paths, digests, strict=True))


def _is_hub_snapshot(folder: Path) -> bool:
    """Whether it lies as the hub's cache keeps it: `models--org--name/snapshots/commit`."""
    cache = folder.parent.parent.name
    named = folder.parent.name == "snapshots" and cache.startswith("models--")
    return named and _COMMIT.fullmatch(folder.name) is not None


def file_digest(path: Path) -> str:
    """SHA-256 (hex) of a file's content, computed once as long as the file is not changed."""
    stat = path.stat()
    return _file_digest(path, stat.st_size, stat.st_mtime_ns)


@lru_cache(maxsize=1024)
def _file_digest(path: Path, size: int, modified: int) -> str:
    """Digest of a file's content; size and time of change are there to key the cache."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
