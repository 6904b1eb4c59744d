"""MMStar (Chen et al., arXiv 2403.20330) as Lin-Chen/MMStar distributes it.

One split, `val`: 1,500 questions, 6 categories of 250 and 18 sub-axes. The options stand in the
question's text, as `Options: A: ..., B: ...` or, in questions taken from MathVista, as `Choices:`
with `(A) ...` on lines of their own. They are split off where that can be done in one way only;
elsewhere the text stays whole and the choices are the bare letters A to D that it speaks of.
"""

import re
from pathlib import Path

from catts.evals.benchmarks.item import Item
from catts.evals.benchmarks.loading import Loaded, load_items
from catts.evals.benchmarks.rows import Row, checked_letter
from catts.question import MAX_CHOICES, choice_letter

HUB_ID = "Lin-Chen/MMStar"

_COLUMNS = ("index", "question", "image", "answer", "category", "l2_category")
_LETTERS = ("A", "B", "C", "D")
_HEADING = re.compile(r"\n[ \t]*(?:Options|Choices):[ \t]*\n?")


def load_mmstar(
    source: str | Path = HUB_ID, split: str = "val", *, skip_malformed: bool = False
) -> Loaded:
    """The questions of MMStar; groups: category, l2_category, source (where a question is from).

    Args:
        source: a file, a folder, or a hub id.
        split: `val`, whose file on the hub is called `mmstar.parquet`.
        skip_malformed: leave malformed rows out and list them.

    Raises:
        BenchmarkError: see `catts.evals.benchmarks.loading.load_items`.
    """
    return load_items(
        source,
        (split, "mmstar") if split == "val" else (split,),
        _item,
        columns=_COLUMNS,
        optional=("meta_info",),
        skip_malformed=skip_malformed,
    )


def split_options(text: str) -> tuple[str, tuple[str, ...]] | None:
    """The question before its options, and the options; None where they cannot be told apart.

    After the last heading `Options:` or `Choices:`, options are labelled `A: ` or `(A) ` in order.
    A label that stands there twice, or out of order, leaves several ways to split, and so none.
    """
    headings = list(_HEADING.finditer(text))
    if not headings:
        return None
    stem, tail = text[: headings[-1].start()].strip(), text[headings[-1].end() :]
    for first, later in (("{}: ", ", {}: "), ("({}) ", "({}) ")):
        options = _labelled(tail, first, later)
        if options and stem:
            return stem, options
    return None


def _labelled(tail: str, first: str, later: str) -> tuple[str, ...]:
    rest, options = tail.removeprefix(first.format("A")), []
    if rest == tail:
        return ()
    labels = [later.format(choice_letter(index)) for index in range(MAX_CHOICES)]
    for label in labels[1:]:
        option, found, after = rest.partition(label)
        if not found:
            break
        options.append(option.strip())
        rest = after
    options.append(rest.strip())
    unclear = any(label in option for label in labels for option in options)
    return () if unclear or len(options) < 2 or not all(options) else tuple(options)


def _item(row: Row) -> Item:
    text, answer = row.text("question"), row.text("answer")
    letter = answer.strip().upper()
    question, choices = split_options(text) or (text.strip(), _LETTERS)
    if letter in _LETTERS[len(choices) :]:  # the split lost an option
        question, choices = text.strip(), _LETTERS
    meta = row.mapping("meta_info")
    groups = {"category": row.text("category"), "l2_category": row.text("l2_category")}
    if meta.get("source") is not None:
        groups["source"] = str(meta["source"])
    return Item(
        id=row.label("index"),
        question=question,
        choices=choices,
        images=(row.picture("image"),),
        answer=answer,
        question_type="multiple-choice",
        answer_letter=checked_letter(letter, choices, "answer"),
        groups=groups,
        origin=row.origin,
    )
