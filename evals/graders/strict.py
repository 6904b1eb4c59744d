"""The strict grader, one for all benchmarks: what a person would call right, and no guessing.

The answer is the one that the reply marks (`catts.answers.extract_answer`); a reply that marks none
is wrong and counted as unparsed. A choice is right by its letter, its text or its value, a free
answer when it means the same as the gold answer (`catts.answers.equivalent`, with math-verify).
Where a benchmark distributes its gold answer rounded, an answer that rounds to it is right too.
"""

from catts.answers import equivalent, extract_answer
from catts.answers.numerals import show_number
from catts.answers.reading import choice_of, read
from catts.evals.benchmarks.item import Item
from catts.evals.graders.grade import Grade, gold_of, letter_of

NAME = "strict"


def strict(item: Item, reply: str) -> Grade:
    """Grade a reply; see the module.

    Blocks for up to about a second for a free answer that needs algebra: in an event loop, call it
    through `asyncio.to_thread`.

    Raises:
        BenchmarkError: the item has no label.
        CattsError: the process that compares answers could not be started.
    """
    return judge(item, extract_answer(reply, item.text_question))


def judge(item: Item, answer: str | None) -> Grade:
    """Grade an answer that has been found in a reply, None where none is marked; see `strict`."""
    gold = gold_of(item)
    if answer is None:
        return Grade(False, None, NAME, "no answer is marked")
    if item.choices:
        return _choice(item, answer)
    accepted = item.fields.get("answers")
    golds = accepted if isinstance(accepted, list) else [gold]
    for one in map(_mended, map(str, golds)):
        if equivalent(answer, one, item.text_question):
            return Grade(True, answer, NAME)
    rounded = _rounded(item, answer)
    if rounded is not None and equivalent(rounded, gold, item.text_question):
        return Grade(True, answer, NAME, f"rounded to {rounded}")
    return Grade(False, answer, NAME)


def _choice(item: Item, answer: str) -> Grade:
    letter = choice_of(answer, item.text_question)
    if letter is None:
        return Grade(False, answer, NAME, "names no choice")
    letters, right = item.text_question.letters, letter_of(item)
    # MathVision has questions in which two options read the same
    same_text = item.choices[letters.index(letter)] == item.choices[letters.index(right)]
    return Grade(letter == right or same_text, letter, NAME)


def _mended(gold: str) -> str:
    r"""MathVision has gold answers in which the `\f` of `\frac` was read as a form feed."""
    return gold.replace("\frac", r"\frac")


def _rounded(item: Item, answer: str) -> str | None:
    """A number rounded to the decimal places that MathVista gives for the item, its unit kept."""
    places = item.fields.get("precision")
    reading = read(answer, item.text_question)
    if not isinstance(places, int) or reading.number is None:
        return None
    return f"{show_number(round(reading.number, places))} {reading.unit}".strip()
