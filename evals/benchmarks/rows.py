"""Rows of a distributed file and their fields, each checked where it is read."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from catts.errors import ImageError
from catts.evals.benchmarks.item import Json
from catts.images import ImageSource, load_image
from catts.question import MAX_CHOICES, choice_letter


class MalformedFieldError(Exception):
    """A field of a row is not what its schema says; readers turn it into file, row and field."""

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(f"{field}: {reason}")
        self.field = field
        self.reason = reason


@dataclass(frozen=True)
class Row:
    """One row with where it came from. Every method raises `MalformedFieldError`."""

    file: Path
    number: int
    """1-based, within the file."""
    values: Mapping[str, object]
    broken: str = ""
    """Why there are no values at all, such as a line that is not JSON."""

    @property
    def origin(self) -> str:
        """`test.jsonl, row 3`."""
        return f"{self.file}, row {self.number}"

    def text(self, field: str) -> str:
        """A string that is not blank."""
        value = self.optional_text(field)
        if not value.strip():
            raise MalformedFieldError(field, "is missing or blank")
        return value

    def optional_text(self, field: str) -> str:
        """A string; empty where the field is absent or null."""
        value = self.values.get(field)
        if value is None:
            return ""
        if not isinstance(value, str):
            raise MalformedFieldError(field, f"is {_kind(value)}, not a text")
        return value

    def label(self, field: str) -> str:
        """A text or a whole number, as text: an id, a level."""
        value = self.values.get(field)
        if isinstance(value, int) and not isinstance(value, bool):
            return str(value)
        return self.text(field)

    def number_or_none(self, field: str) -> float | None:
        """A number, or None where the field is absent or null."""
        value = self.values.get(field)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise MalformedFieldError(field, f"is {_kind(value)}, not a number")
        return float(value)

    def texts(self, field: str) -> tuple[str, ...]:
        """The choices of a question; empty where the field is absent or null."""
        value = self.values.get(field)
        if value is None:
            return ()
        if not isinstance(value, list) or not all(isinstance(entry, str) for entry in value):
            raise MalformedFieldError(field, f"is {_kind(value)}, not a list of texts")
        return checked_choices(tuple(value), field)

    def mapping(self, field: str) -> Mapping[str, Json]:
        """A mapping by name; empty where the field is absent or null."""
        value = self.values.get(field)
        if value is None:
            return {}
        if not isinstance(value, dict):
            raise MalformedFieldError(field, f"is {_kind(value)}, not a mapping")
        return value

    def one_of(self, field: str, known: tuple[str, ...]) -> str:
        """A text out of `known`."""
        value = self.text(field)
        if value not in known:
            raise MalformedFieldError(field, f"is {_shown(value)}, not one of {', '.join(known)}")
        return value

    def picture(self, *fields: str) -> ImageSource:
        """The first of `fields` that holds a picture, decoded once: a broken one is told here.

        A picture is the struct of bytes and path that the hub's parquet files hold, bare bytes, or
        a path relative to the row's file or to the folder above it (`data/test.jsonl` beside
        `images/`).
        """
        for field in fields:
            value = self.values.get(field)
            if isinstance(value, dict):
                value = value.get("path") if value.get("bytes") is None else value["bytes"]
            if value is None or value == "":
                continue
            if not isinstance(value, bytes | str):
                raise MalformedFieldError(field, f"is {_kind(value)}, not a picture")
            try:
                source: ImageSource = value if isinstance(value, bytes) else self._path(value)
                load_image(source)
            except ImageError as error:
                raise MalformedFieldError(field, str(error)) from error
            return source
        raise MalformedFieldError(fields[0], "holds no picture")

    def _path(self, written: str) -> Path:
        # a data set from anywhere may name any file of this machine: only its own folder counts
        if Path(written).is_absolute() or ".." in Path(written).parts:
            raise ImageError(f"{_shown(written)} leads out of the folder of the data set")
        beside, above = self.file.parent / written, self.file.parent.parent / written
        return above if not beside.exists() and above.exists() else beside


def checked_choices(choices: tuple[str, ...], field: str) -> tuple[str, ...]:
    """`choices` if they can be lettered; raises `MalformedFieldError` for more than 26."""
    if len(choices) > MAX_CHOICES:
        raise MalformedFieldError(field, f"has {len(choices)} choices; {MAX_CHOICES} have letters")
    return choices


def checked_letter(letter: str, choices: tuple[str, ...], field: str) -> str:
    """`letter` if it names one of the choices; raises `MalformedFieldError` otherwise."""
    letters = [choice_letter(index) for index in range(len(choices))]
    if letter not in letters:
        raise MalformedFieldError(
            field, f"is {_shown(letter)}, which names none of {len(choices)} choices"
        )
    return letter


def _kind(value: object) -> str:
    names = {bool: "a truth value", int: "a number", float: "a number", str: "a text"}
    names |= {list: "a list", dict: "a mapping", bytes: "bytes", type(None): "null"}
    return names.get(type(value), f"a {type(value).__name__}")


def _shown(text: str) -> str:
    return repr(text if len(text) <= 60 else f"{text[:57]}...")
