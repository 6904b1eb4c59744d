"""MathVista (Lu et al., arXiv 2310.02255) as AI4Math/MathVista distributes it.

Splits: `testmini`, 1,000 questions (540 multiple choice, 460 free), and `test`, 5,141 without
labels. Also read: the repository's json (a mapping of problems by id) beside its `images/`.

The graph builds its own prompt from a question and its choices, so an item's question is `question`
with its unit, written as the official prompt writes it; that prompt itself, `query`, which also
asks for a format of the answer, is kept in `fields`. A multiple-choice gold answer is a text.
"""

from pathlib import Path

from catts.evals.benchmarks.item import Item, Json
from catts.evals.benchmarks.loading import Loaded, load_items
from catts.evals.benchmarks.rows import MalformedFieldError, Row
from catts.question import choice_letter

HUB_ID = "AI4Math/MathVista"

_COLUMNS = ("pid", "question", "image", "choices", "unit", "precision", "answer", "question_type")
_OPTIONAL = ("decoded_image", "metadata", "query")
_ANSWER_TYPES = ("text", "integer", "float", "list")
_GROUPS = ("source", "category", "task", "context", "grade", "language")


def load_mathvista(
    source: str | Path = HUB_ID, split: str = "testmini", *, skip_malformed: bool = False
) -> Loaded:
    """The questions of MathVista.

    Groups: question_type, answer_type, source, category, task, context, grade, language. Fields:
    answer_type, precision (decimal places of a float, None otherwise), unit, query, skills.

    Args:
        source: a file, a folder, or a hub id.
        split: `testmini` or `test`; a file is read whatever the split.
        skip_malformed: leave malformed rows out and list them.

    Raises:
        BenchmarkError: see `catts.evals.benchmarks.loading.load_items`.
    """
    return load_items(
        source,
        (split, f"annot_{split}"),
        _item,
        columns=(*_COLUMNS, "answer_type"),
        optional=_OPTIONAL,
        skip_malformed=skip_malformed,
    )


def _item(row: Row) -> Item:
    asked = row.one_of("question_type", ("multi_choice", "free_form"))
    answer_type = row.one_of("answer_type", _ANSWER_TYPES)
    question, unit = row.text("question"), row.optional_text("unit")
    choices = row.texts("choices") if asked == "multi_choice" else ()
    answer = row.optional_text("answer") or None
    letter = None
    if asked == "multi_choice":
        if not choices:
            raise MalformedFieldError("choices", "is empty in a multiple-choice question")
        if answer is not None:
            if answer not in choices:
                raise MalformedFieldError("answer", "is none of the choices")
            letter = choice_letter(choices.index(answer))
    metadata = row.mapping("metadata")
    groups = {"question_type": asked, "answer_type": answer_type}
    groups |= {name: str(metadata[name]) for name in _GROUPS if metadata.get(name) is not None}
    return Item(
        id=row.label("pid"),
        question=f"{question} (Unit: {unit})" if unit else question,
        choices=choices,
        images=(row.picture("decoded_image", "image"),),
        answer=answer,
        question_type="multiple-choice" if asked == "multi_choice" else "free-form",
        answer_letter=letter,
        groups=groups,
        fields={
            "answer_type": answer_type,
            "precision": _precision(row, answer_type),
            "unit": unit or None,
            "query": row.optional_text("query") or None,
            "skills": metadata.get("skills"),
        },
        origin=row.origin,
    )


def _precision(row: Row, answer_type: str) -> Json:
    precision = row.number_or_none("precision")
    if precision is None:
        if answer_type == "float":
            raise MalformedFieldError("precision", "is missing for a float answer")
        return None
    if not precision.is_integer() or not 0 <= precision <= 15:
        raise MalformedFieldError("precision", f"is {precision:g}, not a number of decimal places")
    return int(precision)
