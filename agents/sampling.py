"""The decoding loop: n completions of each prompt from one prefill, confidence taken on the way."""

import hashlib
from collections.abc import Callable, Collection
from typing import NamedTuple

import torch
from torch import Tensor

from catts.agents.prefix import Prefix
from catts.agents.protocol import SamplingParams
from catts.agents.token_confidence import TokenStats, allowed_tokens, not_finite, token_stats

_COMPACT_BELOW = 0.75
"""Share of rows still decoding below which the ended ones leave the batch. Leaving costs one copy
of the cache; a row that stays costs its share of every further step."""


Leavers = Callable[[], Collection[int]]
"""Tells, at every step, which prompts of a batch nobody waits for any more, by their index."""


def nobody() -> Collection[int]:
    """All prompts are waited for."""
    return ()


class Completion(NamedTuple):
    """One decoded completion as plain numbers, T tokens long, the end-of-turn token included."""

    token_ids: tuple[int, ...]
    confidence: tuple[float, ...]
    """c_t of each token."""
    logprobs: tuple[float, ...]
    """Raw log-probability of each token."""
    ended: bool
    """Whether it ended its turn, rather than being cut."""


class Written(NamedTuple):
    """What R rows have written so far, at most `limit` tokens each."""

    tokens: Tensor
    """(R, limit), int64."""
    confidence: Tensor
    logprobs: Tensor
    lengths: Tensor
    ended: Tensor
    finite: Tensor
    """(R,), bool: whether all logits that a row was taken from are numbers."""

    @classmethod
    def empty(cls, rows: int, limit: int, device: torch.device) -> "Written":
        """Nothing written yet."""
        return cls(
            torch.zeros(rows, limit, dtype=torch.long, device=device),
            torch.zeros(rows, limit, device=device),
            torch.zeros(rows, limit, device=device),
            torch.zeros(rows, dtype=torch.long, device=device),
            torch.zeros(rows, dtype=torch.bool, device=device),
            torch.ones(rows, dtype=torch.bool, device=device),
        )

    def add(
        self, rows: Tensor, step: int, taken: Tensor, stats: TokenStats, ends: Tensor
    ) -> Tensor:
        """Write one token in each of `rows`; returns which of them (by index) go on.

        A row whose logits are no numbers ends here, and is told of in `completions`: asking at
        every step would let the device wait.
        """
        self.tokens[rows, step] = taken
        self.confidence[rows, step] = stats.confidence
        self.logprobs[rows, step] = stats.logprobs
        self.lengths[rows] += ~self.ended[rows]
        self.finite[rows] &= self.ended[rows] | stats.finite
        self.ended[rows] |= torch.isin(taken, ends) | ~stats.finite
        return (~self.ended[rows]).nonzero().squeeze(1)

    def completions(self) -> list[Completion]:
        """The R completions as plain numbers.

        Raises:
            EngineError: a row was taken from logits that are NaN or infinite.
        """
        if not bool(self.finite.all()):
            raise not_finite()
        columns = (self.tokens, self.confidence, self.logprobs, self.lengths, self.ended)
        return [
            Completion(tuple(ids[:n]), tuple(confidence[:n]), tuple(logprobs[:n]), stop)
            for ids, confidence, logprobs, n, stop in zip(
                *(column.tolist() for column in columns), strict=True
            )
        ]


def random_streams(keys: list[str], params: SamplingParams) -> Tensor:
    """Uniform numbers in [0, 1) that decide every draw, shape (len(keys) * n, max_new_tokens).

    Each row has a generator of its own, seeded by SHA-256 of seed, key and row. So completion i of
    a question is the same whatever n, whatever else is in the batch, and on any device.
    """
    rows = []
    for key in keys:
        for row in range(params.n):
            digest = hashlib.sha256(f"{params.seed}\0{row}\0{key}".encode()).digest()
            generator = torch.Generator().manual_seed(int.from_bytes(digest[:8], "big") >> 1)
            rows.append(torch.rand(params.max_new_tokens, generator=generator))
    return torch.stack(rows)


def decode(
    prefix: Prefix,
    params: SamplingParams,
    keys: list[str],
    *,
    end_ids: tuple[int, ...],
    suppressed: tuple[int, ...],
    leavers: Leavers = nobody,
) -> list[list[Completion]]:
    """Decode `params.n` completions of each row of `prefix`, as one batch.

    Suppressed tokens are never taken; the confidence and log-probability that are reported are
    those of the raw distribution, in which they still have their share.

    Args:
        prefix: B prompts; it is consumed.
        params: temperature 0 is greedy: all n completions are then the same one.
        keys: what seeds each prompt's draws besides `params.seed`, one per prompt.
        end_ids: tokens that end a turn.
        suppressed: tokens that are never taken.
        leavers: prompts whose rows leave the batch at the next step, cut as they are.

    Returns:
        B lists of n completions.

    Raises:
        EngineError: the model gave logits that are NaN or infinite.
    """
    greedy = params.temperature == 0
    copies = 1 if greedy else params.n
    prefix.repeat(copies)
    device = prefix.logits.device
    total, limit = prefix.rows, params.max_new_tokens
    allowed = allowed_tokens(prefix.logits.shape[-1], suppressed, device)
    ends = torch.tensor(end_ids, dtype=torch.long, device=device)
    streams = None if greedy else random_streams(keys, params).to(device)

    written = Written.empty(total, limit, device)
    rows = torch.arange(total, device=device)
    left: set[int] = set()

    for step in range(limit):
        logits = prefix.logits.float()
        draw = None if streams is None else streams[rows, step]
        taken = choose(logits, allowed, params, draw)
        live = written.add(rows, step, taken, token_stats(logits, taken), ends)
        leaving = set(leavers()) - left
        if leaving:
            left |= leaving
            live = live[staying(rows[live] // copies, leaving)]
        if len(live) == 0 or step + 1 == limit:
            break
        if leaving or len(live) < _COMPACT_BELOW * len(rows):
            prefix.select(live)
            rows, taken = rows[live], taken[live]
        prefix.extend(taken[:, None])

    done = written.completions()
    repeats = params.n if greedy else 1
    return [done[i : i + copies] * repeats for i in range(0, total, copies)]


def staying(prompts: Tensor, leaving: Collection[int]) -> Tensor:
    """Mask of the rows, given by their prompts' indices, that stay."""
    gone = torch.tensor(sorted(leaving), dtype=torch.long, device=prompts.device)
    return ~torch.isin(prompts, gone)


def choose(logits: Tensor, allowed: Tensor, params: SamplingParams, draw: Tensor | None) -> Tensor:
    """Take the next token of each row.

    Args:
        logits: raw logits, shape (R, V), float32.
        allowed: mask of shape (V,).
        params: temperature and top-p; both act after suppression.
        draw: uniform numbers in [0, 1), shape (R,), or None for greedy decoding.

    Returns:
        Token ids, shape (R,), int64.
    """
    logits = logits.masked_fill(~allowed, -torch.inf)
    if draw is None:
        return logits.argmax(dim=-1)
    probabilities = (logits / params.temperature).softmax(dim=-1)
    if params.top_p < 1:
        ordered, order = probabilities.sort(dim=-1, descending=True)
        before = ordered.cumsum(dim=-1) - ordered
        kept = ordered.masked_fill(before >= params.top_p, 0.0)
        probabilities = torch.zeros_like(kept).scatter(-1, order, kept)
    # in float64 the sums are exact enough that a draw's token does not hang on their order
    cumulative = probabilities.cumsum(dim=-1, dtype=torch.float64)
    target = draw.double()[:, None] * cumulative[:, -1:]
    taken = torch.searchsorted(cumulative, target, right=True).squeeze(-1)
    # where there are no numbers the search ends behind the last token, outside the vocabulary
    return taken.clamp_max(logits.shape[-1] - 1)
