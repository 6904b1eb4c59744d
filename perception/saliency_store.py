"""Saliency maps that have been computed: in memory, and in a folder as well when one is given."""

import hashlib
import threading
from collections import OrderedDict
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from catts.errors import SaliencyError
from catts.files import whole_file

FloatMap = NDArray[np.float32]

_HELD = 4096
"""Maps that are kept in memory, a few kilobytes each at most; the oldest goes first."""


def map_key(model: str, image: str, text: str) -> str:
    """Name of a map: SHA-256 (hex) over the model's fingerprint, picture's digest and text."""
    digest = hashlib.sha256(text.encode()).hexdigest()
    return hashlib.sha256(f"{model}\0{image}\0{digest}".encode()).hexdigest()


class SaliencyStore:
    """Maps by key. Safe in threads, and several processes may share a folder."""

    def __init__(self, folder: str | Path | None = None) -> None:
        """Keep maps in memory; also as .npy files in `folder`, which is made when missing.

        Raises:
            SaliencyError: the folder cannot be made.
        """
        self._maps: OrderedDict[str, FloatMap] = OrderedDict()
        self._lock = threading.Lock()
        self._folder = None if folder is None else Path(folder)
        if self._folder is not None:
            try:
                self._folder.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise SaliencyError(
                    f"cannot make the folder {folder}: {error.strerror}; name another"
                ) from error

    def get(self, key: str) -> FloatMap | None:
        """The map of this key; None where it was never computed, or its file is broken."""
        with self._lock:
            found = self._maps.get(key)
        if found is not None or self._folder is None:
            return found
        try:
            read = np.load(self._folder / f"{key}.npy", allow_pickle=False)
        except (OSError, ValueError, EOFError):
            return None
        self._keep(key, read)
        return read  # type: ignore[no-any-return]

    def put(self, key: str, saliency: FloatMap) -> None:
        """Keep a map, which nobody may change afterwards.

        Raises:
            SaliencyError: the folder cannot be written.
        """
        self._keep(key, saliency)
        if self._folder is None:
            return
        try:
            _write(self._folder / f"{key}.npy", saliency)
        except OSError as error:
            raise SaliencyError(
                f"cannot write into {self._folder}: {error.strerror}; name another folder"
            ) from error

    def _keep(self, key: str, saliency: FloatMap) -> None:
        saliency.flags.writeable = False
        with self._lock:
            self._maps[key] = saliency
            while len(self._maps) > _HELD:
                self._maps.popitem(last=False)


def _write(path: Path, saliency: FloatMap) -> None:
    with whole_file(path) as file:
        np.save(file, saliency, allow_pickle=False)
