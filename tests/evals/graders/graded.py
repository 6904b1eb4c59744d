"""Items to be graded, without pictures."""

from typing import Any

from catts.evals.benchmarks.item import Item


def free(answer: str | None, question: str = "What is the value?", **fields: Any) -> Item:
    return Item("q1", question, (), (), answer, "free-form", fields=fields)


def several(choices: list[str], letter: str | None, answer: str | None = None) -> Item:
    """A multiple-choice item; its gold is the letter unless a text is given."""
    gold = letter if answer is None else answer
    question = "Which is it?"
    return Item("q1", question, tuple(choices), (), gold, "multiple-choice", answer_letter=letter)
