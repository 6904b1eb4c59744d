"""How far completions go: to the longest that was asked for, or to the end of a model's context."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

FIRST_COLUMNS = 1024
"""Columns that are made at first for what rows write; they are doubled as rows grow longer, so a
limit costs no memory before it is reached."""


def context_of(config: Any) -> int | None:
    """Tokens, prompt and completion together, that a checkpoint's model takes; None if untold."""
    text = config.get_text_config()
    most: int | None = getattr(text, "max_position_embeddings", None)
    rope = getattr(text, "rope_parameters", None) or {}
    first, factor = rope.get("original_max_position_embeddings"), rope.get("factor")
    if most is not None and first is not None and factor is not None:
        # a checkpoint may be stretched without its first number being changed
        return max(most, int(first * factor))
    return most


class Room:
    """The most tokens that each row of a batch may write."""

    def __init__(
        self, longest: int, room: Sequence[int] | None, copies: int, device: torch.device
    ) -> None:
        """Of each prompt `copies` rows, side by side.

        Args:
            longest: most tokens of any row.
            room: most tokens of each prompt's rows, at least 1; None when they are not bounded.
            copies: rows of a prompt.
            device: where the rows' indices are.
        """
        most = [min(longest, each) for each in room] if room else [longest]
        self.limit = max(most)
        """Most tokens of the longest row."""
        self._cuts = set(most) - {self.limit}
        differing = most if self._cuts else []
        self._most = torch.tensor(differing, device=device).repeat_interleave(copies)

    def ends_at(self, length: int) -> bool:
        """Whether some rows, but not all, may write no more than `length` tokens."""
        return length in self._cuts

    def beyond(self, rows: Tensor, length: int) -> Tensor:
        """Which of `rows` may write more than `length` tokens, a mask."""
        return self._most[rows] > length
