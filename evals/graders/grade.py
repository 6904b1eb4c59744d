"""A grade, and accuracy with what it hides: replies that could not be read, and lucky guesses."""

from collections.abc import Iterable
from dataclasses import dataclass

from catts.errors import BenchmarkError
from catts.evals.benchmarks.item import Item

MAX_REPLY_CHARS = 64_000
"""Only the end of a longer reply is graded, as `catts.answers.extract_answer` reads it."""

GUESSED = "guessed"
"""The note of a grade whose answer the rule made up, since it found none in the reply."""


@dataclass(frozen=True, slots=True)
class Grade:
    """What a grader says of one reply."""

    right: bool
    parsed: str | None
    """The answer that the grader read, as it compared it; None when it read none."""
    grader: str
    """Its name, with the name of the extraction where one is part of the rule."""
    note: str = ""
    """What a reader of the grade should know, such as `GUESSED`."""


@dataclass(frozen=True, slots=True)
class Tally:
    """Accuracy over grades, with the counts that qualify it."""

    n: int
    right: int
    unparsed: int
    """Replies in which no answer was found."""
    guessed: int
    """Replies for which the rule made up an answer; some of them count as right."""

    @property
    def accuracy(self) -> float:
        """Share of right ones, in [0, 1]; raises ZeroDivisionError when nothing was graded."""
        return self.right / self.n


def tally(grades: Iterable[Grade]) -> Tally:
    """Count grades; the micro average, which all four benchmarks report as their score."""
    given = list(grades)
    return Tally(
        n=len(given),
        right=sum(grade.right for grade in given),
        unparsed=sum(grade.parsed is None for grade in given),
        guessed=sum(grade.note == GUESSED for grade in given),
    )


def gold_of(item: Item) -> str:
    """The item's gold answer.

    Raises:
        BenchmarkError: it has none.
    """
    if item.answer is None:
        raise BenchmarkError(
            f"{item.id} has no label, so nothing can be graded: take a split with labels, or hand "
            "the answers in where the benchmark is hosted"
        )
    return item.answer


def letter_of(item: Item) -> str:
    """The letter of the right choice; raises BenchmarkError where there is no label."""
    gold = gold_of(item)
    return gold if item.answer_letter is None else item.answer_letter


def voted_answer(item: Item, key: str | None, text: str | None) -> str | None:
    """What graders get of a vote's winner: a choice's letter, else the answer as it was written.

    Rules read "(B) 12 cm" otherwise than "B", and wrongly where the text names another letter.

    Args:
        item: the question.
        key: the winner's key, as in `Trace.answer`; None when there is no answer.
        text: the same for people, as in `Trace.answer_text`.
    """
    return key if item.choices and key in item.text_question.letters else text
