"""Ways of writing that are one candidate, and those that are not."""

import subprocess
import sys
import time
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from catts.answers import canonical
from catts.answers.reading import MAX_ANSWER_CHARS, Reading, read
from catts.question import Question

FREE = Question(text="What is the value?")
PERCENT = Question(text="What percentage of the disc is shaded?")
LINE = Question(text="What is the equation of the line?")
COUNT = Question(text="How many red cubes are there?")
PIZZA = Question(text="How much of the pizza is left?")
EITHER = Question(text="Are there two dogs or two cats?")
COLOUR = Question(text="Which?", choices=("Red circle", "blue square", "1/2", "30%"))
NUMBERS = Question(text="Which number?", choices=("2", "4", "6", "8"))
LETTERS = Question(text="Which point?", choices=("B", "A", "P"))
LENGTHS = Question(text="How long?", choices=("12 cm", "12 m", "13 cm"))

ONE_CANDIDATE: list[tuple[Question, str, list[str]]] = [
    (FREE, "0.5", ["2/4", "1/2", ".5", "0.50", r"\frac{1}{2}", r"\dfrac12", "50%", r"50\%", "½"]),
    (
        FREE,
        "0.5",
        [r"$\frac{2}{4}$", r"\(0.5\)", "**0.5**", r"\boxed{\frac{1}{2}}", "+0.5", "5e-1"],
    ),
    (FREE, "1/3", [r"\tfrac{1}{3}", "2/6", "1 / 3", r"\frac 13"]),
    (
        FREE,
        "1000",
        ["1,000", "1{,}000", "1000.0", "1e3", "10^3", r"10^{3}", r"1\times 10^3", "1000."],
    ),
    (FREE, "-3", ["−3", "- 3", "–3", "(-3)", r"$-3$", "-3.0"]),
    (FREE, "1.5", ["1 1/2", r"1\frac{1}{2}", "1½", "3/2"]),
    (
        FREE,
        "12",
        ["12 cm", "12cm", r"12\text{ cm}", "12 m", "twelve", "x = 12", "AB=12", "$12", "12."],
    ),
    (FREE, "45", ["45°", r"45^\circ", r"45^{\circ}", "45 degrees", r"45\degree"]),
    (FREE, "red", ["Red", "RED.", " red ", r"\text{red}", '"red"', "the red", "Red!"]),
    (FREE, "red circle", ["A red  circle", "the Red Circle."]),
    (FREE, "b", ["B", "(B)", "b)", "B."]),
    (FREE, "(1, 2)", ["(1,2)", "(1.0, 4/2)", r"\left(1, 2\right)"]),
    (FREE, "{1, 2}", [r"\{2, 1\}", "{1,2}", r"\{1, 2, 2\}"]),
    (FREE, "1, 2", ["1,2", "1 and 2", "1, and 2"]),
    (FREE, r"2\pi", ["2π", r"2 \pi", "2pi"]),
    (FREE, r"\sqrt{2}", ["√2", "sqrt(2)", r"$\sqrt{2}$"]),
    (FREE, "7:30 pm", ["7:30 PM", "7:30 p.m.", "7:30pm"]),
    (PERCENT, "50", ["50%", "50", "50 percent", r"50\%"]),
    (LINE, "x=3", ["x = 3", "$x=3$"]),
    (PIZZA, "0.5", ["one half", "a half", "1/2", "one-half", "50%", "One half."]),
    (PIZZA, "1/3", ["one third", "a third", "2/6"]),
    (PIZZA, "0.75", ["three quarters", "three fourths", "three-quarters", "3 quarters"]),
    (COUNT, "3.5", ["3 and a half", "three and a half", "3 1/2"]),
    (COUNT, "3", ["three", "3 red cubes", "3 cubes", "three red cubes", "3 objects"]),
    (
        COLOUR,
        "A",
        ["A", "(a)", "a.", "Red circle", "red circle", "the red circle", "A. Red circle"],
    ),
    (COLOUR, "C", ["1/2", "0.5", r"\frac{1}{2}", "(C) 0.5"]),
    (COLOUR, "D", ["30%", "30", "d)", r"30\%"]),
    (NUMBERS, "B", ["4", "B", "4.0", "four", "(B)", "B: 4", "option B", "B, 4"]),
    (LETTERS, "A", ["A", "a", "(A)"]),  # a label wins over a choice's text
    (LENGTHS, "A", ["12 cm", "A", "12 CM"]),
    (LENGTHS, "12", ["12", "12.0"]),  # fits two choices, so it is neither
]

TWO_CANDIDATES: list[tuple[Question, str, str]] = [
    (FREE, "12", "112"),
    (FREE, "1/3", "0.33"),
    (FREE, "3", "-3"),
    (FREE, "0.5", "50"),
    (FREE, "(1, 2)", "(2, 1)"),
    (FREE, "[0, 1)", "[0, 1]"),
    (FREE, "listen", "silent"),
    (FREE, "7 am", "7 pm"),
    (FREE, "3 million", "3"),
    (FREE, r"\Delta", r"\delta"),
    (FREE, "2m", "2"),  # algebra: no blank before the letter
    (FREE, "x != 3", "3"),
    (FREE, "5!", "5"),
    (FREE, "1e999999", "1e999998"),
    (FREE, "a and b", "b"),
    (FREE, "9" * 200, "9" * 201),
    (FREE, "z" * 5000, "z" * 5001),
    (LINE, "x = 3", "y = 3"),
    (COUNT, "3 million cubes", "3"),
    (PIZZA, "one half", "one third"),
    (PIZZA, "one half", "1"),
    (PIZZA, "third", "a third"),  # an ordinal is no share
    (FREE, "twenty-fifth", "4"),
    (FREE, "a quarter", "0.25"),  # a coin
    (COUNT, "3 sevenths", "3"),
    (COUNT, "3 squared", "3"),
    (COUNT, "3 couples", "3"),
    (COUNT, "seven eleven", "7"),
    (PIZZA, "5 tons", "5 bottles"),
    (EITHER, "two dogs", "two cats"),
    (COUNT, "3 and a half", "3"),
    (COUNT, "3 or more", "3"),
    (COUNT, "3 or fewer cubes", "3"),
    (COUNT, "2 or three", "2"),
    (COUNT, "3 out of five", "3"),
    (COUNT, "5 dozens", "5"),
    (COUNT, "3 thousands", "3"),
    (COUNT, "3 hundreds of cubes", "3"),
    (COUNT, "3 times more", "3"),
    (NUMBERS, "4", "B and C"),
    (NUMBERS, "(A)", "(A) and (B)"),
    (NUMBERS, "A", "5"),
    (LENGTHS, "12 cm", "12 m"),
]


@pytest.mark.parametrize(
    ("question", "key", "answer"),
    [(question, key, answer) for question, key, answers in ONE_CANDIDATE for answer in answers],
)
def test_one_candidate(question: Question, key: str, answer: str) -> None:
    assert canonical(answer, question) == key
    assert canonical(key, question) == key


@pytest.mark.parametrize(("question", "a", "b"), TWO_CANDIDATES)
def test_two_candidates(question: Question, a: str, b: str) -> None:
    assert canonical(a, question) != canonical(b, question)


READ: list[tuple[Question, str, Reading]] = [
    (FREE, "(1,)", Reading("(1,)", "words")),  # a list has two elements
    (FREE, "[x]", Reading("[x]", "words")),
    (FREE, "[x, 2/4]", Reading("[x, 0.5]", "math")),
    (FREE, r"\alpha x", Reading(r"\alpha x", "math")),  # the blank ends the command
    (FREE, r"\alpha 2 x", Reading(r"\alpha2x", "math")),
    (FREE, "12 cm", Reading("12", "number", Fraction(12), "cm")),
    (FREE, "$12", Reading("12", "number", Fraction(12), "$")),  # a single one is money
    (FREE, "$12$", Reading("12", "number", Fraction(12))),
    (FREE, "-€0.5", Reading("-0.5", "number", Fraction(-1, 2), "€")),
    (FREE, "x = 3 m", Reading("3", "number", Fraction(3), "m", "x")),
    (FREE, "AB = 12", Reading("12", "number", Fraction(12), "", "ab")),
    (FREE, "50%", Reading("0.5", "number", Fraction(1, 2))),
    (PERCENT, "50 per cent", Reading("50", "number", Fraction(50))),
    (FREE, "7 units", Reading("7", "number", Fraction(7))),
    (COUNT, "3 red cubes", Reading("3", "number", Fraction(3))),
    (FREE, "3 red cubes", Reading("3 red cubes", "words")),
    (LINE, "y = 2x", Reading("y=2x", "math")),
    (FREE, "12 : 30 PM", Reading("12:30 pm", "words")),
    (FREE, "9 a.m.", Reading("9 am", "words")),
]


@pytest.mark.parametrize(("question", "answer", "reading"), READ)
def test_what_an_answer_says(question: Question, answer: str, reading: Reading) -> None:
    assert read(answer, question) == reading


def test_percents_are_read_as_they_are_asked_for() -> None:
    assert read("50%", FREE, percent_is_unit=True).value == "50"
    assert read("50%", PERCENT, percent_is_unit=False).value == "0.5"


def test_an_answer_too_long_to_read_stands_for_itself() -> None:
    longest, longer = "z" * MAX_ANSWER_CHARS, "z" * (MAX_ANSWER_CHARS + 1)
    assert read(longest, FREE) == Reading(longest, "words")
    unread = read(longer, FREE)
    assert (unread.kind, unread.value[:14], len(unread.value)) == ("words", "unread answer ", 30)
    assert read(longer, FREE) == unread != read(longer + "z", FREE)


_PIECES = st.one_of(
    st.sampled_from([r"\frac", r"\text{", r"\boxed{", r"\$", r"\circ", r"\{", r"\}", r"\left"]),
    st.sampled_from(["pi", "sqrt(", "cm", "the ", "a ", " and ", "three", "10^", "e5", " million"]),
    st.sampled_from("{}()[],;.-−$%^°=xAb120/π½√*:!&|'~_`\\ "),
)
_MARKUP = st.lists(_PIECES, max_size=14).map("".join)


@settings(max_examples=400, deadline=None)
@given(
    st.one_of(_MARKUP, st.text(max_size=40), st.floats(allow_nan=False).map(str)),
    st.sampled_from([FREE, PERCENT, LINE, COUNT, PIZZA, EITHER, COLOUR, NUMBERS, LETTERS, LENGTHS]),
)
def test_canonical_is_idempotent(answer: str, question: Question) -> None:
    key = canonical(answer, question)
    assert canonical(key, question) == key


@settings(deadline=None)
@given(st.fractions())
def test_fractions_and_decimals_meet(value: object) -> None:
    assert canonical(str(value), FREE) == canonical(f"$ {value} $", FREE)


@settings(deadline=None)
@given(st.integers())
def test_integers_keep_their_digits(value: int) -> None:
    assert canonical(f"{value:,}", FREE) == (str(value) if abs(value) < 10**80 else f"{value:,}")


@pytest.mark.parametrize(
    "answer",
    [
        "9" * 1_000_000,
        "{" * 1000,
        r"\text{" * 150 + "}" * 100,
        "(" * 500 + ")" * 500,
        "the " * 250,
        "1," * 500,
        "1e" * 500,
        "-" * 1000,
        " " * 1000,
        "½" * 1000,
        "a=" * 500,
        "1 " * 500,
        "10^" * 330,
        "9**9**9**9",
        "1e999999999",
        r"\frac{1}{0}",
        "1/0",
        "$" * 999,
        "√(" * 500,
    ],
)
def test_hostile_answers_cost_little(answer: str) -> None:
    start = time.process_time()
    for question in (FREE, NUMBERS, COUNT):
        key = canonical(answer, question)
        assert canonical(key, question) == key
    assert time.process_time() - start < 1


def test_the_key_needs_neither_sympy_nor_pillow() -> None:
    code = (
        "import sys; from catts.answers import canonical; from catts.question import Question;"
        "canonical('2/4', Question(text='q'));"
        "sys.exit(any(name in sys.modules for name in ('sympy', 'math_verify', 'PIL', 'torch')))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
