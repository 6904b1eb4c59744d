"""What CDRL needs of every token's distribution, with its gradient and without holding T x V of it.

c_t = -(1/k) sum of log p over the k likeliest next tokens (arXiv 2603.12149; k = 20), from the raw
distribution at temperature 1, and KL(p || p_ref), exact over the vocabulary. Logits are computed a
chunk of tokens at a time and again in the backward pass, so that the largest tensor has
chunk x V numbers however long the completions are.
"""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

CHUNK = 256
"""Tokens whose logits exist at once."""


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
    confidences, divergences = [], []
    for start in range(0, len(hidden), CHUNK):
        part = slice(start, start + CHUNK)
        anchor = None if reference is None else reference.hidden[part]
        c, kl = checkpoint(
            _terms,
            hidden[part],
            weight,
            min(k, len(weight)),
            anchor,
            None if reference is None else reference.weight,
            use_reentrant=False,
        )
        confidences.append(c)
        if kl is not None:
            divergences.append(kl)
    if not confidences:
        return hidden.new_zeros(0, dtype=torch.float32), None
    return torch.cat(confidences), torch.cat(divergences) if divergences else None


def _terms(
    hidden: Tensor, weight: Tensor, k: int, anchor: Tensor | None, anchor_weight: Tensor | None
) -> tuple[Tensor, Tensor | None]:
    # the product of 16-bit tensors has their precision; sums over the vocabulary need more
    logits = (hidden @ weight.T).float()
    total = logits.logsumexp(-1)
    confidence = total - logits.topk(k, -1).values.mean(-1)
    if anchor is None or anchor_weight is None:
        return confidence, None
    with torch.no_grad():
        log_anchor = (anchor @ anchor_weight.T).float().log_softmax(-1)
    log_p = logits - total[:, None]
    return confidence, (log_p.exp() * (log_p - log_anchor)).sum(-1)


def sequence_means(values: Tensor, mask: Tensor) -> Tensor:
    """Mean over each row's tokens, shape (rows,); 0 for a row without any.

    Args:
        values: shape (rows, tokens).
        mask: 1 where a token counts, of the same shape.
    """
    return (values * mask).sum(-1) / mask.sum(-1).clamp(min=1)
