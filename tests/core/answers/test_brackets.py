"""Brackets by hand: pairs, escapes, half-open intervals, and text that is out of balance."""

import pytest

from catts.answers.brackets import enclosed, matching_braces, nesting_depth, split_list


@pytest.mark.parametrize(
    ("text", "pairs"),
    [
        ("", {}),
        ("{}", {0: 1}),
        ("a{b{c}d}e", {1: 7, 3: 5}),
        ("{a}{b}", {0: 2, 3: 5}),
        ("}{a}", {1: 3}),
        ("{{a}", {1: 3}),
        (r"\{a}", {}),
        (r"{\{\}}", {0: 5}),
        (r"{\\}", {0: 3}),  # an escaped backslash escapes nothing
        ("([{a}])", {2: 4}),
    ],
)
def test_braces_that_are_closed(text: str, pairs: dict[int, int]) -> None:
    assert matching_braces(text) == pairs


@pytest.mark.parametrize("text", ["()", "(1, 2)", "[1, 2)", "(1, 2]", "{(1), [2]}", "((1)(2))"])
def test_the_first_bracket_closes_with_the_last(text: str) -> None:
    assert enclosed(text)


@pytest.mark.parametrize(
    "text", ["", "(", ")", "a", "1)", "(1", "(1) + (2)", "(1)(2)", "x(1)", "(1)x", ")(", "((1)"]
)
def test_what_is_not_enclosed(text: str) -> None:
    assert not enclosed(text)


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("", [""]),
        ("1", ["1"]),
        ("1, 2", ["1", " 2"]),
        (",1,", ["", "1", ""]),
        ("(1, 2), [3, 4], {5, 6}", ["(1, 2)", " [3, 4]", " {5, 6}"]),
        ("((1, 2), 3), 4", ["((1, 2), 3)", " 4"]),
    ],
)
def test_a_list_is_split_outside_of_brackets(text: str, parts: list[str]) -> None:
    assert split_list(text) == parts
    assert split_list(text.replace(",", ";"), ";") == [p.replace(",", ";") for p in parts]


@pytest.mark.parametrize(
    ("text", "depth"),
    [("", 0), ("a", 0), ("()", 1), ("()[]{}", 1), ("([{}])", 3), ("(()) (", 2), (")))((", 0)],
)
def test_the_deepest_nesting(text: str, depth: int) -> None:
    assert nesting_depth(text) == depth
