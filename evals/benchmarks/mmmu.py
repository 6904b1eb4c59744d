"""MMMU (Yue et al., arXiv 2311.16502) as MMMU/MMMU distributes it: 30 subjects, a folder each.

Splits: `dev` 150, `validation` 900, `test` 10,500 without labels (their answer is `?`). Also read:
the merged form, all subjects in the same files.

`options` is the source text of a Python list, and so is the answer to an open question that accepts
several. Question and options say `<image 1>` to `<image 7>`: an item has the images that they
name, in the order in which they first name them, and where that changes an image's number its marks
are changed with it. A question that names none has all images of its row.
"""

import ast
import re
from pathlib import Path

from catts.evals.benchmarks.item import Item
from catts.evals.benchmarks.loading import Loaded, load_items
from catts.evals.benchmarks.rows import (
    MalformedFieldError,
    Row,
    checked_choices,
    checked_letter,
)

HUB_ID = "MMMU/MMMU"

DISCIPLINES: dict[str, tuple[str, ...]] = {
    "Art and Design": ("Art", "Art_Theory", "Design", "Music"),
    "Business": ("Accounting", "Economics", "Finance", "Manage", "Marketing"),
    "Science": ("Biology", "Chemistry", "Geography", "Math", "Physics"),
    "Health and Medicine": (
        "Basic_Medical_Science",
        "Clinical_Medicine",
        "Diagnostics_and_Laboratory_Medicine",
        "Pharmacy",
        "Public_Health",
    ),
    "Humanities and Social Science": ("History", "Literature", "Sociology", "Psychology"),
    "Tech and Engineering": (
        "Agriculture",
        "Architecture_and_Engineering",
        "Computer_Science",
        "Electronics",
        "Energy_and_Power",
        "Materials",
        "Mechanical_Engineering",
    ),
}
"""The six disciplines and their 30 subjects."""

MAX_IMAGES = 7

_DISCIPLINE = {subject: name for name, subjects in DISCIPLINES.items() for subject in subjects}
_IMAGES = tuple(f"image_{number}" for number in range(1, MAX_IMAGES + 1))
_COLUMNS = ("id", "question", "options", *_IMAGES, "answer", "question_type")
_TYPES = ("multiple-choice", "open", "short-answer")
_MARK = re.compile(r"<image (\d{1,2})>")
_ID = re.compile(r"(?:dev|validation|test)_(?P<subject>\w+)_\d+")
_MAX_LITERAL = 20_000


def load_mmmu(
    source: str | Path = HUB_ID, split: str = "validation", *, skip_malformed: bool = False
) -> Loaded:
    """The questions of MMMU.

    Groups: discipline, subject, subfield, question_type, topic_difficulty. Fields: answers, the
    texts that an open question accepts (None otherwise).

    Args:
        source: a file, a folder (such as one subject's), or a hub id.
        split: `dev`, `validation` or `test`; a file is read whatever the split.
        skip_malformed: leave malformed rows out and list them.

    Raises:
        BenchmarkError: see `catts.evals.benchmarks.loading.load_items`.
    """
    return load_items(
        source,
        (split,),
        _item,
        columns=_COLUMNS,
        optional=("subfield", "topic_difficulty"),
        skip_malformed=skip_malformed,
    )


def _item(row: Row) -> Item:
    several = row.one_of("question_type", _TYPES) == "multiple-choice"
    question, choices = row.text("question"), _options(row) if several else ()
    answer = _answer(row)
    letter = None
    if several and not choices:
        raise MalformedFieldError("options", "is empty in a multiple-choice question")
    if several and answer is not None:
        letter = checked_letter(answer, choices, "answer")
    answers = None if several or answer is None else list(_answers(answer))
    images, (question, *texts) = _images(row, (question, *choices))
    subject = _subject(row)
    groups = {"discipline": _DISCIPLINE[subject], "subject": subject}
    groups["question_type"] = "multiple-choice" if several else "open"
    for name in ("subfield", "topic_difficulty"):
        if value := row.optional_text(name):
            groups[name] = value
    return Item(
        id=row.text("id"),
        question=question,
        choices=tuple(texts),
        images=tuple(row.picture(name) for name in images),
        answer=answer,
        question_type="multiple-choice" if several else "free-form",
        answer_letter=letter,
        groups=groups,
        fields={"answers": answers},
        origin=row.origin,
    )


def _subject(row: Row) -> str:
    """The folder's name, or what stands in the id where the subjects are merged."""
    folder = row.file.parent.name
    if folder in _DISCIPLINE:
        return folder
    found = _ID.fullmatch(row.text("id"))
    if found is None or found["subject"] not in _DISCIPLINE:
        raise MalformedFieldError("id", "names no subject, and neither does the file's folder")
    return found["subject"]


def _options(row: Row) -> tuple[str, ...]:
    if isinstance(row.values.get("options"), list):
        return row.texts("options")
    options = _literal_list(row.optional_text("options") or "[]")
    if options is None:
        raise MalformedFieldError("options", "is not the text of a Python list of texts")
    return checked_choices(options, "options")


def _answer(row: Row) -> str | None:
    """The gold answer; None for `?`, which the test split writes, and for an empty one."""
    value = row.values.get("answer")
    text = str(value) if isinstance(value, list) else row.optional_text("answer")
    return None if text.strip() in ("", "?") else text


def _answers(answer: str) -> tuple[str, ...]:
    if answer.startswith("[") and answer.endswith("]"):
        return _literal_list(answer) or (answer,)
    return (answer,)


def _literal_list(text: str) -> tuple[str, ...] | None:
    """A list of texts and numbers from its source text, as texts; None for anything else.

    Only literals are read, never code, and only up to a length, since parsing takes memory.
    """
    if len(text) > _MAX_LITERAL:
        return None
    try:
        value = ast.literal_eval(text)
    except (ValueError, SyntaxError, TypeError, RecursionError, MemoryError):
        return None
    if not isinstance(value, list):
        return None
    if not all(isinstance(entry, str | int | float) for entry in value):
        return None
    return tuple(str(entry) for entry in value)


def _images(row: Row, texts: tuple[str, ...]) -> tuple[list[str], list[str]]:
    """The columns of the images that `texts` name, in order, and the texts with fitting marks."""
    named: dict[int, None] = {}
    for text in texts:
        for mark in _MARK.finditer(text):
            number = int(mark[1])
            if not 1 <= number <= MAX_IMAGES:
                raise MalformedFieldError("question", f"names image {number} of {MAX_IMAGES}")
            named[number] = None
    if not named:
        held = [name for name in _IMAGES if row.values.get(name) is not None]
        return held or [_IMAGES[0]], list(texts)
    place = {number: index for index, number in enumerate(named, start=1)}
    fitting = [_MARK.sub(lambda mark: f"<image {place[int(mark[1])]}>", text) for text in texts]
    return [f"image_{number}" for number in named], fitting
