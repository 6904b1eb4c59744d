"""Contrastive decoding against a noised image, both branches in lock-step."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from catts.agents.engines.delivery import Audience, Completion, Delivery, Written
from catts.agents.engines.prefix import Prefix
from catts.agents.engines.room import Room
from catts.agents.engines.token_confidence import allowed_tokens, token_stats
from catts.agents.protocol import ContrastParams


def contrastive_decode(
    prefix: Prefix,
    params: ContrastParams,
    *,
    end_ids: tuple[int, ...],
    suppressed: tuple[int, ...],
    audience: Audience | None = None,
    room: Sequence[int] | None = None,
) -> list[Completion]:
    """Decode greedily under log p_VCD (visual contrastive decoding, arXiv 2311.16922).

    Both branches of a pair extend the same text by the same token at every step. Confidence and
    log-probabilities are those of the clean branch's raw distribution, so they compare with those
    of the samples.

    Args:
        prefix: 2 B rows, B prompts with the clean images and then the same with the noised ones; it
            is consumed.
        params: strength, plausibility and length.
        end_ids: tokens that end a turn.
        suppressed: tokens that are never taken.
        audience: gets each pair's completion, in a list of its own, as soon as it has ended; pairs
            that it names as left are cut at the next step.
        room: most tokens of each pair's completion, at least 1, where the model's context may end
            before `params.max_new_tokens`.

    Returns:
        B completions.

    Raises:
        EngineError: the model gave logits that are NaN or infinite.
    """
    device = prefix.logits.device
    pairs, most = prefix.rows // 2, Room(params.max_new_tokens, room, 1, device)
    allowed = allowed_tokens(prefix.logits.shape[-1], suppressed, device)
    written = Written(pairs, most.limit, device)
    ends = torch.tensor(end_ids, dtype=torch.long, device=device)
    rows = torch.arange(pairs, device=device)
    delivery = Delivery(written, 1, audience)
    for step in range(most.limit):
        clean, noised = prefix.logits.float().chunk(2)
        taken = contrastive_scores(clean, noised, allowed, params).argmax(dim=-1)
        stats = token_stats(clean, taken)
        stats = stats._replace(finite=stats.finite & noised.isfinite().all(dim=-1))
        live = written.add(rows, step, taken, stats, ends)
        if most.ends_at(step + 1):
            live = live[most.beyond(rows[live], step + 1)]
        staying = delivery.after_step(rows[live])
        if staying is not None:
            live = live[staying]
        if len(live) == 0 or step + 1 == most.limit:
            break
        if len(live) < len(rows):
            prefix.select(torch.cat([live, live + len(rows)]))
            rows, taken = rows[live], taken[live]
        prefix.extend(taken.repeat(2)[:, None])
    return [completion for (completion,) in delivery.finish()]


def contrastive_scores(
    clean: Tensor, noised: Tensor, allowed: Tensor, params: ContrastParams
) -> Tensor:
    """Scores that order tokens as (1 + a) log p(y | i, q) - a log p(y | i', q) does.

    Log-probabilities differ from logits by a constant per branch, so logits order alike, and a = 0
    takes exactly the greedy token. Tokens that are not allowed, or implausible under the clean
    image (log p < log b + max log p, the maximum over allowed tokens), score minus infinity.

    Args:
        clean: raw logits under the clean images, shape (..., V), float32.
        noised: the same under the noised images.
        allowed: mask of shape (V,).
        params: strength a and plausibility b.
    """
    permitted = clean.masked_fill(~allowed, -torch.inf)
    limit = math.log(params.beta) if params.beta > 0 else -math.inf
    floor = permitted.amax(dim=-1, keepdim=True) + limit
    scores = permitted if params.alpha == 0 else permitted + params.alpha * (permitted - noised)
    return scores.masked_fill(~allowed | (permitted < floor), -torch.inf)
