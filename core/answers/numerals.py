"""Plain numbers as answers write them: read exactly, within bounds, and shown in one form."""

import re
from fractions import Fraction

_UP_TO_TWENTY = (
    *("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"),
    *("eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen"),
    *("nineteen", "twenty"),
)
NUMBER_WORDS = {word: str(number) for number, word in enumerate(_UP_TO_TWENTY)}
"""`three` to `3`."""
_PARTS = (
    *(("third", 3), ("quarter", 4), ("fourth", 4), ("fifth", 5), ("sixth", 6), ("seventh", 7)),
    *(("eighth", 8), ("ninth", 9), ("tenth", 10), ("twelfth", 12), ("hundredth", 100)),
)
PART_WORDS = {"half": 2, "halves": 2} | {name + s: n for name, n in _PARTS for s in ("", "s")}
"""`thirds` to 3."""
PLURAL_PARTS = frozenset(word for word in PART_WORDS if word.endswith("s"))

_MAX_CHARS = 120
_MAX_EXPONENT = 60
_MAX_MAGNITUDE = 10**100
_MAX_DECIMALS = 12
_ROUNDED_DIGITS = 6

_DECIMAL = r"(?:(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d*)?|\.\d+)"
_SIGNED = rf"[+-]?\s*{_DECIMAL}"
_TEN_TO = r"10\s*\^\s*(?:\{\s*(?P<%s>[+-]?\d{1,3})\s*\}|(?P<%s>[+-]?\d{1,3}))"
_NUMBER = re.compile(
    rf"""\s*(?P<sign>[+-]?)\s*(?:
      (?P<whole>\d+)\s*\\frac\s*\{{\s*(?P<mn>\d+)\s*\}}\s*\{{\s*(?P<md>\d+)\s*\}}
    | (?P<whole2>\d+)\s+(?P<mn2>\d+)\s*/\s*(?P<md2>\d+)
    | \\frac\s*\{{\s*(?P<fn>{_SIGNED})\s*\}}\s*\{{\s*(?P<fd>{_SIGNED})\s*\}}
    | \\frac\s*(?P<n1>\d)\s*(?P<d1>\d)
    | (?P<n>{_DECIMAL})\s*/\s*(?P<d>{_DECIMAL})
    | {_TEN_TO % ("p1", "p2")}
    | (?P<m>{_DECIMAL})(?:
          [eE](?P<e>[+-]?\d{{1,3}})
        | \s*(?:\\times|\\cdot|\*)\s*{_TEN_TO % ("e1", "e2")}
      )?
    )""",
    re.VERBOSE | re.ASCII,
)


def leading_number(text: str) -> tuple[Fraction, str] | None:
    r"""The number that `text` starts with, and what follows it; None when it starts with none.

    Understood are signs, thousands separators, decimals, powers of ten, fractions (`1/2`,
    `\frac{1}{2}`) and mixed numbers. Numbers out of bounds (more than 120 characters, exponents
    beyond 60) are not read, so that reading stays cheap whatever a model writes.
    """
    match = _NUMBER.match(text)
    if match is None or match.end() > _MAX_CHARS:
        return None
    part = {name: value for name, value in match.groupdict().items() if value is not None}
    try:
        value = _value(part)
    except ZeroDivisionError:
        return None
    if value is None or max(abs(value.numerator), value.denominator) >= _MAX_MAGNITUDE:
        return None
    return (-value if part["sign"] == "-" else value), text[match.end() :]


def _value(part: dict[str, str]) -> Fraction | None:
    whole = part.get("whole") or part.get("whole2")
    if whole is not None:
        rest = Fraction(int(part.get("mn") or part["mn2"]), int(part.get("md") or part["md2"]))
        return int(whole) + rest
    top, bottom = (part.get(k1) or part.get(k2) or part.get(k3) for k1, k2, k3 in _FRACTION_PARTS)
    if top is not None and bottom is not None:
        return _decimal(top) / _decimal(bottom)
    exponent = int(next((part[k] for k in ("e", "e1", "e2", "p1", "p2") if k in part), "0"))
    if abs(exponent) > _MAX_EXPONENT:
        return None
    return _decimal(part.get("m", "1")) * Fraction(10) ** exponent


_FRACTION_PARTS = (("fn", "n1", "n"), ("fd", "d1", "d"))


def _decimal(text: str) -> Fraction:
    plain = re.sub(r"[,\s]", "", text)
    return Fraction(f"{plain}0" if plain.endswith(".") else plain)


def show_number(value: Fraction) -> str:
    """`12`, `-0.5` or `1/3`: a decimal when it ends within 12 places, else a reduced fraction."""
    places = _decimal_places(value)
    if places is None or places > _MAX_DECIMALS:
        return f"{value.numerator}/{value.denominator}"
    if places == 0:
        return str(value.numerator)
    digits = str(abs(value.numerator) * 10**places // value.denominator).rjust(places + 1, "0")
    return f"{'-' if value < 0 else ''}{digits[:-places]}.{digits[-places:]}"


def same_number(a: Fraction, b: Fraction) -> bool:
    """Whether two numbers are equal, or one is the other rounded to six or more digits.

    So 0.333333 is 1/3, as math-verify has it, but 0.33 is not, and 1e-7 is not 2e-7.
    """
    return a == b or _is_rounding_of(a, b) or _is_rounding_of(b, a)


def _is_rounding_of(rounded: Fraction, exact: Fraction) -> bool:
    places = _decimal_places(rounded)
    if not places:
        return False
    digits = abs(rounded.numerator) * 10**places // rounded.denominator
    return len(str(digits)) >= _ROUNDED_DIGITS and round(exact, places) == rounded


def _decimal_places(value: Fraction) -> int | None:
    twos = fives = 0
    rest = value.denominator
    while rest % 2 == 0:
        rest, twos = rest // 2, twos + 1
    while rest % 5 == 0:
        rest, fives = rest // 5, fives + 1
    return max(twos, fives) if rest == 1 else None
