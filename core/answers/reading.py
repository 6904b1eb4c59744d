r"""One key for all the ways of writing an answer.

`canonical` is the key of an answer, so 2/4 and 0.5, (B) and the text of choice B, 1,000 and 1000,
`\frac{1}{3}` and 1/3, 12 and 12 cm, x = 3 and 3 are each one candidate. A unit or a left-hand side
is left out of it, since answers to one question differ in whether they write it, hardly in which
one; `catts.answers.keys` tells 5 minutes from 5 hours where both are said, and
`catts.answers.equivalent` 12 cm from 12 m and x = 3 from y = 3.
"""

import hashlib
import re
from fractions import Fraction
from typing import Literal, NamedTuple

from catts.answers.brackets import enclosed, split_list
from catts.answers.normalise import normalise
from catts.answers.numerals import (
    NUMBER_WORDS,
    PART_WORDS,
    PLURAL_PARTS,
    leading_number,
    show_number,
)
from catts.answers.units import CURRENCIES, repeats_question, unit_of
from catts.question import Question, choice_letter

MAX_ANSWER_CHARS = 1000
"""Longest answer that is read; a longer one stands for itself alone, under a digest."""

_PLAIN_INTEGER = re.compile(r"-?[1-9][0-9]{0,17}|0")
_SHARE = re.compile(
    rf"(?:(?P<whole>[a-z]+|\d+)\s+and\s+)?"
    rf"(?:(?P<an>an?)|one|(?P<count>\d+|{'|'.join(NUMBER_WORDS)}))[\s-]+"
    rf"(?P<part>{'|'.join(PART_WORDS)})",
    re.IGNORECASE,
)
_ASKS_SHARE = re.compile(
    r"\bhow (?:much|many)\b|fraction|portion|\bpart\b|\bshare\b", re.IGNORECASE
)
_LABEL = re.compile(r"(?:choice|option|answer)?\s*\(?\s*([A-Za-z])\s*[).:]?", re.IGNORECASE)
_LABEL_INSIDE = re.compile(r"(?<!\w)\(?([A-Za-z])\)")
_LABELLED = re.compile(r"\(\s*([A-Za-z])\s*\)\s*\S|([A-Za-z])\s*[).:]\s*\S")
_ASSIGNMENT = re.compile(r"(?P<name>[A-Za-z|∠\\][^=<>+*/^,!:\-]{0,30})=\s*(?P<value>[^=<>]+)")
_ASKS_EQUATION = re.compile(
    r"\b(?:equation|line|asymptote|curve|locus|function|graph|axis)\b", re.IGNORECASE
)
_ASKS_PERCENT = re.compile(r"percent|%", re.IGNORECASE)
_MATH = re.compile(
    r"[\\^_=+*/<>|√]|(?:\b[A-Za-z\d]|\))!|\d\s*:\s*\d|\d[A-Za-z]|[A-Za-z]\d|-\s*[A-Za-z\d]"
)
_PROSE = re.compile(r"(?<![A-Za-z\\])[A-Za-z]{3,}(?![A-Za-z])(?!\s*\()")
_SPACES = re.compile(r"(\\[A-Za-z]+(?= +[A-Za-z])|\^\d+(?=\s+\d))?\s+")
_ARTICLE = re.compile(r"^(?:the|an?(?! (?:and|or|[a-z])\b)) (?=\S)")
_TIME = re.compile(r"(\d{1,2}(?::\d{2})?)\s*([ap])\.?\s*m", re.IGNORECASE)
_JOINED = re.compile(r",\s+(?:and\s+|or\s+)?|\s+(?:and|or|&)\s+", re.IGNORECASE)


class Reading(NamedTuple):
    """What an answer says, apart from how it is written."""

    value: str
    """The canonical text."""
    kind: Literal["number", "math", "words"]
    """Whether it is one plain number, an expression for math-verify, or words."""
    number: Fraction | None = None
    """The number, exactly, when it is one."""
    unit: str = ""
    """Unit behind the number, empty when it had none."""
    name: str = ""
    """What stood left of `=`, empty when nothing did."""


def canonical(answer: str, question: Question) -> str:
    """The key of `answer` in `question`, its unit left out; applying it twice changes nothing.

    A choice's letter for a multiple-choice question (the answer itself, normalised, when it is
    none of the choices); otherwise a plain number (`0.5`, `1/3`), a list (`(1, 2)`), an expression
    without its blanks, or words in lower case. It never starts a process nor imports sympy, and is
    fast whatever the answer holds. Empty only for an answer of blanks and mark-up.

    A percentage is a hundredth (50% is 0.5), unless the question asks for percents.
    """
    return choice_of(answer, question) or read(answer, question).value


def choice_of(answer: str, question: Question) -> str | None:
    """The letter of the choice that `answer` names by label, by text or by value; None if none.

    A label wins over a text, so of choices 2, 4, 6, 8 the answer 4 is B, and of choices B, A the
    answer A is A. A value that fits two choices names neither.
    """
    if not question.choices or len(answer) > MAX_ANSWER_CHARS:
        return None
    value = read(answer, question).value
    return _choice(normalise(answer), value, question) or _choice(value, value, question)


def _choice(text: str, value: str, question: Question) -> str | None:
    label = _LABEL.fullmatch(text)
    if label and label[1].upper() in question.letters:
        return label[1].upper()
    plain = " ".join(text.casefold().split())
    for index, choice in enumerate(question.choices):
        if plain == " ".join(normalise(choice).casefold().split()):
            return choice_letter(index)
    values = [read(choice, question).value for choice in question.choices]
    fitting = [index for index, other in enumerate(values) if other == value]
    if value and fitting:
        return choice_letter(fitting[0]) if len(fitting) == 1 else None
    labelled = _LABELLED.match(text)
    letter = (labelled[1] or labelled[2]).upper() if labelled else ""
    if letter not in question.letters:
        return _letter_then_text(text, question)
    others = {other.upper() for other in _LABEL_INSIDE.findall(text)} - {letter}
    return None if others.intersection(question.letters) else letter


def _letter_then_text(text: str, question: Question) -> str | None:
    """`B 12 cm` and `B, 12 cm` name choice B only when 12 cm is its text."""
    letter, rest = text[:1].upper(), text[1:].lstrip(" ,-").strip()
    if letter not in question.letters or not rest or text[1:2] not in (" ", ",", "-"):
        return None
    choice = question.choices[question.letters.index(letter)]
    return letter if read(rest, question).value == read(choice, question).value else None


def asks_percent(question: Question) -> bool:
    """Whether the question or a choice speaks of percents, so that 50% may be written 50."""
    return any(_ASKS_PERCENT.search(text) for text in (question.text, *question.choices))


def read(answer: str, question: Question, *, percent_is_unit: bool | None = None) -> Reading:
    """Read a free answer (choices are not considered).

    `percent_is_unit` makes 50% the number 50 rather than 0.5; by default where the question asks
    for percents.
    """
    if _PLAIN_INTEGER.fullmatch(answer):
        return Reading(answer, "number", Fraction(answer))
    if len(answer) > MAX_ANSWER_CHARS:
        return _unread(answer)
    percent = asks_percent(question) if percent_is_unit is None else percent_is_unit
    reading = Reading(answer, "words")
    for _ in range(MAX_ANSWER_CHARS):
        again = _read_once(reading.value, question, percent)
        if len(again.value) > MAX_ANSWER_CHARS:
            return _unread(again.value)
        again = again._replace(unit=reading.unit or again.unit, name=reading.name or again.name)
        if again == reading:
            break
        reading = again
    return reading


def _unread(answer: str) -> Reading:
    digest = hashlib.sha256(answer.encode(errors="replace")).hexdigest()[:16]
    return Reading(f"unread answer {digest}", "words")


def _read_once(answer: str, question: Question, percent: bool) -> Reading:
    text, name = normalise(answer), ""
    text = text.removeprefix("=").strip()
    assignment = _ASSIGNMENT.fullmatch(text)
    if assignment and not _ASKS_EQUATION.search(question.text):
        text, name = assignment["value"].strip(), _plain_name(assignment["name"])
    quantity = _quantity(text, question.text, percent)
    if quantity is not None:
        number, unit = quantity
        return Reading(show_number(number), "number", number, unit, name)
    listed = _list(text)
    if listed is not None:
        return Reading(listed, "math", name=name)
    if _MATH.search(text) and not _PROSE.search(text) and not _TIME.fullmatch(text):
        return Reading(_tight(text), "math", name=name)
    return Reading(_words(text), "words", name=name)


def _plain_name(text: str) -> str:
    return "".join(char for char in text.casefold() if char.isalnum())


def _quantity(text: str, question: str, percent: bool) -> tuple[Fraction, str] | None:
    """A number with at most a unit, or with words that the question makes redundant."""
    share = _share(text, question)
    if share is not None:
        return share, ""
    first, _, rest = text.partition(" ")
    text = f"{NUMBER_WORDS.get(first.casefold(), first)} {rest}" if rest else first
    text = NUMBER_WORDS.get(text.casefold(), text)
    sign, bare = ("-", text[1:].lstrip()) if text.startswith("-") else ("", text)
    currency = bare[0] if bare[:1] and bare[0] in CURRENCIES else ""
    found = leading_number(f"{sign}{bare.removeprefix(currency)}")
    if found is None:
        return None
    number, tail = found
    rest = tail.strip()
    if not rest:
        return number, currency
    if rest.casefold() in ("%", "percent", "per cent", "pct", "percentage"):
        return (number, "") if percent else (number / 100, "")
    unit = unit_of(rest, spaced=tail[0].isspace())
    if unit is not None:
        return number, "" if unit == "unit" else unit
    if tail[0].isspace() and repeats_question(rest, question):
        return number, currency
    return None


def _share(text: str, question: str) -> Fraction | None:
    """`one half`, `3 quarters`, `2 and a half`.

    Several parts stand in the plural: `twenty-fifth` is a day. Where no share is asked for,
    `a third` and `a quarter` may be a place and a coin.
    """
    match = _SHARE.fullmatch(text)
    if match is None:
        return None
    whole, part = (match["whole"] or "0").casefold(), match["part"].casefold()
    whole = NUMBER_WORDS.get(whole, whole)
    if not whole.isdigit() or (match["count"] is None) == (part in PLURAL_PARTS):
        return None
    if match["an"] and not match["whole"] and part != "half" and not _ASKS_SHARE.search(question):
        return None
    count = (match["count"] or "1").casefold()
    return int(whole) + Fraction(int(NUMBER_WORDS.get(count, count)), PART_WORDS[part])


def _list(text: str) -> str | None:
    """A bracketed list with its elements canonical (a set sorted), or a bare list of numbers."""
    bare = text.replace(r"\{", "{").replace(r"\}", "}")
    if bare[:1] in ("(", "[", "{") and enclosed(bare):
        parts = [_element(part) for part in split_list(bare[1:-1])]
        if len(parts) > 1 and all(parts):
            if bare[0] == "{" and bare[-1] == "}":
                parts = sorted(set(parts))
            return f"{bare[0]}{', '.join(parts)}{bare[-1]}"
        return None
    for pieces in (_JOINED.split(text), text.split(",")):
        numbers = [leading_number(piece) for piece in pieces]
        if len(pieces) > 1 and all(found is not None and not found[1].strip() for found in numbers):
            return ", ".join(show_number(found[0]) for found in numbers if found is not None)
    return None


def _element(text: str) -> str:
    found = leading_number(text)
    if found is not None and not found[1].strip():
        return show_number(found[0])
    text = text.strip()
    return _tight(text) if _MATH.search(text) and not _PROSE.search(text) else _words(text)


def _tight(text: str) -> str:
    return _SPACES.sub(lambda match: f"{match[1]} " if match[1] else "", text)


def _words(text: str) -> str:
    time = _TIME.fullmatch(text)
    if time:
        return f"{time[1]} {time[2].lower()}m"
    text = " ".join(text.casefold().split())
    text = _ARTICLE.sub("", text.rstrip("!"))
    label = re.fullmatch(r"\(?([a-z])[).]", text)
    return label[1] if label else text
