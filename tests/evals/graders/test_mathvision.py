"""Outcomes derived from `evaluation/evaluate.py` and `utils.py`."""

import time

import pytest
from graded import free, several

from catts.evals.graders.grade import Grade
from catts.evals.graders.mathvision import NAME, find_answer, official, same_answer

SUMS = several(["$2+4$", r"$\frac{1}{2}$", "3", "2 and 4", "2 and 4"], "B")


@pytest.mark.parametrize(
    ("reply", "answer"),
    [
        ("It must be B.", "b"),
        ("It must be (C).", "c"),
        ("D\nbecause it fits", "d"),
        ("(D)\nbecause it fits", "d"),
        ("(E) E\nbecause it fits", "e"),
        ("The length is 12.", "12"),
        ("The length is 12. It is so.", "thelengthis12.itisso"),
        ("So the answer is 12 cm. Done", "12cm"),
        ("The answer is\n12", "12"),
        ("the final answer is x. the answer is y", "x"),
        ("the final answer is 3. the answer is 4", "4"),
        ("The correct answer is (b)", "b"),
        ("I think the answer should be {c}.", "c"),
        (r"Hence \boxed{12}.", "12"),
        (r"Hence \boxed{12} and not 13, the answer is 13", "13"),
        (r"First \boxed{1}, then \boxed{2}", "2"),
        (r"\boxed{\frac{1}{2}}", r"\frac{1}{2}"),
        (r"\boxed{\frac{1}{2}} for {x}", r"\frac{1}{2}}for{x"),
        (r"\boxed{12} for {x}", "12"),
        (r"\boxed{x = 5}", "5"),
        (r"\boxed{x \approx 3.14}", "3.14"),
        (r"\boxed{30^{\circ}}", "30"),
        (r"\boxed{12\text{ km}}", "12"),
        (r"\boxed{12\text{ cm}}", "12{cm}"),
        (r"\boxed{5 units}", "5"),
        (r"\boxed{\$50}", "50"),
        (r"\boxed{50\%}", "50"),
        (r"\boxed{.5}", r"\frac{1}{2}"),
        (r"\boxed{3/4}", r"\frac{3}{4}"),
        (r"\boxed{03/4}", "03/4"),
        (r"\boxed{1/2/3}", "1/2/3"),
        (r"\boxed{\sqrt2}", r"\sqrt{2}"),
        (r"\boxed{\frac12}", r"\frac12"),
        (r"\boxed{\frac12\sqrt3}", r"\frac{1}{2}\sqrt{3}"),
        (r"\boxed{\frac1{2}\sqrt3}", r"\frac{1}{2}\sqrt{3}"),
        (r"\boxed{\sqrt{2}\frac}", r"\sqrt{2}\frac"),
        (r"\boxed{A}", "a"),
        ("", ""),
        (r"\boxed{}", r"\boxed"),
    ],
)
def test_what_the_rule_finds(reply, answer):
    assert find_answer(reply) == answer


@pytest.mark.parametrize(
    ("gold", "answer", "same"),
    [
        ("A", "a", True),
        ("60", "60.0", True),
        ("60", "60.004", True),
        ("60", "60.01", False),
        ("1/3", "0.333", True),
        ("3.141", "3.144", True),
        (r"$\boxed{\frac{16}{7}}$", "2.286", True),
        (r"$\frac{1}{2}+\frac{\sqrt{3}}{3}$", "1.077", True),
        (r"\frac{25}{7}", r"\frac{50}{14}", True),
        (r"12\sqrt{3}", "20.78", True),
        (r"20\pi", "62.83", True),
        ("7:1", "7", True),
        ("1,000", "1000", True),
        ("12", "12cm", False),
        ("12", "x", False),
        ("x", "y", False),
        ("", "", False),
        (" ", "3", False),
        ("(1,2)", "(1, 2.001)", True),
        ("(1,2)", "[1,2]", False),
        ("(1,2)", "(1,3)", False),
        ("(1,2)", "3", False),
        ("(1,2)", "(x,2)", False),
        ("(x,2)", "(x,2)", True),
        ("(x,2)", "(x, 2)", False),
        ("(a, 1)", "(a,1)", True),
        ("(a,1)", "(a, 1.001)", True),
        (r"(1,\infty)", r"(1.001,\infty)", True),
        ("(3)", "3", True),
        ("2 and 4", "2 AND 4", True),
    ],
)
def test_what_the_rule_calls_equal(gold, answer, same):
    assert same_answer(gold, answer) == same
    assert same_answer(answer, gold) == same


@pytest.mark.parametrize(
    ("reply", "right", "parsed"),
    [
        ("The answer is (B).", True, "b"),
        (r"\boxed{B}", True, "b"),
        (r"\boxed{0.5}", True, r"\frac{1}{2}"),
        (r"\boxed{\frac{1}{2}}", True, r"\frac{1}{2}"),
        (r"\boxed{C}", False, "c"),
        (r"\boxed{3}", False, "3"),
        ("", False, None),
    ],
)
def test_of_a_choice_the_letter_and_the_text_both_count(reply, right, parsed):
    assert official(SUMS, reply) == Grade(right, parsed, NAME)


def test_two_choices_that_read_the_same_count_by_text():
    twins = several(["1", "2 and 4", "2 and 4"], "C")
    assert official(twins, "The answer is 2 and 4").right is False, "its blanks are gone"
    assert official(twins, r"\boxed{C}").right
    assert not official(twins, r"\boxed{B}").right


@pytest.mark.parametrize(
    ("gold", "reply", "right"),
    [
        ("A", r"\boxed{A}", True),
        ("A", "It is A.", True),
        ("60", "The answer is 60.", True),
        (r"$\frac{8}{25}$", r"\boxed{0.32}", True),
        ("\frac{36}{13}", r"\boxed{\frac{36}{13}}", False),
    ],
)
def test_free_answers(gold, reply, right):
    # the last gold lost its backslash in the published file, so nobody can be right
    assert official(free(gold), reply).right == right


@pytest.mark.parametrize(
    "text",
    ["oxed{" * 100_000, "{" * 500_000, r"\sqrt\frac" * 50_000, "is " * 200_000, "(a)" * 200_000,
     "(" + "1," * 200_000 + "1)", r"\boxed{" + "9" * 400_000 + "}", r"\boxed{9^{9^{9^{9}}}}"],
)  # fmt: skip
def test_it_takes_little_time_whatever_is_written(text):
    start = time.process_time()
    official(free("3"), text)
    official(SUMS, text)
    assert time.process_time() - start < 5


def test_nothing_that_a_model_writes_is_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    official(free("3"), r"\boxed{__import__('pathlib').Path('ran').touch()}")
    official(free("3"), r"\boxed{open('ran','w')}")
    assert list(tmp_path.iterdir()) == []
