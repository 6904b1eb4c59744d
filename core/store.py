"""What models said, kept by the hash of everything that decides it, in one SQLite file."""

import hashlib
import json
import sqlite3
import threading
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from catts.errors import StoreError

_Record = TypeVar("_Record", bound=BaseModel)

_FORMAT = 1
"""Grows when a record that is stored changes its meaning: what older code stored is asked anew."""


class Store:
    """A file of model outputs that survives a kill and never makes a model say a thing twice.

    Each `put` is a transaction: a process that is killed loses what it was being told, and nothing
    else. Several processes may share a file. Only values of ours are read back: they are JSON, and
    checked.
    """

    def __init__(self, path: Path) -> None:
        """Open the store at `path`, or make it and the folder that it is to lie in.

        Raises:
            StoreError: the file cannot be written, or is no store.
        """
        self._path = path
        self._lock = threading.Lock()
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = sqlite3.connect(path, timeout=60, check_same_thread=False)
            # such a commit may be lost with the machine, never with the process
            self._file.execute("PRAGMA journal_mode=WAL")
            self._file.execute("PRAGMA synchronous=NORMAL")
            self._file.execute("CREATE TABLE IF NOT EXISTS said (key TEXT PRIMARY KEY, value TEXT)")
            self._file.commit()
        except (sqlite3.Error, OSError) as error:
            raise StoreError(
                f"cannot use {path} as a store: {error}; choose another file"
            ) from error

    def get(self, key: str, record: type[_Record]) -> _Record | None:
        """What is stored under `key` as a `record`; None when nothing of that form is.

        Raises:
            StoreError: the file is damaged, locked for long, or gone.
        """
        try:
            with self._lock:
                row = self._file.execute("SELECT value FROM said WHERE key = ?", (key,)).fetchone()
        except sqlite3.Error as error:
            raise StoreError(f"cannot read {self._path}: {error}; choose another file") from error
        if row is None:
            return None
        try:
            return record.model_validate_json(row[0])
        except ValidationError:
            return None

    def put(self, key: str, record: BaseModel) -> None:
        """Store `record` under `key`, in place of what was there.

        Raises:
            StoreError: the disk is full, or the file is gone.
        """
        try:
            with self._lock, self._file:
                self._file.execute(
                    "INSERT OR REPLACE INTO said VALUES (?, ?)", (key, record.model_dump_json())
                )
        except sqlite3.Error as error:
            raise StoreError(f"cannot write {self._path}: {error}; free some space") from error

    async def recall(
        self, key: str, record: type[_Record], ask: Callable[[], Awaitable[_Record]]
    ) -> _Record:
        """What is stored under `key`, or else what `ask` says, which is stored.

        Raises:
            StoreError: see `put`.
            Exception: whatever `ask` raises; nothing is stored then.
        """
        stored = self.get(key, record)
        if stored is None:
            stored = await ask()
            self.put(key, stored)
        return stored

    def __len__(self) -> int:
        with self._lock:
            return int(self._file.execute("SELECT count(*) FROM said").fetchone()[0])

    def close(self) -> None:
        """Close the file; calling it twice is harmless."""
        with self._lock:
            self._file.close()


def key_of(*parts: object) -> str:
    """SHA-256 (hex) over parts that JSON can hold."""
    text = json.dumps([_FORMAT, *parts], sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()
