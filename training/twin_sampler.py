"""The order in which a trainer asks for the rows of twins."""

from collections.abc import Iterator

from torch.utils.data import Sampler
from trl.trainer.utils import RepeatSampler


class TwinSampler(Sampler[int]):
    """Each question's clean row, a group of them, then its noised row, a group of them.

    Row 2 i of the dataset is question i with its picture, row 2 i + 1 with the noised one.
    """

    def __init__(self, inner: RepeatSampler, group: int) -> None:
        """`inner` repeats the index of each question `2 * group` times in a row."""
        self._inner, self._group = inner, group

    def __iter__(self) -> Iterator[int]:
        """Indices of rows."""
        for place, question in enumerate(self._inner):
            yield 2 * question + place // self._group % 2

    def set_epoch(self, epoch: int) -> None:
        """Give an epoch an order of its own, whether the run began before it or in it."""
        if self._inner.shuffle:
            self._inner.generator.manual_seed((self._inner.seed or 0) + epoch)

    def __len__(self) -> int:
        """Indices in an epoch."""
        return len(self._inner)
