"""MathVision, also called MATH-V (Wang et al., arXiv 2402.14804), as MathLLMs/MathVision has it.

Splits: `test`, 3,040 questions (1,532 multiple choice, 1,508 free), and `testmini`, 304. Also read:
the repository's jsonl beside its `images/`.

A multiple-choice gold answer is a letter. In 384 questions the options are bare letters that are
drawn in the picture; they stay choices "A" to "E". A question may speak of several images
(`<image1>`, `<image2>`), which are all in its one picture, and a free answer may be a letter: both
stay as they are.
"""

from pathlib import Path

from catts.evals.benchmarks.item import Item
from catts.evals.benchmarks.loading import Loaded, load_items
from catts.evals.benchmarks.rows import Row, checked_letter

HUB_ID = "MathLLMs/MathVision"

_COLUMNS = ("id", "question", "options", "answer", "level", "subject", "image")


def load_mathvision(
    source: str | Path = HUB_ID, split: str = "test", *, skip_malformed: bool = False
) -> Loaded:
    """The questions of MathVision; groups: level, subject, question_type.

    Args:
        source: a file, a folder, or a hub id.
        split: `test` or `testmini`; a file is read whatever the split.
        skip_malformed: leave malformed rows out and list them.

    Raises:
        BenchmarkError: see `catts.evals.benchmarks.loading.load_items`.
    """
    return load_items(
        source,
        (split,),
        _item,
        columns=_COLUMNS,
        optional=("decoded_image",),
        skip_malformed=skip_malformed,
    )


def _item(row: Row) -> Item:
    choices, answer = row.texts("options"), row.text("answer")
    question_type = "multiple-choice" if choices else "free-form"
    return Item(
        id=row.label("id"),
        question=row.text("question"),
        choices=choices,
        images=(row.picture("decoded_image", "image"),),
        answer=answer,
        question_type="multiple-choice" if choices else "free-form",
        answer_letter=checked_letter(answer, choices, "answer") if choices else None,
        groups={
            "level": row.label("level"),
            "subject": row.text("subject"),
            "question_type": question_type,
        },
        origin=row.origin,
    )
