r"""Find the answer that a completion gives.

In order: the last well-formed `\boxed{...}` after the thinking; the last phrase such as "the
answer is ..."; a reply that is nothing but an answer; and last, a box inside the thinking, for a
model that marked its answer there and then stopped. Nothing is searched by substring, and a text
in which nothing is marked has no answer.
"""

import re

from catts.answers.brackets import matching_braces
from catts.answers.reading import MAX_ANSWER_CHARS, canonical, choice_of
from catts.question import Question

MAX_TEXT_CHARS = 64_000
"""Only the end of a longer completion is read: answers stand at the end."""

_BOX = re.compile(r"\\(?:boxed|fbox)(?![A-Za-z])\s*")
_BARE_BOX = re.compile(r"[^\s{}$\\,;]{1,64}")
_BLANK = re.compile(r"(?:[\s._?…$~]|\\[cl]?dots|\\[,;:! ]|\\q?quad|\\(?:text|mathrm)\{\s*\})*")
_MARK = r"[*_`]{0,3}"
_PHRASE = re.compile(
    rf"\b(?:answer|(?:correct|right|best|final)\s(?:option|choice|result|value)){_MARK}"
    rf"(?:\s(?:to\sthe\squestion|here))?\s?(?::|=|is(?!\sn[o']t)\b|\bwould\sbe\b)"
    rf"{_MARK}:?\s{{0,4}}{_MARK}[ \t]{{0,4}}",
    re.IGNORECASE,
)
_COMPARES = "".join(
    rf"(?<!\b{word})" for word in ("twice", "half", "times", "same", "such", "many")
)
_REASON = re.compile(
    rf",?\s(?:because|since|so|which|due)\s|,\sas\s|{_COMPARES}\sas\s", re.IGNORECASE
)
_ABBREVIATED = "".join(
    rf"(?<!\b{word})" for word in ("St", "Mt", "Ft", "Dr", "Mr", "Mrs", "Ms", "vs")
)
_SENTENCE_END = re.compile(rf"(?:[;!?]|{_ABBREVIATED}\.)(?=\s|[*_`\"']*$)")
_LABEL_FIRST = re.compile(
    r"\(\s*(?P<a>[A-Za-z])\s*\)|(?P<b>[A-Z])(?=\s*(?:[).:,;]|$)|\s(?:because|since|as|which)\b)"
)
_LABEL_ALONE = re.compile(r"\(\s*([A-Za-z])\s*\)|(?<![\w(])([A-Z])\)")
_NUMBER_LIKE = re.compile(r"[$\\(\[{+\-−.]*\s*\d|\\[a-z]+\{")
_PHRASE_CHARS = 400
_MAX_PHRASE_WORDS = 6
_MAX_REPLY_WORDS = 2
_REPLY_CHARS = 80


def extract_answer(text: str, question: Question) -> str | None:
    r"""The answer in a completion, as it was written; None when none can be read.

    What is returned always has a key (`canonical`) that is not empty.

    Args:
        text: a completion, of any length and content; only its last 64,000 characters are read.
        question: decides whether letters are labels of choices.

    Of several boxes the last well-formed one counts; boxes that are blank, unclosed, or longer than
    1,000 characters are passed over. A box inside `<think>` counts only when nothing after it can
    be read. The time taken is linear in the text's length.
    """
    text = text[-MAX_TEXT_CHARS:]
    reply = _after_thinking(text)
    answer = (
        _last_box(reply)
        or _last_phrase(reply, question)
        or _whole_reply(reply, question)
        or _last_box(text)
    )
    return answer if answer and canonical(answer, question) else None


def _after_thinking(text: str) -> str:
    _, closed, after = text.rpartition("</think>")
    return after if closed else text.partition("<think>")[0]


def _last_box(text: str) -> str | None:
    braces = matching_braces(text)
    found: str | None = None
    end = 0
    for match in _BOX.finditer(text):
        if match.start() < end:
            continue
        start = match.end()
        if start in braces:
            content = text[start + 1 : braces[start]]
        else:
            bare = _BARE_BOX.match(text, start)
            content = bare.group().rstrip(".:)") if bare else ""
        if len(content) <= MAX_ANSWER_CHARS and not _BLANK.fullmatch(content):
            found, end = content.strip(), start + len(content)
    if found is not None and _BOX.match(found):
        return _last_box(found) or found
    return found


def _last_phrase(text: str, question: Question) -> str | None:
    for match in reversed(list(_PHRASE.finditer(text))):
        line = text[match.end() : match.end() + _PHRASE_CHARS].partition("\n")[0]
        if value := _phrase_value(line, question):
            return value
    return None


def _phrase_value(line: str, question: Question) -> str | None:
    value = _SENTENCE_END.split(_REASON.split(line.strip(), maxsplit=1)[0], maxsplit=1)[0]
    value = value.strip().strip("*_`").strip()
    if not value or len(value.split()) > _MAX_PHRASE_WORDS or _BLANK.fullmatch(value):
        value = ""
    if not question.choices:
        return value or None
    if value and choice_of(value, question):
        return value
    return _first_label(line.strip(), question) or value or None


def _first_label(line: str, question: Question) -> str | None:
    label = _LABEL_FIRST.match(line.lstrip("*_` "))
    letter = (label["a"] or label["b"]).upper() if label else None
    return letter if letter in question.letters else None


def _whole_reply(text: str, question: Question) -> str | None:
    reply = text.strip()
    if not reply or _BLANK.fullmatch(reply) or _BOX.search(reply):
        return None
    if question.choices:
        if len(reply) <= MAX_ANSWER_CHARS and choice_of(reply, question):
            return reply
        if letter := _first_label(reply, question):
            labels = {(a or b).upper() for a, b in _LABEL_ALONE.findall(reply)}
            return letter if labels <= {letter} else None
        labels = {(a or b).upper() for a, b in _LABEL_ALONE.findall(reply)}
        named = labels.intersection(question.letters)
        return named.pop() if len(named) == 1 else None
    if len(reply) > _REPLY_CHARS or "\n" in reply:
        return None
    if _NUMBER_LIKE.match(reply) and len(reply.split()) <= _MAX_PHRASE_WORDS:
        return reply
    return reply if len(reply.split()) <= _MAX_REPLY_WORDS else None
