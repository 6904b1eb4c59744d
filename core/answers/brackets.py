"""Brackets and braces of untrusted text, each pass linear in its length."""

_OPENING = {"(": ")", "[": "]", "{": "}"}
_CLOSING = frozenset(_OPENING.values())


def matching_braces(text: str) -> dict[int, int]:
    r"""Index of each `{` that is closed, to the index of its `}`; `\{` and `\}` are characters."""
    pairs: dict[int, int] = {}
    stack: list[int] = []
    escaped = False
    for index, char in enumerate(text):
        if escaped:
            escaped = False
        elif char == "\\":
            escaped = True
        elif char == "{":
            stack.append(index)
        elif char == "}" and stack:
            pairs[stack.pop()] = index
    return pairs


def enclosed(text: str) -> bool:
    """Whether the first bracket of `text` opens it and the last closes it, as in `(1, 2]`.

    Round and square brackets may close each other, as they do in half-open intervals.
    """
    if len(text) < 2 or text[0] not in _OPENING or text[-1] not in _CLOSING:
        return False
    depth = 0
    for index, char in enumerate(text):
        if char in _OPENING:
            depth += 1
        elif char in _CLOSING:
            depth -= 1
            if depth == 0:
                return index == len(text) - 1
    return False


def split_list(text: str, separator: str = ",") -> list[str]:
    """Split at the separators that stand outside all brackets."""
    parts: list[str] = []
    depth = start = 0
    for index, char in enumerate(text):
        if char in _OPENING:
            depth += 1
        elif char in _CLOSING:
            depth -= 1
        elif char == separator and depth == 0:
            parts.append(text[start:index])
            start = index + 1
    return [*parts, text[start:]]


def nesting_depth(text: str) -> int:
    """Deepest nesting of brackets of any sort."""
    depth = deepest = 0
    for char in text:
        if char in _OPENING:
            depth += 1
            deepest = max(deepest, depth)
        elif char in _CLOSING:
            depth -= 1
    return deepest
