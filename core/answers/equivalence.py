"""Whether two answers mean the same: at once where reading is enough, else by math-verify."""

import logging
import re
from typing import Literal, NamedTuple

from catts.answers.brackets import nesting_depth
from catts.answers.extraction import extract_answer
from catts.answers.math_process import MATH
from catts.answers.numerals import same_number
from catts.answers.reading import Reading, asks_percent, choice_of, read
from catts.answers.units import units_agree
from catts.errors import AnswerTimeoutError
from catts.question import Question

_log = logging.getLogger(__name__)

_MAX_CHARS = 400
_MAX_DEPTH = 24
_TOO_LARGE = re.compile(
    r"\^\s*\{?\s*[+-]?\d{4,}"  # powers
    r"|\d{4,}\s*\}?\)?\s*!"  # factorials
    r"|\d\s*\}?\s*\^\s*[{(]*\s*\d+\s*[)}]*\s*\^"  # towers of powers
    r"|\d{120,}"
)
_TRIGONOMETRY = re.compile(r"\\(?:sin|cos|tan|cot|sec|csc)(?![a-z])")
_ANGLE = re.compile(r"(\d+(?:\.\d+)?)°")


class Comparison(NamedTuple):
    """Whether two answers are equal, how that was decided, and what kept it from being decided."""

    equal: bool
    method: Literal["canonical", "math_verify"]
    """`canonical` when reading the answers was enough, `math_verify` when algebra was asked for."""
    failure: str | None = None
    """Why the answers could not be compared (time, memory, size); they then count as different."""


def is_correct(text: str, gold: str, question: Question) -> bool:
    """Whether the completion `text` answers `question` with `gold`: the R_output of the reward.

    False when the text holds no readable answer. May block for about a second; see `equivalent`.
    """
    answer = extract_answer(text, question)
    return answer is not None and equivalent(answer, gold, question)


def equivalent(answer: str, gold: str, question: Question) -> bool:
    """Whether two answers to `question` mean the same; symmetric, and true of an answer and itself.

    Plain numbers, choices and words are compared at once. Expressions go to math-verify in a worker
    process that is allowed a second of CPU time and 1 GiB; beyond that the answers count as
    different, and a warning is logged (`compare` returns the reason instead). Safe in threads; it
    blocks, so an event loop should call it through `asyncio.to_thread`.

    Raises:
        CattsError: the worker process could not be started.
    """
    comparison = compare(answer, gold, question)
    if comparison.failure is not None:
        _log.warning("%s; they count as different", comparison.failure)
    return comparison.equal


def compare(answer: str, gold: str, question: Question) -> Comparison:
    """Like `equivalent`, with how it was decided.

    Two units or two left-hand sides that differ make answers different (12 cm and 12 m, x = 3 and
    y = 3), one that only one answer has does not, nor one that may mean the other (20 degrees and
    20 °C). Where the question asks for percents, 50% equals
    both 50 and 0.5; elsewhere only 0.5. Sets ignore order, tuples and intervals do not, and a
    decimal equals a fraction when it rounds it to six or more digits.
    """
    if answer == gold:
        return Comparison(True, "canonical")
    left, right = choice_of(answer, question), choice_of(gold, question)
    if left and right:
        return Comparison(left == right, "canonical")
    answer, gold = _choice_text(answer, left, question), _choice_text(gold, right, question)
    readings = [
        (read(answer, question, percent_is_unit=unit), read(gold, question, percent_is_unit=unit))
        for unit in ((True, False) if asks_percent(question) else (False,))
    ]
    if any(_differ_in_name(a, b) for a, b in readings):
        return Comparison(False, "canonical")
    if any(_same(a, b) for a, b in readings):
        return Comparison(True, "canonical")
    a, b = readings[0]
    if "words" in (a.kind, b.kind) or a.kind == b.kind == "number":
        return Comparison(False, "canonical")
    return _by_algebra(a, b)


def _choice_text(answer: str, letter: str | None, question: Question) -> str:
    return answer if letter is None else question.choices[question.letters.index(letter)]


def _differ_in_name(a: Reading, b: Reading) -> bool:
    return not units_agree(a.unit, b.unit) or len({a.name, b.name} - {""}) > 1


def _same(a: Reading, b: Reading) -> bool:
    if a.number is not None and b.number is not None:
        return same_number(a.number, b.number)
    return a.value == b.value


def _by_algebra(a: Reading, b: Reading) -> Comparison:
    left, right = _for_parser(a), _for_parser(b)
    try:
        for text in (left, right):
            if len(text) > _MAX_CHARS or nesting_depth(text) > _MAX_DEPTH:
                raise AnswerTimeoutError("an answer is too long or too deeply nested to compare")
            if _TOO_LARGE.search(text):
                raise AnswerTimeoutError("an answer holds a power or number too large to compare")
        return Comparison(MATH.equal(left, right), "math_verify")
    except AnswerTimeoutError as error:
        return Comparison(False, "math_verify", str(error))


def _for_parser(reading: Reading) -> str:
    r"""The value as LaTeX: a set's braces are characters there, `\{1, 2\}`, an angle has its size.

    The parser takes `30^\circ` for 30, as a bare angle may be written; a sine must not.
    """
    text = reading.value
    if text.startswith("{") and text.endswith("}"):
        text = rf"\{{{text[1:-1]}\}}"
    if _TRIGONOMETRY.search(text):
        text = _ANGLE.sub(r"(\\frac{\1\\pi}{180})", text)
    return text.replace("%", r"\%").replace("°", r"^\circ")
