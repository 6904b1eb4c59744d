import pytest
from graded import several

from catts.evals.graders.grade import Grade
from catts.evals.graders.mmstar import NAME, official

ITEM = several(["a cat", "a dog", "a bird", "a fish"], "B")


@pytest.mark.parametrize(
    "reply",
    ["B", "b", "B: a dog", "  (B) a dog", "(b", "Option B", "option b is it", "The answer is B.",
     "the answer\nis b", "\n\nB", "Because it barks"],
)  # fmt: skip
def test_the_letter_stands_first_or_behind_one_of_three_openings(reply):
    assert official(ITEM, reply) == Grade(True, "B", NAME)


@pytest.mark.parametrize(
    ("reply", "parsed"),
    [
        ("A", "A"),
        ("A dog is in the picture, so B", "A"),
        ("(c)", "C"),
        ("Option D", "D"),
        ("The answer is C", "C"),
        ("The answer is (B)", None),
        ("The correct answer is B", None),
        ("It is B", None),
        ("E) a fifth", None),
        ("", None),
        ("   \n", None),
        ("(", None),
        ("option ", None),
        ("the answer is ", None),
        ("**B**", None),
    ],
)
def test_everything_else_is_wrong(reply, parsed):
    assert official(ITEM, reply) == Grade(False, parsed, NAME)


def test_a_long_reply_is_judged_by_its_start():
    assert official(ITEM, "B" + " so it is" * 100_000).right
    assert not official(ITEM, "x " * 100_000 + "B").right
