"""The drawn world's train stream as training questions."""

from functools import lru_cache

from catts.embedded.world import example
from catts.training.data import TrainingRow

FIRST = 5_000_000
"""The stream's first question for CDRL: no lesson of the shipped models lies there."""


class EmbeddedSource:
    """`n` questions; their key regions are the boxes of the evidence."""

    def __init__(self, n: int, *, start: int = FIRST) -> None:
        """Questions from index `start` of the train stream."""
        self._n, self._start = n, start

    @property
    def digest(self) -> str:
        """The stream is always the same: which part of it this is."""
        return f"embedded, train, {self._n} questions from {self._start}"

    def __len__(self) -> int:
        return self._n

    def __getitem__(self, index: int) -> TrainingRow:
        if not 0 <= index < self._n:
            raise IndexError(index)
        return _row(self._start + index)


@lru_cache(maxsize=256)
def _row(index: int) -> TrainingRow:
    drawn = example("train", index)
    return TrainingRow(
        question=drawn.question,
        image=drawn.image,
        answer=drawn.answer,
        choices=drawn.choices,
        region=drawn.evidence,
    )
