"""Outcomes derived from `eval/eval_utils.py`."""

import random
import re
import time
from dataclasses import replace

import pytest
from graded import free, several
from hypothesis import given
from hypothesis import strategies as st

from catts.evals.graders import mmmu
from catts.evals.graders.grade import GUESSED, Grade
from catts.evals.graders.mmmu import NAME, official, parse_choice, parse_open

CHOICES = ("a red cube", "a blue ball", "nothing", "both")
ITEM = several(list(CHOICES), "B")


@pytest.mark.parametrize(
    ("reply", "letter"),
    [
        ("B", "B"),
        ("B.", "B"),
        ("(B)", "B"),
        ("'B'", "B"),
        ("The answer is (B).", "B"),
        ("(A) is wrong, (B) is right", "B"),
        ("(B) is right, (A) is wrong", "A"),
        ("(A) but not B", "A"),
        ("I say B because C is absurd", "C"),
        ("A cube", "A"),
        ("There is a cube A here", "A"),
        ("b", None),
        ("(b)", None),
        ("B)", None),
        ("B: a blue ball", None),
        ("B\n", None),
        ("a blue ball", None),
        ("I can see a Blue Ball in it", "B"),
        ("It is a blue ball and not nothing at all", "C"),
        ("It shows a red cube next to a blue ball", "B"),
        ("", None),
        ("no idea", None),
    ],
)
def test_the_letter_that_the_rule_reads(reply, letter):
    assert parse_choice(reply, CHOICES) == letter
    grade = official(ITEM, reply)
    if letter is not None:
        assert grade == Grade(letter == "B", letter, NAME)
    else:
        assert grade.note == GUESSED


def test_ends_are_stripped_in_the_published_order():
    assert parse_choice("B.,", CHOICES) == "B"  # a comma first, then the point
    assert parse_choice("B,.", CHOICES) is None  # the comma's turn is over when it comes to the end


def test_a_guess_depends_on_the_item_alone():
    guesses = {official(ITEM, "no idea").parsed for _ in range(20)}
    assert len(guesses) == 1
    drawn = [official(replace(ITEM, id=f"q{i}"), "no idea") for i in range(400)]
    assert {grade.parsed for grade in drawn} == set("ABCD")
    assert 60 < sum(grade.right for grade in drawn) < 140


def test_guesses_of_a_published_run_come_from_one_stream():
    rng, published = random.Random(42), random.Random(42)
    letters = ["A", "B", "C", "D"]
    for _ in range(20):
        guess = official(ITEM, "no idea", rng)
        assert guess.parsed == published.choice(letters)
        assert official(ITEM, "(A)", rng).note == "", "a read answer draws nothing"


@pytest.mark.parametrize(
    ("gold", "reply", "right"),
    [
        ("24.2", "The length is 24.2.", True),
        ("24.2", "The length is 24.204 cm", True),
        ("24.2", "The length is 24.21", False),
        ("1000", "It costs $1,000", True),
        ("1000", "so we get 1e3", True),
        ("5", "x = 5", True),
        ("5", "x = 5\nThat was easy", True),
        ("5", "x = 5\nThat is easy", False),
        ("5", "the result is 15", False),
        ("5", "3 and 5", True),
        ("5", "Of 3 cubes 5 are red, so the answer is 3", False),
        ("yes", "not yes", True),
        ("yes", "YES", True),
        ("yes", "no", False),
        ("harmonic minor", "It is the Harmonic Minor scale", True),
        ("b", "it could be b flat", True),
        ("b", "b", True),
        ("b", "ab", False),
        ("x", "max", False),
        ("65", "", False),
        ("65", "about -65", False),
        ("nan", "nan", False),
    ],
)
def test_open_answers(gold, reply, right):
    assert official(free(gold, answers=[gold]), reply).right == right


@pytest.mark.parametrize("reply", ["The ratio is 24/7", "3.43", "it is about 3.429"])
def test_one_of_several_accepted_answers_is_enough(reply):
    assert official(free("['24/7', '3.429']", answers=["24/7", "3.429"]), reply).right


def test_without_a_list_of_answers_the_gold_is_the_one():
    assert official(free("7"), "it is 7").right


@pytest.mark.parametrize(
    ("reply", "candidates"),
    [
        ("The answer is 12. So it is 13.", [13.0]),
        ("It is a cat.\nIt is a dog.", ["a cat.", "a dog"]),
        ("It could be red. Then again it is Blue", ["blue"]),
        ("final answer: 3", ["answer: 3", 3.0]),
        ("is ", ["is"]),
        ("A", [" a", "a "]),
        ("a = b = c\nx is y = z", [" z", "z "]),
        ("", [""]),
    ],
)
def test_candidates_of_an_open_reply(reply, candidates):
    assert parse_open(reply) == candidates


def test_what_was_read_is_shown_up_to_a_length():
    assert official(free("3"), "the answer is 3 cm").parsed == "3 cm; 3.0"
    assert official(free("3"), "  ").parsed is None
    assert len(official(free("3"), "x" * 5000).parsed) == 200


PUBLISHED = (
    r"-?\b\d{1,3}(?:,\d{3})+\b",
    r"-?\d+(?:\.\d+)?[eE][+-]?\d+",
    r"-?(?:\d+\.\d+|\.\d+|\d+\b)(?![eE][+-]?\d+)(?![,\d])",
)


@given(st.text("0123,.-+eEx ", max_size=24))
def test_numbers_are_found_as_by_the_published_patterns(text):
    for ours, published in zip(mmmu._NUMBERS, PUBLISHED, strict=True):
        assert ours.findall(text) == re.findall(published, text)


@pytest.mark.parametrize(
    "text", ["1" * 800_000 + "x", "1,111" * 200_000, "1.1." * 200_000, "is = so " * 100_000]
)
def test_it_takes_little_time_whatever_is_written(text):
    start = time.process_time()
    official(free("3"), text)
    official(ITEM, text)
    assert time.process_time() - start < 5
