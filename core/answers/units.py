"""Units that answers carry behind a number, and the words of a question that it may repeat."""

import re

from catts.answers.numerals import NUMBER_WORDS, PART_WORDS

_NAMES: dict[str, str] = {
    "mm": "mm millimeter millimeters millimetre millimetres",
    "cm": "cm centimeter centimeters centimetre centimetres",
    "m": "m meter meters metre metres",
    "km": "km kilometer kilometers kilometre kilometres",
    "in": "in inch inches",
    "ft": "ft foot feet",
    "yd": "yd yard yards",
    "mi": "mi mile miles",
    "mg": "mg milligram milligrams",
    "g": "g gram grams",
    "kg": "kg kilogram kilograms",
    "lb": "lb lbs",
    "pound": "pound pounds",
    "oz": "oz ounce ounces",
    "ml": "ml milliliter milliliters millilitre millilitres",
    "l": "l liter liters litre litres",
    "s": "s sec secs second seconds",
    "min": "min mins minute minutes",
    "h": "h hr hrs hour hours",
    "day": "day days",
    "week": "week weeks",
    "month": "month months",
    "year": "year years yr yrs",
    "n": "n newton newtons",
    "j": "j joule joules",
    "w": "w watt watts",
    "v": "v volt volts",
    "a": "a amp amps ampere amperes",
    "pa": "pa pascal pascals",
    "hz": "hz hertz",
    "ohm": "ohm ohms Ω",
    "k": "k kelvin",
    "°c": "°c celsius",
    "°f": "°f fahrenheit",
    "rad": "rad rads radian radians",
    "deg": "° deg degree degrees",
    "m/s": "m/s mps",
    "m/s^2": "m/s^2",
    "km/h": "km/h kmh kph",
    "mph": "mph",
    "$": "$ dollar dollars usd",
    "€": "€ euro euros eur",
    "£": "£ gbp",
    "¥": "¥ yen jpy yuan",
    "cent": "¢ cent cents",
    "unit": "unit units",
}
_UNITS = {alias: unit for unit, aliases in _NAMES.items() for alias in aliases.lower().split()}
_LENGTHS = ("mm", "cm", "m", "km", "in", "ft", "yd", "mi", "unit")
_POWERS = (("square", 2), ("sq", 2), ("cubic", 3), ("cu", 3))
_FINER: dict[str, tuple[str, ...]] = {
    "deg": ("°c", "°f"),
    "pound": ("lb", "£"),
    "unit^2": tuple(f"{length}^2" for length in _LENGTHS if length != "unit"),
    "unit^3": tuple(f"{length}^3" for length in _LENGTHS if length != "unit"),
}
"""Units that leave open which of some others they mean."""
_CHANGING = frozenset(
    {"hundred", "thousand", "million", "billion", "trillion", "dozen", "pair", "percent"}
    | {"couple", "score", "double", "lakh", "crore", "squared", "cubed", "factorial"}
    | {"k", "m", "bn", "am", "pm", "bc", "ad"}
    | PART_WORDS.keys()
    | NUMBER_WORDS.keys()
    | {"and", "or", "to", "out", "than", "more", "less", "fewer", "least", "most", "not", "no"}
    | {"plus", "minus", "times", "time", "as", "over", "under", "per"}
)
"""Words (without the s of a plural) behind a number that make it another one."""
_WORD = re.compile(r"[^\W\d_]+")
_COUNTING = re.compile(r"\bhow many\b|\bnumber of\b|\bcount\b", re.IGNORECASE)
_LONGEST = 40

CURRENCIES = "$€£¥"
"""Signs that stand before their number."""


def unit_of(text: str, spaced: bool) -> str | None:
    """The unit that `text` names, such as `cm`, `cm^2` or `deg`; None when it names none.

    A unit of one letter counts only when it is `spaced` from its number: 5m may be algebra.
    """
    name = " ".join(text.lower().replace("{", "").replace("}", "").split()).rstrip(".")
    if not name or len(name) > _LONGEST or (len(name) == 1 and name.isalpha() and not spaced):
        return None
    name = name.replace("° ", "°")
    for word, power in _POWERS:
        base = _UNITS.get(name.removeprefix(word + " ")) if name.startswith(word + " ") else None
        if base in _LENGTHS:
            return f"{base}^{power}"
    base, _, exponent = name.replace(" ", "").partition("^")
    if exponent in ("2", "3") and _UNITS.get(base) in _LENGTHS:
        return f"{_UNITS[base]}^{exponent}"
    return _UNITS.get(name, _UNITS.get(name.replace(" ", "")))


def refines(unit: str, other: str) -> bool:
    """Whether `unit` is one of several that `other` may mean; empty, no unit written, may be any.

    `20 °C` refines both `20 degrees` and `20`.
    """
    return unit != other and (not other or unit in _FINER.get(other, ()))


def units_agree(unit: str, other: str) -> bool:
    """Whether numbers with these two units (empty: none written) can mean the same."""
    return unit == other or refines(unit, other) or refines(other, unit)


def repeats_question(text: str, question: str) -> bool:
    """Whether the words behind a number only say what the question counts: `3` of `3 red cubes`.

    True when the question asks for a count and gets a noun of up to four words. Words that change
    the number (`million`, `pm`, `or more`, `and a half`) never pass, and other questions keep all
    of them: of dogs and cats, `two dogs` and `two cats` are two answers.
    """
    words = text.lower().split()
    if not words or len(words) > 4 or not all(_WORD.fullmatch(word) for word in words):
        return False
    if _CHANGING.intersection((*words, *(word.removesuffix("s") for word in words))):
        return False
    return _COUNTING.search(question) is not None
