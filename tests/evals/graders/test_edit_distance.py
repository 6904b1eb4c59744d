import pytest
from hypothesis import given
from hypothesis import strategies as st

from catts.evals.graders.edit_distance import edit_distance

WORDS = st.text("abc", max_size=7)


@pytest.mark.parametrize(
    ("a", "b", "distance"),
    [("", "", 0), ("", "abc", 3), ("kitten", "sitting", 3), ("flaw", "lawn", 2), ("11", "145°", 3)],
)
def test_known_distances(a, b, distance):
    assert edit_distance(a, b) == edit_distance(b, a) == distance


def by_definition(a: str, b: str) -> int:
    if not a or not b:
        return len(a) + len(b)
    return min(
        by_definition(a[1:], b[1:]) + (a[0] != b[0]),
        by_definition(a[1:], b) + 1,
        by_definition(a, b[1:]) + 1,
    )


@given(WORDS, st.text("abc", max_size=5))
def test_it_is_the_recursive_definition(a, b):
    assert edit_distance(a, b) == by_definition(a, b)


@given(WORDS, WORDS, WORDS)
def test_it_is_a_metric(a, b, c):
    assert (edit_distance(a, b) == 0) == (a == b)
    assert edit_distance(a, c) <= edit_distance(a, b) + edit_distance(b, c)
