r"""MathVision's official rule (its repository, `evaluation/`): find the answer, compare decimals.

1. Find. A reply that ends in ` B.` or ` (B).`, or starts with a line `B`, `(B)` or `(B) B`, answers
   B; one whose text behind the last `is ` is a number answers that. Without a `\boxed`, what stands
   behind the last "the final answer is", "the answer is", "the correct answer is", "the answer
   should be" counts, up to the end of its line or to `. `; of several boxes the last, up to the
   last `}` of the reply. What stands behind the last `=` or `\approx` is kept.
2. Clean, in lower case: without blanks, `\text`, degrees, `units`, `km`, `m^3`, dollars, `\%`;
   `\sqrt2` becomes `\sqrt{2}`, 3/4 becomes `\frac{3}{4}`, (b) and {b} become b.
3. Right when that equals the gold answer or the text of the gold choice: as text in any case, as a
   list of values, or as values that round to the same two decimals.

Quirks: a number behind the last `is ` wins over a box; 0.333 and 1/3 agree, and so do 3.141 and
3.144; units other than those named stay and make a text of a number; a text after the box can spoil
it (`\boxed{\frac{1}{2}} ... }`); fractions without braces are mended only beside a root; in a
multiple-choice question the letter and the choice's text both count.

Difference to the published code, which runs `eval` on what latex2sympy makes of the reply: here
`catts.evals.graders.latex_value` finds the value, so expressions beyond its grammar (sums,
integrals, matrices, logarithms to a base) have none and are wrong, and values in a list compare as
numbers, 2 and 2.0 being one, rather than as their printed text.
"""

from catts.evals.benchmarks.item import Item
from catts.evals.graders.grade import MAX_REPLY_CHARS, Grade, gold_of
from catts.evals.graders.latex_value import latex_value

NAME = "mathvision official"

_PHRASES = ("the final answer is", "the answer is", "the correct answer is", "the answer should be")
_REMOVED = (" ", r"\,")
# In the published order; what stands there twice is done twice, since one removal may make another.
_CLEANED = (
    ("∞", r"\infty"),
    (r"+\infty", r"\infty"),
    (r"\\", "\\"),
    ("\n", ""),
    (r"\text", ""),
    (r"\mbox", ""),
    ("bmatrix", "pmatrix"),
    (r"\left", ""),
    (r"\right", ""),
    (r"^{\circ}", ""),
    (r"^\circ", ""),
    ("{m}^3", ""),
    ("m^3", ""),
    ("{units}", ""),
    ("units", ""),
    ("{km}", ""),
    ("km", ""),
    (r"\!", ""),
    (r"\\", "\\"),
    ("tfrac", "frac"),
    ("dfrac", "frac"),
    (r"\left", ""),
    (r"\right", ""),
    (r"^{\circ}", ""),
    (r"^\circ", ""),
    (r"\$", ""),
    ("$", ""),
    (r"\%", ""),
    ("{.", "{0."),
)
_MAX_LIST = 100


def official(item: Item, reply: str) -> Grade:
    """Grade a reply by MathVision's own rule; see the module.

    Raises:
        BenchmarkError: the item has no label.
    """
    golds = [gold_of(item)]
    if item.choices and item.answer_letter is not None:
        golds.append(item.choices[item.text_question.letters.index(item.answer_letter)])
    answer = find_answer(reply[-MAX_REPLY_CHARS:])
    right = any(same_answer(gold, answer) for gold in golds)
    return Grade(right, answer or None, NAME)


def find_answer(reply: str) -> str:
    """What the official rule takes for the answer in a reply, cleaned; empty for nothing."""
    text = _option_or_number(reply.strip())
    boxes = text.count("oxed{")
    if not boxes:
        text = _behind_phrases(text)
    elif boxes > 1:
        text = r"\boxed{" + text.rpartition("oxed{")[2]
    cleaned = _cleaned(_box_content(text.lower().replace("{}", "")))
    for letter in "abcde":
        cleaned = cleaned.replace(f"({letter})", letter)
    for letter in "abcde":
        cleaned = cleaned.replace(f"{{{letter}}}", letter)
    return cleaned.rstrip(".").lstrip(":").strip()


def same_answer(gold: str, answer: str) -> bool:
    """Whether two answers agree by the official rule; symmetric."""
    gold, answer = gold.lower(), answer.lower()
    if not gold.strip(" ") or not answer.strip(" "):
        return False
    if gold.strip() == answer.strip():
        return True
    listed = _list_values(gold)
    if listed is not None:
        return listed == _list_values(answer)
    left, right = latex_value(gold), latex_value(answer)
    return left is not None and right is not None and round(left, 2) == round(right, 2)


def _option_or_number(text: str) -> str:
    for letter in "ABCDE":
        ends = (f" {letter}.", f" ({letter}).")
        starts = (f"{letter}\n", f"({letter})\n", f"({letter}) {letter}\n")
        if text.endswith(ends) or text.startswith(starts):
            text = letter
    last = text.rpartition("is ")[2].rstrip(".")
    try:
        float(last)
    except ValueError:
        return text
    return last


def _behind_phrases(text: str) -> str:
    for phrase in _PHRASES:
        for written in (phrase, phrase.replace("the", "The")):
            _, found, behind = text.rpartition(written)
            text = behind.strip()
            if found:
                text = text.split("\n", 1)[0].split(". ", 1)[0]
    return text


def _box_content(text: str) -> str:
    start, end = text.find("oxed{"), text.rfind("}")
    content = text[start + 5 : end] if start >= 0 and end >= start + 5 else text
    closing, opening = content.find("}"), content.find("{")
    if closing >= 0 and (opening < 0 or closing < opening):
        content = content[:closing]
    return content.rpartition("=")[2].rpartition(r"\approx")[2]


def _cleaned(text: str) -> str:
    for removed in _REMOVED:
        text = text.replace(removed, "")
    for old, new in _CLEANED:
        text = text.replace(old, new)
    if text.startswith("."):
        text = f"0{text}"
    if "sqrt" in text:
        text = _braced_fractions(_braced_roots(text))
    if text == "0.5":
        return r"\frac{1}{2}"
    return _slash_as_fraction(text)


def _braced_roots(text: str) -> str:
    first, *rest = text.split(r"\sqrt")
    return first + "".join(
        r"\sqrt" + (part if part[:1] in ("", "{") else f"{{{part[0]}}}{part[1:]}") for part in rest
    )


def _braced_fractions(text: str) -> str:
    first, *rest = text.split(r"\frac")
    mended = [first]
    for part in rest:
        if part.startswith("{"):
            mended.append(part)
        elif len(part) < 2:
            return text
        elif part[1] == "{":
            mended.append(f"{{{part[0]}}}{part[1:]}")
        else:
            mended.append(f"{{{part[0]}}}{{{part[1]}}}{part[2:]}")
    return r"\frac".join(mended)


def _slash_as_fraction(text: str) -> str:
    top, slash, bottom = text.partition("/")
    try:
        if slash and text == f"{int(top)}/{int(bottom)}":
            return rf"\frac{{{top}}}{{{bottom}}}"
    except ValueError:
        pass
    return text


def _list_values(text: str) -> tuple[str, tuple[float | int | str, ...]] | None:
    """The bracket and the rounded values of `(a, b)` or `[a, b]`; None for anything else.

    Elements `a`, `-a` and with `infty` stay text, as published; one without a value makes it no
    list.
    """
    parts = text[1:-1].split(",")
    if text[:1] + text[-1:] not in ("()", "[]") or not 1 < len(parts) <= _MAX_LIST:
        return None
    values: list[float | int | str] = []
    for part in parts:
        if "infty" in part or part in ("a", "-a"):
            values.append(part)
            continue
        value = latex_value(part)
        if value is None:
            return None
        values.append(round(value, 2))
    return text[0], tuple(values)
