"""MMMU's official rule (its repository, `eval/eval_utils.py`): parse a reply, compare, else guess.

Multiple choice: strip `, . ! ? ; : '` from both ends, in this order, and look for `(B)`; without
one for ` B ` between blanks; without one, and in a reply of more than five words, for the texts of
the choices, in any case. Of several found the one that stands last wins. When nothing is found a
choice is drawn at random. Right when the letter is the gold letter.

Open: of each line the shortest end behind one of "could be", "so", "is", "thus", "therefore",
"final", "answer", "result" (and `=` in the last line) is a candidate, or else the whole reply; so
is every number in a candidate. Numbers are rounded to two decimals. Right when a number equals an
accepted one, or a candidate's text *contains* an accepted text.

Quirks: the article in ` A ` names choice A; containing makes "not yes" answer "yes"; the rule means
to split sentences before a capital, but on text already in lower case, so only lines are split; a
single character is accepted only beside a blank. The published random stream (seed 42) depends on
the order of all questions; give it as `rng` to repeat a published run, or let every item draw from
42 and its id, which no order, resume or repetition changes. Guesses are noted either way.
"""

import random
import re

from catts.evals.benchmarks.item import Item
from catts.evals.graders.grade import GUESSED, MAX_REPLY_CHARS, Grade, gold_of, letter_of

NAME = "mmmu official"
SEED = 42

_ENDS = ",.!?;:'"
_KEYS = ("could be ", "so ", "is ", "thus ", "therefore ", "final ", "answer ", "result ")
_TRIVIAL = (":", ",", ".", "!", "?", ";", "'")
_SHOWN_CHARS = 200

# As published, but a number starts where its digits do and takes them all: that finds the same and
# takes linear time, where the published patterns take quadratic time on long runs of digits.
_NUMBERS = (
    re.compile(r"-?\b\d{1,3}(?:,\d{3})+\b"),
    re.compile(r"-?(?<!\d)\d++(?:\.\d++)?+[eE][+-]?\d++"),
    re.compile(
        r"-?(?:(?<!\d)\d++\.\d++|\.\d++|(?<!\d)\d++\b)(?![eE][+-]?\d)(?![,\d])",
    ),
)


def official(item: Item, reply: str, rng: random.Random | None = None) -> Grade:
    """Grade a reply by MMMU's own rule; see the module.

    Args:
        item: a question of MMMU.
        reply: what was answered, of any length.
        rng: where guesses are drawn from; `random.Random(42)`, used for all items in the
            benchmark's order, repeats a published run.

    Raises:
        BenchmarkError: the item has no label.
    """
    gold, reply = gold_of(item), reply[-MAX_REPLY_CHARS:]
    if item.choices:
        letter = parse_choice(reply, item.choices)
        if letter is not None:
            return Grade(letter == letter_of(item), letter, NAME)
        letter = (rng or random.Random(f"{SEED}/{item.id}")).choice(item.text_question.letters)
        return Grade(letter == letter_of(item), letter, NAME, GUESSED)
    accepted = item.fields.get("answers")
    golds = accepted if isinstance(accepted, list) else [gold]
    values = [value for one in golds for value in _normalised(str(one))]
    candidates = parse_open(reply)
    right = any(_matches(candidate, values) for candidate in candidates)
    shown = "; ".join(str(candidate) for candidate in candidates).strip()[:_SHOWN_CHARS]
    return Grade(right, shown or None, NAME)


def parse_choice(reply: str, choices: tuple[str, ...]) -> str | None:
    """The letter of the choice that a reply names by the official rule; None where it guesses."""
    for character in _ENDS:
        reply = reply.strip(character)
    reply = f" {reply} "
    letters = [chr(ord("A") + index) for index in range(len(choices))]
    for form in ("({})", " {} "):
        found = {letter: reply.rfind(form.format(letter)) for letter in letters}
        if max(found.values()) >= 0:
            return _last(found)
    if len(reply.split()) > 5:
        low = reply.lower()
        found = {
            letter: low.rfind(choice.lower())
            for letter, choice in zip(letters, choices, strict=True)
        }
        if max(found.values()) >= 0:
            return _last(found)
    return None


def parse_open(reply: str) -> list[str | float]:
    """The candidates for an open answer in a reply, normalised, each once, in order."""
    texts = _key_texts(reply.strip().strip(".").lower())
    numbers = [number for text in texts for kind in _NUMBERS for number in kind.findall(text)]
    return list(dict.fromkeys(value for text in (*texts, *numbers) for value in _normalised(text)))


def _last(found: dict[str, int]) -> str:
    """The one that stands last; the first letter of those that stand there together."""
    return max(found, key=lambda letter: found[letter])


def _key_texts(reply: str) -> list[str]:
    lines = reply.split("\n")
    texts = []
    for number, line in enumerate(lines, start=1):
        keys = (*_KEYS, "=") if number == len(lines) else _KEYS
        ends = [line.rpartition(key)[2].strip() for key in keys if key in line]
        shortest = ""
        for end in ends:
            # an empty end gives way to the next one, as in the published loop
            if not shortest or len(end) < len(shortest):
                shortest = end
        if shortest and shortest not in _TRIVIAL:
            texts.append(shortest)
    return texts or [reply]


def _normalised(text: str) -> list[str | float]:
    """A number rounded to two decimals, or text in lower case; one character gets its blanks."""
    text = text.strip()
    try:
        return [round(float(text.replace(",", "")), 2)]
    except ValueError:
        low = text.lower()
        return [f" {low}", f"{low} "] if len(low) == 1 else [low]


def _matches(candidate: str | float, accepted: list[str | float]) -> bool:
    if isinstance(candidate, float):
        return candidate in accepted
    return any(isinstance(value, str) and value in candidate for value in accepted)
