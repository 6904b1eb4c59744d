"""Write a page, as a whole or not at all."""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from catts.errors import ReportError
from catts.evals.pages.cards import Runs, Section
from catts.evals.pages.page import page
from catts.files import write_whole
from catts.records import Record


class Shown(Record):
    """One section of a page that was written."""

    kind: Literal["runs", "study"]
    title: str
    questions: int
    pictures: int = 0
    missing: int = 0
    """Pictures that were looked for and not found."""


class Written(Record):
    """A page that was written."""

    path: Path
    bytes: int
    sections: tuple[Shown, ...]


def write_page(sections: Sequence[Section], path: Path, title: str) -> Written:
    """Write the page of these sections to `path`; a reader meets the old file or the new one.

    Raises:
        ReportError: `path` cannot be written.
    """
    data = page(sections, title).encode()
    try:
        write_whole(path, data)
    except OSError as error:
        raise ReportError(f"cannot write {path}: {error.strerror}; choose another file") from error
    return Written(path=path, bytes=len(data), sections=tuple(map(_shown, sections)))


def _shown(section: Section) -> Shown:
    if isinstance(section, Runs):
        return Shown(
            kind="runs",
            title=section.title,
            questions=len(section.cards),
            pictures=sum(card.thumbnails for card in section.cards),
            missing=section.missing,
        )
    return Shown(kind="study", title=section.title, questions=section.made.questions)
