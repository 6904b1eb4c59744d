"""Planted keys, and everything that is written or shown while they are there."""

import logging
import os
import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from catts.evals.chaos.leaks import holds_key
from catts.evals.chaos.outcome import Gathered


@contextmanager
def planted() -> Iterator[list[str]]:
    """Put keys of both providers into the environment, of which one looks like a key."""
    variables = {
        "GOOGLE_API_KEY": f"AIza{secrets.token_hex(16)}",
        "OPENAI_API_KEY": f"planted{secrets.token_hex(16)}",
    }
    cleared = ("GEMINI_API_KEY", "GOOGLE_GENAI_USE_VERTEXAI")
    before = {name: os.environ.get(name) for name in (*variables, *cleared)}
    try:
        os.environ.update(variables)
        for name in cleared:
            os.environ.pop(name, None)
        yield list(variables.values())
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


@contextmanager
def logged(file: Path) -> Iterator[None]:
    """Everything that anybody logs, from DEBUG on, goes into `file`, warnings included."""
    root, handler = logging.getLogger(), logging.FileHandler(file)
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    logging.captureWarnings(True)
    try:
        yield
    finally:
        logging.captureWarnings(False)
        root.setLevel(level)
        root.removeHandler(handler)
        handler.close()


def keys_found(folder: Path, gathered: Gathered, keys: Sequence[str]) -> list[str]:
    """Everything written, and everything that a user may print, searched for the planted keys."""
    files = [file for file in folder.rglob("*") if file.is_file()]
    found = [str(f.relative_to(folder)) for f in files if holds_key(f.read_bytes(), keys)]
    shown = [*gathered.reprs, *(repr(outcome.error) for outcome in gathered.outcomes)]
    return found + [f"a repr: {text[:80]}" for text in shown if holds_key(text.encode(), keys)]
