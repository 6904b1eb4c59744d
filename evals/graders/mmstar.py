"""MMStar's official rule (its repository, `eval/vlmeval/evaluate/mmstar.py`): first characters.

Reply and gold are stripped, in lower case, line breaks as blanks. The reply is right when the gold
letter is its first character, its second behind `(`, its eighth behind `option `, or its fifteenth
behind `the answer is `.

Quirks: nothing looks at what follows, so "A cat sits there" answers A and "Because ..." answers B;
a reply that reasons first is wrong, whatever it ends with. The score is the micro average.
"""

from catts.evals.benchmarks.item import Item
from catts.evals.graders.grade import Grade, letter_of

NAME = "mmstar official"

_OPENINGS = ("", "(", "option ", "the answer is ")


def official(item: Item, reply: str) -> Grade:
    """Grade a reply by MMStar's own rule; see the module.

    `parsed` is the first letter of a choice that the rule looks at.

    Raises:
        BenchmarkError: the item has no label.
    """
    gold = letter_of(item).lower()
    start = reply.strip()[:64].lower().replace("\n", " ")
    seen = [
        start[len(opening)]
        for opening in _OPENINGS
        if start.startswith(opening) and len(start) > len(opening)
    ]
    if gold in seen:
        return Grade(True, gold.upper(), NAME)
    letters = [letter.lower() for letter in item.text_question.letters]
    parsed = next((character.upper() for character in seen if character in letters), None)
    return Grade(False, parsed, NAME)
