r"""Which tokens of a completion are its answer: those inside the last `\boxed{...}`."""

from collections.abc import Callable, Sequence
from typing import TypeVar

_T = TypeVar("_T")

_BOXED = "\\boxed{"


def boxed_characters(text: str) -> tuple[int, int] | None:
    r"""Half-open character range of what the last closed `\boxed{...}` holds, braces nested.

    None when no `\boxed{` is ever closed. Takes one pass, whatever the text.
    """
    opened: list[int | None] = []
    last: tuple[int, int] | None = None
    for index, character in enumerate(text):
        if character == "{":
            opened.append(index + 1 if text.endswith(_BOXED, 0, index + 1) else None)
        elif character == "}" and opened:
            start = opened.pop()
            if start is not None and (last is None or start > last[0]):
                last = start, index
    return last


def answer_tokens(
    tokens: Sequence[_T], decode: Callable[[Sequence[_T]], str]
) -> tuple[int, int] | None:
    """Half-open range of the tokens that hold a character of the boxed answer.

    Tokens are placed in the text by decoding prefixes, which is right for every tokenizer whose
    text only grows as tokens are appended, and takes O(log T) decodings.

    Args:
        tokens: the completion.
        decode: tokens to text, special tokens kept.

    Returns:
        None when there is no boxed answer, or it is empty.
    """
    characters = boxed_characters(decode(tokens))
    if characters is None or characters[0] == characters[1]:
        return None

    def tokens_reaching(length: int) -> int:
        low, high = 0, len(tokens)
        while low < high:
            middle = (low + high) // 2
            if len(decode(tokens[:middle])) >= length:
                high = middle
            else:
                low = middle + 1
        return low

    return tokens_reaching(characters[0] + 1) - 1, tokens_reaching(characters[1])
