"""The table of completions and the answer that each gives."""

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from catts.answers import canonical, extract_answer
from catts.question import Question

FREE = Question(text="What is the value?")
CHOICE = Question(text="Which one?", choices=("red circle", "12", "blue square", "16"))

TABLE_FREE: list[tuple[str, str | None]] = [
    (r"\boxed{12}", "12"),
    (r"So we get $\boxed{\frac{1}{2}}$.", r"\frac{1}{2}"),
    (r"\boxed{\frac{\sqrt{2}}{\sqrt{3}+\frac{1}{2}}}", r"\frac{\sqrt{2}}{\sqrt{3}+\frac{1}{2}}"),
    (r"\boxed{\{1, 2\}}", r"\{1, 2\}"),
    (r"\boxed {7}", "7"),
    (r"\fbox{red}", "red"),
    (r"\boxed 5", "5"),
    (r"the sum is $\boxed 12$.", "12"),
    (r"\boxed{1} no wait \boxed{2}", "2"),  # the last one wins
    (r"\boxed{3} and then \boxed{4", "3"),  # unclosed: the last well-formed one
    (r"\boxed{5} which is the value in \boxed{}", "5"),  # a blank box says nothing
    (r"I put it in \boxed{...}: \boxed{8}", "8"),
    (r"\boxed{}", None),
    (r"\boxed{ \text{} }", None),
    (r"\boxed{\left\right}", None),
    (r"\boxed{", None),
    (r"\boxed{\boxed{6}}", "6"),
    (r"\boxed{x = \boxed{6}}", r"x = \boxed{6}"),  # the outer box is the answer
    (r"\boxed{x = \boxed{6}} no, \boxed{7}", "7"),
    (r"<think>\boxed{1}</think>\boxed{2}", "2"),
    (r"<think>so \boxed{1}</think>The answer is 2.", "2"),  # after the thinking counts first
    (r"<think>so \boxed{1}</think>", "1"),  # nothing after it: the box that was marked
    (r"<think>so \boxed{1} and then", "1"),  # cut off while thinking
    (r"<think>the answer is 5, or", None),  # thoughts that are not boxed are not answers
    (r"it is clear</think>\boxed{9}", "9"),  # the prompt opened the thinking
    ("The answer is 12.", "12"),
    ("the answer is: 3.5", "3.5"),
    ("Answer: -5", "-5"),
    ("**Answer:** 1,234 because of the sum.", "1,234"),
    ("Answer:\n\n42", "42"),
    ("The final answer is $\\frac{3}{4}$. I am sure.", r"$\frac{3}{4}$"),
    ("First the answer is 3. No: the final answer is 4.", "4"),
    ("The answer would be dark red.", "dark red"),
    ("The answer is St. Louis.", "St. Louis"),
    ("The answer is Mt. Fuji. It is high.", "Mt. Fuji"),
    ("The answer is twice as long.", "twice as long"),
    ("The answer is half as many as before.", "half as many as before"),
    ("The answer is 12 as there are three rows.", "12"),
    ("The answer is No. The cup is blue.", "No"),
    ("The answer is not 5.", None),
    ("The answer is that this picture is far too small to see anything in it.", None),
    ("There are 12 apples and 3 pears in the picture.", None),  # nothing is marked
    ("I looked at it for long but cannot see.", None),
    ("12", "12"),
    ("-3.5 cm", "-3.5 cm"),
    ("Red.", "Red."),
    ("dark red", "dark red"),
    ("big dark red", None),  # three words may be a sentence
    ("3 large red cubes", "3 large red cubes"),  # unless they start with a number
    ("3 of them are red and not blue", None),
    ("z" * 80, "z" * 80),
    ("z" * 81, None),
    ("The answer is " + "z" * 400, "z" * 400),
    ("?", None),
    ("...", None),
    ("", None),
    ("  \n ", None),
    ("\\boxed{" + "9" * 2000 + "}", None),  # too long to be an answer
    ("so it must be \\boxedfoo{3} here", None),
]

TABLE_CHOICE: list[tuple[str, str | None]] = [
    (r"\boxed{B}", "B"),
    (r"\boxed{(B) 12}", "(B) 12"),
    (r"\boxed{\text{B}}", r"\text{B}"),
    (r"\boxed{12}", "12"),
    ("B", "B"),
    ("(b)", "(b)"),
    ("B.", "B."),
    ("B) 12", "B) 12"),
    ("b)", "b)"),
    ("The answer is B", "B"),
    ("The answer is (C), since it is blue.", "(C)"),
    ("The answer is B because there are twelve.", "B"),
    ("The correct option is D.", "D"),
    ("Answer: **B**", "B"),
    ("The answer is the red circle.", "the red circle"),
    ("The answer is B: there are twelve of them on the table.", "B"),
    ("The answer is B, maybe.", "B"),
    ("The answer is Z, maybe.", "Z, maybe"),
    ("B, I mean (B)", "B"),
    ("B, not (A)", None),
    ("red circle", "red circle"),
    ("A red circle", "A red circle"),  # an article, and the text of choice A
    ("I count twelve, so it must be (B).", "B"),
    ("It is either (A) or (B).", None),  # two labels, none marked
    ("(A) is too small and (B) fits.", None),
    ("A big house stands behind the tree there.", None),  # an article is no label
    ("Because Dogs are animals.", None),
    ("There are 112 of them here.", None),
    ("The answer is Z", "Z"),  # no such choice: an answer that is wrong, not a missing one
]


@pytest.mark.parametrize(("text", "answer"), TABLE_FREE)
def test_free_answers(text: str, answer: str | None) -> None:
    assert extract_answer(text, FREE) == answer


@pytest.mark.parametrize(("text", "answer"), TABLE_CHOICE)
def test_multiple_choice_answers(text: str, answer: str | None) -> None:
    assert extract_answer(text, CHOICE) == answer


@pytest.mark.parametrize("question", [FREE, CHOICE])
@pytest.mark.parametrize(
    "text",
    [
        r"\boxed{" * 200_000,
        "{" * 1_000_000,
        "\\" * 1_000_000,
        "the answer is " * 80_000,
        "answer: (" * 100_000,
        "answer" + " " * 1_000_000,
        "correct " * 100_000,
        "<think>" * 150_000,
        "(A) " * 250_000,
        "*_`" * 300_000,
        ". " * 500_000,
        "a" * 1_000_000,
        r"\boxed{" + "(" * 900 + "}",
    ],
)
def test_hostile_texts_cost_little(text: str, question: Question) -> None:
    start = time.process_time()
    extract_answer(text, question)
    assert time.process_time() - start < 1.5


def test_only_the_end_of_a_long_text_is_read() -> None:
    assert extract_answer(r"\boxed{1}" + " so" * 40_000, FREE) is None
    assert extract_answer("so " * 400_000 + r"\boxed{1}", FREE) == "1"


@settings(deadline=None)
@given(st.text(max_size=300))
def test_any_text_gives_an_answer_or_none(text: str) -> None:
    for question in (FREE, CHOICE):
        answer = extract_answer(text, question)
        assert answer is None or canonical(answer, question)


@settings(deadline=None)
@given(st.text(alphabet="abc123+-/^ ", min_size=1).filter(str.strip), st.text(max_size=50))
def test_a_final_box_is_found_whatever_stands_before_it(answer: str, before: str) -> None:
    text = before.replace("\\", "") + " \\boxed{" + answer + "}"
    assert extract_answer(text, FREE) == answer.strip()
