"""One way of writing: Unicode, LaTeX mark-up and wrappers of an answer brought to a plain form.

Nothing here decides what an answer means; `catts.answers.reading` does.
"""

import re

from catts.answers.brackets import enclosed

_CHARACTERS = str.maketrans(
    {
        **dict.fromkeys("−–‒﹣－", "-"),
        **dict.fromkeys("\u00a0\u2002\u2003\u2009\u202f\u3000~\t\n\r", " "),
        **dict.fromkeys("\u200b\u200c\u200d\u2060\ufeff", None),
        **dict.fromkeys("“”„", '"'),
        **dict.fromkeys("‘’", "'"),
        **dict.fromkeys("≈≃", "="),
        **{chr(0xFF01 + i): chr(0x21 + i) for i in range(94) if chr(0x21 + i) not in "-~"},
        "×": r"\times ",
        "·": r"\cdot ",
        "÷": "/",
        "⁄": "/",
        "π": r"\pi ",
        "∞": r"\infty ",
        "≤": r"\le ",
        "≥": r"\ge ",
        "±": r"\pm ",
        "∪": r"\cup ",
        "∈": r"\in ",
        "²": "^2",
        "³": "^3",
        "º": "°",
        "½": " 1/2",
        "¼": " 1/4",
        "¾": " 3/4",
        "⅓": " 1/3",
        "⅔": " 2/3",
    }
)
_COMMAND = re.compile(
    r"\\(?:text|textbf|textit|textrm|mathrm|mathbf|mathit|mathsf|operatorname|mbox|boxed|fbox)"
    r"\s*(?=\{)"
)
_TEXT = re.compile(_COMMAND.pattern + r"\{([^{}]*)\}")
_PLAIN: tuple[tuple[re.Pattern[str], str], ...] = tuple(
    (re.compile(pattern), replacement)
    for pattern, replacement in (
        (r"\\(?:left|right|[bB]igg?[lr]?|displaystyle|limits)(?![A-Za-z])", ""),
        (r"\\[dtc]frac(?![A-Za-z])", r"\\frac"),
        (r"(?<=\d)(?:\\[,!]|\{,\})(?=\d{3})", ","),
        (r"(?<!\\)\\[,;:! ]|\\q?quad(?![A-Za-z])", " "),
        (r"\^\s*(?:\{\s*\\circ\s*\}?|\\circ)|\\degree(?![A-Za-z])|\\circ(?![A-Za-z])", "°"),
        (r"\\(?:approx|simeq)(?![A-Za-z])", "="),
        (r"\\(?:dots|ldots|cdots)(?![A-Za-z])", "..."),
        (r"\\%", "%"),
        (r"\*\*(?=\s*[-\w({])", "^"),
        (r"(?<![A-Za-z\\])pi(?![A-Za-z])", r"\\pi "),
        (r"√\s*\(([^()]*)\)|√\s*(\d+|[A-Za-z])", r"\\sqrt{\1\2}"),
        (r"(?<![A-Za-z\\])sqrt\s*\(([^()]*)\)", r"\\sqrt{\1}"),
    )
)
_WRAPPERS = (("**", "**"), ("__", "__"), ("`", "`"), ('"', '"'), ("'", "'"), (r"\(", r"\)"))


def normalise(text: str) -> str:
    r"""`text` without mark-up: `$\dfrac{1}{2}$.` becomes `\frac{1}{2}`, `**(12)**` becomes `12`.

    Applying it twice changes nothing more. Case, words and their order stay.
    """
    previous = None
    while previous != text:
        previous = text
        text = _once(text)
    return text


def _once(text: str) -> str:
    text = text.translate(_CHARACTERS)
    text = _unwrapped(_TEXT.sub(r" \1 ", text).strip())
    text = _without_dollars(text)
    for pattern, replacement in _PLAIN:
        text = pattern.sub(replacement, text)
    return " ".join(text.split()).rstrip(".,;:").strip()


def _unwrapped(text: str) -> str:
    command = _COMMAND.match(text)
    if command and enclosed(text[command.end() :]):
        return text[command.end() + 1 : -1]
    for opening, closing in (*_WRAPPERS, (r"\[", r"\]")):
        inner = text[len(opening) : -len(closing)]
        if (
            len(text) > len(opening) + len(closing)
            and text.startswith(opening)
            and text.endswith(closing)
            and opening not in inner
        ):
            return inner
    if text[:1] in ("(", "{") and text.endswith(")" if text[0] == "(" else "}") and enclosed(text):
        inner = text[1:-1]
        if inner.strip() and "," not in inner:
            return inner
    return text


def _without_dollars(text: str) -> str:
    r"""`$` in pairs are math mode; `\$` and a single one are money."""
    kept = text.replace(r"\$", "\ue000")
    if kept.count("$") % 2 == 0:
        kept = kept.replace("$", "")
    return kept.replace("\ue000", "$")
