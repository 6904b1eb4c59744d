"""One key for each candidate among the answers to a question, units told apart."""

from collections.abc import Collection, Iterable
from typing import NamedTuple

from catts.answers.extraction import extract_answer
from catts.answers.reading import choice_of, read
from catts.answers.units import refines, units_agree
from catts.question import Question


class Found(NamedTuple):
    """What a completion says."""

    said: str | None
    """The answer as it was written; None when none can be read."""
    key: str | None
    """The key of its votes beside the other completions; None with `said`."""


def read_together(texts: Iterable[str], question: Question) -> list[Found]:
    """The answers of completions of one question, each with its key beside the others."""
    said = [extract_answer(text, question) for text in texts]
    keys = AnswerKeys(question, said)
    return [Found(words, None if words is None else keys.key(words)) for words in said]


class AnswerKeys:
    """Keys under which answers to one question collect votes, given what its samples said.

    An answer joins the candidate that it does not contradict. A number written with no unit, or
    with the one unit that the samples write on it, is one candidate under `canonical`: 5 and 5
    minutes are `5`. Where the samples write two units on one number they are two candidates,
    `5 min` and `5 h`, and a bare 5 is a third, since it could be either. The keys depend on the
    samples alone, so no order in which roles answer changes one.
    """

    def __init__(self, question: Question, answers: Iterable[str | None]) -> None:
        """Read what the samples of `question` said; None for one that said nothing readable."""
        self._question = question
        self._units: dict[str, set[str]] = {}
        for answer in answers:
            if answer is not None and choice_of(answer, question) is None:
                reading = read(answer, question)
                self._units.setdefault(reading.value, set()).add(reading.unit)

    def key(self, answer: str) -> str:
        """The key of an answer of a sample, of a role, or of the gold answer."""
        letter = choice_of(answer, self._question)
        if letter is not None:
            return letter
        reading = read(answer, self._question)
        seen = self._units.get(reading.value, set())
        unit = _finest(reading.unit, seen)
        kinds = {_finest(other, seen) for other in seen}
        if not unit or (len(kinds) == 1 and units_agree(unit, *kinds)):
            return reading.value
        return f"{reading.value} {unit}"


def _finest(unit: str, seen: Collection[str]) -> str:
    """The unit that `unit` can only mean among those seen; itself when it could mean several."""
    finer = {_finest(other, seen) for other in seen if refines(other, unit)}
    return finer.pop() if len(finer) == 1 else unit
