import logging
import subprocess
import sys
import time

import pytest
from graded import free, several

from catts.evals.graders.grade import Grade
from catts.evals.graders.strict import NAME, strict

ITEM = several(["2 cm", "4 cm", "6 cm", "8 cm"], "B")


@pytest.mark.parametrize(
    "reply",
    ["B", "(B)", "The answer is (B).", r"<think>hm</think>\boxed{B}", "4 cm", "The answer is 4 cm.",
     r"\boxed{4}", "(B) 4 cm", r"\boxed{\text{B}}", "option B"],
)  # fmt: skip
def test_a_choice_is_right_by_letter_text_or_value(reply):
    assert strict(ITEM, reply) == Grade(True, "B", NAME)


@pytest.mark.parametrize(
    ("reply", "parsed", "note"),
    [
        ("C", "C", ""),
        ("6 cm", "C", ""),
        (r"\boxed{5 cm}", "5 cm", "names no choice"),
        ("Because it is so.", None, "no answer is marked"),
        ("Either (A) or (B)", None, "no answer is marked"),
        ("", None, "no answer is marked"),
        ("B cannot be excluded, nor can C be", None, "no answer is marked"),
    ],
)
def test_nothing_is_guessed(reply, parsed, note):
    assert strict(ITEM, reply) == Grade(False, parsed, NAME, note)


def test_a_gold_that_is_a_text_is_right_by_its_letter_too():
    item = several(["145°", "11°"], "B", answer="11°")
    assert strict(item, r"\boxed{B}").right
    assert strict(item, r"\boxed{11^\circ}").right
    assert not strict(item, r"\boxed{A}").right


def test_a_gold_text_that_looks_like_a_letter_is_no_letter():
    item = several(["B", "A"], "A", answer="B")
    assert strict(item, r"\boxed{A}").right
    assert not strict(item, r"\boxed{B}").right


def test_two_choices_that_read_the_same_are_both_right():
    twins = several(["1 and 3", "2 and 4", "2 and 4"], "C")
    assert strict(twins, r"\boxed{B}").right
    assert strict(twins, r"\boxed{C}").right
    assert not strict(twins, r"\boxed{A}").right


@pytest.mark.parametrize(
    ("gold", "reply", "right"),
    [
        ("60", "The answer is 60.", True),
        ("60", r"\boxed{60.0}", True),
        ("60", r"\boxed{60.01}", False),
        ("60", r"\boxed{600}", False),
        ("1/3", r"\boxed{0.33}", False),
        (r"$\boxed{\frac{16}{7}}$", r"\boxed{\frac{32}{14}}", True),
        (r"$\frac{1}{2}+\frac{\sqrt{3}}{3}$", r"\boxed{\frac{3+2\sqrt{3}}{6}}", True),
        ("\frac{36}{13}", r"\boxed{\frac{36}{13}}", True),
        ("\frac{36}{13}", r"\boxed{\frac{36}{15}}", False),
        ("A", r"\boxed{A}", True),
        ("A", r"\boxed{B}", False),
        ("[2007, 2008]", r"\boxed{[2007, 2008]}", True),
        ("[2007, 2008]", r"\boxed{[2008, 2007]}", False),
        ("yes", "The answer is not yes", False),
        ("yes", r"\boxed{Yes}", True),
    ],
)
def test_a_free_answer_is_right_when_it_means_the_same(gold, reply, right):
    assert strict(free(gold), reply).right == right


def test_one_of_several_accepted_answers_is_enough():
    item = free("['24/7', '3.429']", answers=["24/7", "3.429"])
    for reply in (r"\boxed{24/7}", r"\boxed{3.429}", r"\boxed{\frac{48}{14}}"):
        assert strict(item, reply).right
    assert not strict(item, r"\boxed{3.43}").right


@pytest.mark.parametrize(
    ("gold", "places", "answer", "note"),
    [
        ("1.2", 1, "1.2", ""),
        ("1.2", 1, "1.23", "rounded to 1.2"),
        ("1.3", 1, "1.26", "rounded to 1.3"),
        ("1.2", 1, "1.16 m", "rounded to 1.2 m"),
        ("0.67", 2, r"\frac{2}{3}", "rounded to 0.67"),
    ],
)
def test_an_answer_that_rounds_to_a_rounded_gold_is_right(gold, places, answer, note):
    item = free(gold, answer_type="float", precision=places)
    assert strict(item, rf"\boxed{{{answer}}}") == Grade(True, answer, NAME, note)


@pytest.mark.parametrize(("places", "answer"), [(1, "1.26"), (1, "about"), (None, "1.23")])
def test_only_what_rounds_to_it(places, answer):
    assert not strict(free("1.2", precision=places), rf"\boxed{{{answer}}}").right


def test_hostile_answers_are_wrong_and_take_little_time(caplog):
    caplog.set_level(logging.ERROR)
    start = time.monotonic()
    for answer in ("9^{9^{9^9}}", "(" * 5000, "x" * 900_000, r"\boxed{" * 1000, "10^{10^{10}}!"):
        assert not strict(free("3"), rf"\boxed{{{answer}}}").right
    assert time.monotonic() - start < 20


def test_graders_and_readers_need_neither_the_graph_nor_a_model_library():
    modules = ["mathvista", "mathvision", "mmstar", "mmmu", "strict"]
    imports = "; ".join(f"import catts.evals.graders.{name}" for name in modules)
    readers = ["mathvista", "mathvision", "mmstar", "mmmu", "embedded"]
    imports += "; " + "; ".join(f"import catts.evals.benchmarks.{name}" for name in readers)
    show = "import sys; print(*{m.partition('.')[0] for m in sys.modules}); print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", f"{imports}; {show}"], capture_output=True, text=True, check=True
    )
    tops, everything = (set(line.split()) for line in done.stdout.splitlines())
    heavy = {"inspect_ai", "torch", "transformers", "langgraph", "langchain", "sympy", "pyarrow"}
    assert not tops & (heavy | {"huggingface_hub", "math_verify", "matplotlib"})
    assert not any(name.startswith(("catts.graph", "catts.agents")) for name in everything)
