import pytest

from catts.agents.engines.answer_span import answer_tokens, boxed_characters


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        (r"so \boxed{4}", "4"),
        (r"\boxed{\frac{1}{2}} done", r"\frac{1}{2}"),
        (r"\boxed{1} no, \boxed{2}", "2"),
        (r"\boxed{1} then \boxed{2", "1"),
        (r"set {a} } \boxed{b}", "b"),
        (r"f{ \boxed{b}", "b"),
        (r"\boxed{}", ""),
        (r"boxed{4} {5}", None),
        (r"\boxed{4", None),
        ("", None),
    ],
)
def test_last_closed_box(text: str, answer: str | None) -> None:
    span = boxed_characters(text)
    assert (None if span is None else text[slice(*span)]) == answer


def test_many_unclosed_boxes_take_one_pass() -> None:
    assert boxed_characters("\\boxed{" * 100_000) is None


PIECES = ["I see ", "f", "our. ", "\\", "boxed", "{", " 1", "2", "}", ".", "<end>"]


@pytest.mark.parametrize(
    ("pieces", "expected"),
    [
        (PIECES, [" 1", "2"]),
        (["a ", "\\boxed", "{12", "}"], ["{12"]),
        (["a ", "\\boxed{1", "2} ", "b"], ["\\boxed{1", "2} "]),
        (["\\boxed{x}"], ["\\boxed{x}"]),
        (["\\boxed{", "", "x", "}"], ["x"]),
    ],
)
def test_tokens_that_hold_the_answer(pieces: list[str], expected: list[str]) -> None:
    span = answer_tokens(range(len(pieces)), lambda ids: "".join(pieces[i] for i in ids))
    assert span is not None
    assert [piece for piece in pieces[slice(*span)] if piece] == expected


@pytest.mark.parametrize("pieces", [["\\boxed{", "}"], ["no ", "box"], []])
def test_no_answer_no_tokens(pieces: list[str]) -> None:
    assert answer_tokens(range(len(pieces)), lambda ids: "".join(pieces[i] for i in ids)) is None
