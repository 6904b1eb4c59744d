"""Levenshtein distance: single characters inserted, deleted or replaced, each at a cost of 1."""


def edit_distance(a: str, b: str) -> int:
    """The least number of edits that turn `a` into `b`.

    Takes len(a) * len(b) steps (Wagner and Fischer, 1974): bound the lengths of foreign texts.
    """
    if len(a) < len(b):
        a, b = b, a
    row = list(range(len(b) + 1))
    for i, char in enumerate(a, start=1):
        diagonal, row[0] = row[0], i
        for j, other in enumerate(b, start=1):
            replaced = diagonal + (char != other)
            diagonal = row[j]
            row[j] = min(replaced, row[j] + 1, row[j - 1] + 1)
    return row[-1]
