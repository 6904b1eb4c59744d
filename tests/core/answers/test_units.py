"""Units behind a number, and the words of a question that an answer may repeat."""

import pytest

from catts.answers.units import CURRENCIES, repeats_question, unit_of


@pytest.mark.parametrize(
    ("text", "unit"),
    [
        ("cm", "cm"),
        ("centimetres", "cm"),
        ("CM.", "cm"),
        ("c m", "cm"),
        ("{cm}", "cm"),
        ("cm^2", "cm^2"),
        ("cm ^ {2}", "cm^2"),
        ("m^3", "m^3"),
        ("square feet", "ft^2"),
        ("sq ft", "ft^2"),
        ("cubic inches", "in^3"),
        ("cu m", "m^3"),
        ("square units", "unit^2"),
        ("units", "unit"),
        ("°", "deg"),
        ("degrees", "deg"),
        ("° C", "°c"),
        ("°F", "°f"),
        ("m/s^2", "m/s^2"),
        ("km/h", "km/h"),
        ("dollars", "$"),
        ("¢", "cent"),
        ("Ω", "ohm"),
    ],
)
def test_a_unit_by_its_names(text: str, unit: str) -> None:
    assert unit_of(text, spaced=True) == unit
    if len(text) > 1 or not text.isalpha():
        assert unit_of(text, spaced=False) == unit


@pytest.mark.parametrize(
    "text",
    ["", " ", "cars", "cm^4", "cm^", "kg^2", "square kg", "square", "sq", "cmm", "per cm", "°x",
     "centimetres" + " " * 20 + "x" * 20],
)  # fmt: skip
def test_what_is_no_unit(text: str) -> None:
    assert unit_of(text, spaced=True) is None


def test_one_letter_is_a_unit_only_behind_a_blank() -> None:
    assert (unit_of("m", spaced=True), unit_of("m", spaced=False)) == ("m", None)
    assert (unit_of("°", spaced=False), unit_of("$", spaced=False)) == ("deg", "$")


def test_a_long_text_is_no_unit_whatever_it_holds() -> None:
    longest = "square centimetres"
    assert unit_of(longest, spaced=True) == "cm^2"
    assert unit_of(" ".join("cm" * 21), spaced=True) is None


COUNT = "How many red cubes are there?"


@pytest.mark.parametrize(
    ("text", "question", "repeats"),
    [
        ("cubes", COUNT, True),
        ("red cubes", COUNT, True),
        ("very large red cubes", COUNT, True),
        ("very very large red cubes", COUNT, False),  # five words
        ("", COUNT, False),
        ("cubes, red", COUNT, False),
        ("cubes2", COUNT, False),
        ("million", COUNT, False),
        ("millions", COUNT, False),
        ("dozens of", COUNT, False),
        ("or more", COUNT, False),
        ("pm", COUNT, False),
        ("and a half", COUNT, False),
        ("Halves", COUNT, False),
        ("seven", COUNT, False),
        ("cubes", "What is the NUMBER of cubes?", True),
        ("cubes", "Count the cubes.", True),
        ("cubes", "Which cubes are red?", False),
        ("dogs", "Are there two dogs or two cats?", False),
        ("cubes", "What is the account?", False),
    ],
)
def test_words_that_repeat_the_question(text: str, question: str, repeats: bool) -> None:
    assert repeats_question(text, question) is repeats


def test_currencies_are_units() -> None:
    assert [unit_of(sign, spaced=False) for sign in CURRENCIES] == list(CURRENCIES)
