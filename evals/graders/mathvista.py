"""MathVista's official rule (its repository, `evaluation/`): extract, normalise, compare as text.

1. A reply that is itself a choice, an integer (asked for one) or a float (asked for one) is the
   extraction; an empty one extracts nothing. From every other reply a language model extracts the
   answer: the paper's GPT-4, so results depend on it. Here it is an `Extraction`, whose name is
   part of the grader's name. `RULES`, the default, needs no model: it reads `The answer is "...".`,
   the repository's quick rule, and else what `catts.answers.extract_answer` finds.
2. Normalise. Multiple choice: the first `(x)` of one letter, in upper case, else the whole text;
   when that is a letter of a choice, its choice, otherwise the choice at the least edit distance,
   the first of several. Integer: cut off behind the point, "3.9" is 3. Float: rounded to the item's
   precision, "0.5" and "0.50" are 0.5. List: the text as it is.
3. Right when that equals the gold text, character by character.

Quirks: a multiple-choice reply always answers something, and an empty extraction answers the choice
with the shortest text (noted as guessed here); "(d)" in the words of an extraction counts as D;
numbers with a unit, a `%` or a thousands separator are none; a float's gold must be written as
Python writes it ("1.0", not "1"); a list is right only with the gold's blanks and brackets.
"""

import re
from collections.abc import Callable
from typing import NamedTuple

from catts.answers import extract_answer
from catts.evals.benchmarks.item import Item
from catts.evals.graders.edit_distance import edit_distance
from catts.evals.graders.grade import GUESSED, MAX_REPLY_CHARS, Grade, gold_of

_LETTER = re.compile(r"\(([a-zA-Z])\)")
_QUICK = 'The answer is "'
_MAX_COMPARED = 1000
"""Characters of an extraction that go into an edit distance; one that is longer is no answer."""


class Extraction(NamedTuple):
    """The step that finds the answer in a reply; the paper's is a language model."""

    name: str
    """Stands in the grader's name, since the result depends on it."""
    extract: Callable[[Item, str], str]
    """From an item (its official prompt is `fields["query"]`) and a reply to the answer's text,
    empty when there is none."""


def _by_rules(item: Item, reply: str) -> str:
    # the quick rule is r'The answer is "(.*)"\.' on one line; searched so, it takes linear time
    for line in reply.split("\n"):
        start = line.find(_QUICK)
        end = line.rfind('".')
        if start >= 0 and end >= start + len(_QUICK):
            return line[start + len(_QUICK) : end]
    return extract_answer(reply, item.text_question) or ""


RULES = Extraction("rules", _by_rules)
"""Without a language model."""


def official(item: Item, reply: str, extraction: Extraction = RULES) -> Grade:
    """Grade a reply by MathVista's own rule; see the module.

    Raises:
        BenchmarkError: the item has no label.
        Exception: whatever `extraction` raises.
    """
    gold = gold_of(item)
    name = f"mathvista official (extraction: {extraction.name})"
    extracted = _extracted(item, reply[-MAX_REPLY_CHARS:], extraction)
    if item.choices:
        parsed, note = _nearest_choice(extracted, item.choices)
        return Grade(parsed == gold, parsed, name, note)
    parsed_value = _value(extracted, item)
    return Grade(parsed_value == gold, parsed_value, name)


def _extracted(item: Item, reply: str, extraction: Extraction) -> str:
    if not reply or reply in item.choices:
        return reply
    answer_type = item.fields.get("answer_type")
    try:
        if answer_type == "integer":
            return str(int(reply))
        if answer_type == "float":
            return str(float(reply))
    except ValueError:
        pass
    return extraction.extract(item, reply)


def _nearest_choice(extracted: str, choices: tuple[str, ...]) -> tuple[str, str]:
    """The choice that an extraction stands for, and a note when it did not name it."""
    text = extracted.strip()
    letter = _LETTER.search(text)
    if letter:
        text = letter[1].upper()
    if len(text) == 1 and 0 <= (index := ord(text) - ord("A")) < len(choices):
        return choices[index], ""
    distances = [edit_distance(text[:_MAX_COMPARED], choice) for choice in choices]
    nearest = choices[distances.index(min(distances))]
    if not text:
        return nearest, GUESSED
    return nearest, "" if nearest == text else f"nearest choice, {min(distances)} edits away"


def _value(extracted: str, item: Item) -> str | None:
    try:
        if item.fields.get("answer_type") == "integer":
            return str(int(float(extracted)))
        if item.fields.get("answer_type") == "float":
            precision = item.fields.get("precision")
            return str(round(float(extracted), precision if isinstance(precision, int) else 0))
    except (ValueError, OverflowError):
        return None
    return extracted or None
