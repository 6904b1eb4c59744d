"""What the rows of a batch have written, and who waits for it: each prompt's as soon as it ends."""

from collections.abc import Collection
from typing import NamedTuple, Protocol

import torch
from torch import Tensor

from catts.agents.engines.room import FIRST_COLUMNS
from catts.agents.engines.token_confidence import TokenStats, not_finite


class Completion(NamedTuple):
    """One decoded completion as plain numbers, T tokens long, the end-of-turn token included."""

    token_ids: tuple[int, ...]
    confidence: tuple[float, ...]
    """c_t of each token."""
    logprobs: tuple[float, ...]
    """Raw log-probability of each token."""
    self_certainty: tuple[float, ...]
    """KL(U || p_t) of each token."""
    ended: bool
    """Whether it ended its turn, rather than being cut."""


class Written:
    """What R rows have written so far, at most `limit` tokens each."""

    def __init__(self, rows: int, limit: int, device: torch.device) -> None:
        self._limit = limit
        columns = min(limit, FIRST_COLUMNS)
        self.tokens = torch.zeros(rows, columns, dtype=torch.long, device=device)
        """(R, columns made so far), int64."""
        self.confidence = torch.zeros(rows, columns, device=device)
        self.logprobs = torch.zeros(rows, columns, device=device)
        self.self_certainty = torch.zeros(rows, columns, device=device)
        self.lengths = torch.zeros(rows, dtype=torch.long, device=device)
        self.ended = torch.zeros(rows, dtype=torch.bool, device=device)
        self.finite = torch.ones(rows, dtype=torch.bool, device=device)
        """(R,), bool: whether all logits that a row was taken from are numbers."""

    def add(
        self, rows: Tensor, step: int, taken: Tensor, stats: TokenStats, ends: Tensor
    ) -> Tensor:
        """Write one token in each of `rows`; returns which of them (by index) go on.

        A row whose logits are no numbers ends here, and is told of in `completions`: asking at
        every step would let the device wait.
        """
        if step == self.tokens.shape[1]:
            self._widen()
        self.tokens[rows, step] = taken
        self.confidence[rows, step] = stats.confidence
        self.logprobs[rows, step] = stats.logprobs
        self.self_certainty[rows, step] = stats.self_certainty
        self.lengths[rows] += ~self.ended[rows]
        self.finite[rows] &= self.ended[rows] | stats.finite
        self.ended[rows] |= torch.isin(taken, ends) | ~stats.finite
        return (~self.ended[rows]).nonzero().squeeze(1)

    def completions(self, first: int, count: int) -> list[Completion]:
        """What `count` rows from `first` on have written, as plain numbers.

        Raises:
            EngineError: a row was taken from logits that are NaN or infinite.
        """
        rows = slice(first, first + count)
        if not bool(self.finite[rows].all()):
            raise not_finite()
        longest = int(self.lengths[rows].max())
        wide = (self.tokens, self.confidence, self.logprobs, self.self_certainty)
        columns = (*(column[:, :longest] for column in wide), self.lengths, self.ended)
        return [
            Completion(tuple(ids[:n]), tuple(c[:n]), tuple(p[:n]), tuple(u[:n]), stop)
            for ids, c, p, u, n, stop in zip(
                *(column[rows].tolist() for column in columns), strict=True
            )
        ]

    def _widen(self) -> None:
        more = min(self.tokens.shape[1], self._limit - self.tokens.shape[1])
        self.tokens, self.confidence, self.logprobs, self.self_certainty = (
            torch.nn.functional.pad(column, (0, more))
            for column in (self.tokens, self.confidence, self.logprobs, self.self_certainty)
        )


class Audience(Protocol):
    """Who waits for the prompts of a batch; prompts are named by their index."""

    def left(self) -> Collection[int]:
        """Prompts that nobody waits for any more; asked at every step."""

    def served(self, prompt: int, completions: list[Completion]) -> None:
        """Take a prompt's completions: they have ended, or were cut as they are."""


class Delivery:
    """Hands over each prompt's completions as soon as the last of its rows ends."""

    def __init__(self, written: Written, copies: int, audience: Audience | None) -> None:
        """`copies` rows of `written`, side by side, belong to a prompt."""
        self._written, self._copies, self._audience = written, copies, audience
        self._prompts = len(written.lengths) // copies
        self._waited = set(range(self._prompts))
        self._going = len(written.lengths)
        self._completions: dict[int, list[Completion]] = {}

    def after_step(self, rows: Tensor) -> Tensor | None:
        """Hand over what has ended, and see who has left.

        Args:
            rows: those that go on, shape (G,), int64.

        Returns:
            Which of them somebody still waits for, a mask of shape (G,), or None for all of them.

        Raises:
            EngineError: a row was taken from logits that are NaN or infinite.
        """
        if len(rows) < self._going:
            self._going = len(rows)
            self._hand_over(self._waited.difference((rows // self._copies).tolist()))
        leaving = self._waited.intersection(self._audience.left() if self._audience else ())
        if not leaving:
            return None
        self._hand_over(leaving)
        gone = torch.tensor(sorted(leaving), device=rows.device)
        staying = ~torch.isin(rows // self._copies, gone)
        self._going = int(staying.sum())
        return staying

    def finish(self) -> list[list[Completion]]:
        """Hand over what is left, cut as it is; returns the completions of every prompt.

        Raises:
            EngineError: a row was taken from logits that are NaN or infinite.
        """
        self._hand_over(set(self._waited))
        return [self._completions[prompt] for prompt in range(self._prompts)]

    def _hand_over(self, prompts: Collection[int]) -> None:
        for prompt in sorted(prompts):
            self._waited.discard(prompt)
            made = self._written.completions(prompt * self._copies, self._copies)
            self._completions[prompt] = made
            if self._audience is not None:
                self._audience.served(prompt, made)
