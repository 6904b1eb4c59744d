"""What CDRL needs of every token's distribution, with its gradient and without holding T x V of it.

c_t = -(1/k) sum of log p over the k likeliest next tokens (arXiv 2603.12149; k = 20), from the raw
distribution at temperature 1, and KL(p || q) to the reference's distribution q, exact over the
vocabulary. Logits z are computed a chunk of tokens at a time and again in the backward pass, which
is written out here:

    dc / dz_j  = p_j - (1/k) [j is among the k likeliest]
    dKL / dz_j = p_j (log p_j - log q_j - KL)

So at most two tensors of chunk x V float32 numbers exist at a time, one for the model and one for
its reference, however long the completions are.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

CHUNK = 256
"""Tokens whose logits exist at once."""
_ROWS = 32
"""Tokens of a chunk whose sum over the vocabulary is taken at once: it makes a copy of them."""


@dataclass(frozen=True)
class Reference:
    """The reference model's view of the same tokens."""

    hidden: Tensor
    """Last hidden states, shape (tokens, width), without a gradient."""
    weight: Tensor
    """Its language-model head, shape (vocabulary, width)."""


def token_terms(
    hidden: Tensor, weight: Tensor, *, k: int = 20, reference: Reference | None = None
) -> tuple[Tensor, Tensor | None]:
    """Token confidence c_t and KL to the reference, in float32.

    Args:
        hidden: last hidden states, shape (tokens, width).
        weight: the language-model head, shape (vocabulary, width).
        k: of c_t; the whole vocabulary where it is smaller.
        reference: the model that KL is to; None leaves KL out.

    Returns:
        c_t and KL in nats, each of shape (tokens,), KL >= 0 or None.
    """
    theirs = (None, None) if reference is None else (reference.hidden, reference.weight)
    confidence, divergence = _Terms.apply(hidden, weight, min(k, len(weight)), *theirs)
    return confidence, divergence


class _Terms(torch.autograd.Function):
    """c_t and KL. What is kept for the backward pass has a size by token, not by vocabulary."""

    @staticmethod
    def forward(
        ctx: Any,
        hidden: Tensor,
        weight: Tensor,
        k: int,
        anchor: Tensor | None,
        anchor_weight: Tensor | None,
    ) -> tuple[Tensor, Tensor | None]:
        ctx.set_materialize_grads(False)
        device = hidden.device.type
        # autocast is off in the backward pass, which has to see the same logits
        ctx.dtype = torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else None
        states, head, their_states, their_head = _cast(
            ctx.dtype, hidden, weight, anchor, anchor_weight
        )
        total, their_total, confidence, divergence = (
            hidden.new_zeros(len(hidden), dtype=torch.float32) for _ in range(4)
        )
        likeliest = hidden.new_zeros((len(hidden), k), dtype=torch.long)
        for part in _chunks(len(hidden)):
            logits = _logits(states[part], head)
            total[part] = _log_sums(logits)
            top, likeliest[part] = logits.topk(k, -1)
            confidence[part] = total[part] - top.mean(-1)
            if anchor is not None:
                theirs = _logits(their_states[part], their_head)
                their_total[part] = _log_sums(theirs)
                gap, p = _gap_and_p(logits, total[part], theirs, their_total[part])
                divergence[part] = gap.mul_(p).sum(-1)
                del theirs, gap, p
            del logits  # before the next chunk's are made
        ctx.save_for_backward(
            hidden, weight, anchor, anchor_weight, total, their_total, divergence, likeliest
        )
        return confidence, None if anchor is None else divergence

    @staticmethod
    def backward(ctx: Any, *above: Any) -> tuple[Tensor | None, ...]:
        of_confidence, of_divergence = above
        hidden, weight, *reference, total, their_total, divergence, likeliest = ctx.saved_tensors
        states, head, their_states, their_head = _cast(ctx.dtype, hidden, weight, *reference)
        grads = [
            # sums over chunks need more than 16 bits
            torch.zeros_like(given, dtype=torch.promote_types(given.dtype, torch.float32))
            if needed
            else None
            for given, needed in zip((hidden, weight), ctx.needs_input_grad[:2], strict=True)
        ]
        for part in _chunks(len(hidden)):
            logits = _logits(states[part], head)
            if of_divergence is None:
                slope = logits.sub_(total[part, None]).exp_().mul_(of_confidence[part, None])
            else:
                theirs = _logits(their_states[part], their_head)
                slope, p = _gap_and_p(logits, total[part], theirs, their_total[part])
                slope.sub_(divergence[part, None]).mul_(of_divergence[part, None])
                if of_confidence is not None:
                    slope.add_(of_confidence[part, None])
                slope.mul_(p)
                del theirs, p
            del logits  # as soon as they are not needed: so of two tensors there is never a third
            if of_confidence is not None:
                share = of_confidence[part, None] / likeliest.size(-1)
                slope.scatter_add_(-1, likeliest[part], -share.expand_as(likeliest[part]))
            slope = slope.to(states.dtype)
            if grads[0] is not None:
                grads[0][part] = slope @ head
            if grads[1] is not None:
                _add_product(grads[1], slope.T, states[part])
            del slope
        given = zip(grads, (hidden, weight), strict=True)
        return *(None if g is None else g.to(of.dtype) for g, of in given), None, None, None


def _cast(dtype: torch.dtype | None, *tensors: Tensor | None) -> tuple[Any, ...]:
    return tuple(t if t is None or dtype is None else t.to(dtype) for t in tensors)


def _chunks(tokens: int) -> Iterator[slice]:
    return (slice(start, start + CHUNK) for start in range(0, tokens, CHUNK))


def _logits(hidden: Tensor, weight: Tensor) -> Tensor:
    # the product of 16-bit tensors has their precision; sums over the vocabulary need more
    return (hidden @ weight.T).float()


def _log_sums(logits: Tensor) -> Tensor:
    return torch.cat([rows.logsumexp(-1) for rows in torch.split(logits, _ROWS)])


def _gap_and_p(
    logits: Tensor, total: Tensor, theirs: Tensor, their_total: Tensor
) -> tuple[Tensor, Tensor]:
    """Log p - log q in the place of `theirs`, and p in that of `logits`."""
    log_p = logits.sub_(total[:, None])
    gap = theirs.sub_(their_total[:, None]).neg_().add_(log_p)
    return gap, log_p.exp_()


def _add_product(total: Tensor, left: Tensor, right: Tensor) -> None:
    if total.dtype == left.dtype:
        total.addmm_(left, right)
    else:
        total += left @ right


def sequence_means(values: Tensor, mask: Tensor) -> Tensor:
    """Mean over each row's tokens, shape (rows,); 0 for a row without any.

    Args:
        values: shape (rows, tokens).
        mask: 1 where a token counts, of the same shape.
    """
    return (values * mask).sum(-1) / mask.sum(-1).clamp(min=1)
