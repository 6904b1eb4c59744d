"""Untrusted text and numbers on their way into a page."""

import html
import json
import math

LONGEST = 10_000
"""Characters of one text that the page keeps; models that do not stop write far more."""

_TAIL = 2_000
_JOINERS = "\u200c\u200d"
"""Not printable by Unicode, but part of how several scripts and pictographs are spelt."""


def clean(text: str) -> str:
    """The text without characters that steer a terminal, reverse a line or are no text at all.

    Lone surrogates are among them: they could not be written. Line breaks stay. Of a text that is
    too long its beginning and its end, which holds the answer, are kept.
    """
    if len(text) > LONGEST:
        left_out = len(text) - LONGEST
        text = (
            f"{text[: LONGEST - _TAIL]}\n[... {left_out:,} characters left out; the trace has "
            f"them ...]\n{text[-_TAIL:]}"
        )
    return "".join(
        c if c.isprintable() or c == "\n" or c in _JOINERS else " " if c.isspace() else "\ufffd"
        for c in text
    )


def escape(text: str) -> str:
    """Cleaned text for the body or a quoted attribute of HTML and SVG."""
    return html.escape(clean(text))


def to_json(data: object) -> str:
    """JSON for a script element: no text in it can end the element or open a comment."""
    dumped = json.dumps(data, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return dumped.replace("<", "\\u003c")


def number(value: float, digits: int = 3) -> str:
    """A number with so many decimals, a true minus, and infinities as people write them."""
    if math.isnan(value):
        return "not a number"
    if math.isinf(value):
        return "∞" if value > 0 else "−∞"
    return f"{round(value, digits) + 0.0:.{digits}f}".replace("-", "−")  # + 0.0: never -0.000


def short(value: float) -> str:
    """A number with three significant digits."""
    return f"{value:.3g}".replace("-", "−") if math.isfinite(value) else number(value)


def finite(value: float) -> float:
    """The number for drawing a length, 0 where it has none: JSON knows no infinities."""
    return value if math.isfinite(value) else 0.0
