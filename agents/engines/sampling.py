"""The decoding loop: n completions of each prompt from one prefill, confidence taken on the way."""

import hashlib
from collections.abc import Sequence

import torch
from torch import Tensor

from catts.agents.engines.delivery import Audience, Completion, Delivery, Written
from catts.agents.engines.prefix import Prefix
from catts.agents.engines.room import FIRST_COLUMNS, Room
from catts.agents.engines.token_confidence import allowed_tokens, token_stats
from catts.agents.protocol import SamplingParams

_COMPACT_BELOW = 0.75
"""Share of rows still decoding below which the ended ones leave the batch. Leaving costs one copy
of the cache; a row that stays costs its share of every further step."""


class RandomStreams:
    """Uniform numbers in [0, 1) that decide every draw: `n` streams of each key, side by side.

    Each has a generator of its own, seeded by SHA-256 of seed, key and number. So completion i of
    a question is the same whatever n, whatever else is in the batch, and on any device.
    """

    def __init__(self, keys: Sequence[str], params: SamplingParams, device: torch.device) -> None:
        self._longest = params.max_new_tokens
        self._generators = []
        for key in keys:
            for row in range(params.n):
                digest = hashlib.sha256(f"{params.seed}\0{row}\0{key}".encode()).digest()
                generator = torch.Generator().manual_seed(int.from_bytes(digest[:8], "big") >> 1)
                self._generators.append(generator)
        self._drawn = torch.empty(len(self._generators), 0, device=device)

    def at(self, rows: Tensor, step: int) -> Tensor:
        """The numbers of the given streams at a step; steps are asked for in order."""
        drawn = self._drawn.shape[1]
        if step >= drawn:
            more = min(max(drawn, FIRST_COLUMNS), self._longest - drawn)
            made = torch.stack([torch.rand(more, generator=each) for each in self._generators])
            self._drawn = torch.cat([self._drawn, made.to(self._drawn.device)], dim=1)
        return self._drawn[rows, step]


def decode(
    prefix: Prefix,
    params: SamplingParams,
    keys: list[str],
    *,
    end_ids: tuple[int, ...],
    suppressed: tuple[int, ...],
    audience: Audience | None = None,
    room: Sequence[int] | None = None,
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
        audience: gets each prompt's completions as soon as they have ended (of a greedy decoding
            once, not n times); prompts that it names as left are cut at the next step.
        room: most tokens of each prompt's completions, at least 1, where the model's context may
            end before `params.max_new_tokens`.

    Returns:
        B lists of n completions.

    Raises:
        EngineError: the model gave logits that are NaN or infinite.
    """
    greedy = params.temperature == 0
    copies = 1 if greedy else params.n
    prefix.repeat(copies)
    device = prefix.logits.device
    total, most = prefix.rows, Room(params.max_new_tokens, room, copies, device)
    allowed = allowed_tokens(prefix.logits.shape[-1], suppressed, device)
    ends = torch.tensor(end_ids, dtype=torch.long, device=device)
    streams = None if greedy else RandomStreams(keys, params, device)

    written = Written(total, most.limit, device)
    rows = torch.arange(total, device=device)
    delivery = Delivery(written, copies, audience)

    for step in range(most.limit):
        logits = prefix.logits.float()
        draw = None if streams is None else streams.at(rows, step)
        taken = choose(logits, allowed, params, draw)
        live = written.add(rows, step, taken, token_stats(logits, taken), ends)
        # rows at the end of their context must leave: the model may know no position beyond it
        cut = most.ends_at(step + 1)
        if cut:
            live = live[most.beyond(rows[live], step + 1)]
        staying = delivery.after_step(rows[live])
        if staying is not None:
            live = live[staying]
        if len(live) == 0 or step + 1 == most.limit:
            break
        if cut or staying is not None or len(live) < _COMPACT_BELOW * len(rows):
            prefix.select(live)
            rows, taken = rows[live], taken[live]
        prefix.extend(taken[:, None])

    repeats = params.n if greedy else 1
    return [completions * repeats for completions in delivery.finish()]


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
