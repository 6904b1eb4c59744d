"""What is kept of each token's distribution, taken from raw logits while they are at hand."""

import math
from typing import NamedTuple

import torch
from torch import Tensor

from catts.confidence import TOP_K
from catts.errors import EngineError


class TokenStats(NamedTuple):
    """Three numbers per token and a check; the distribution they come from is not kept."""

    confidence: Tensor
    """c_t = -(1/k) * sum of log p over the k most likely tokens, nats, >= 0, float32."""
    logprobs: Tensor
    """Log-probability of the token that was taken, nats, <= 0, float32."""
    self_certainty: Tensor
    """KL(U || p_t) = -log V - (1/V) * sum of log p over all V tokens, nats, >= 0, float32."""
    finite: Tensor
    """Whether all V logits are finite, bool. Where not, the numbers beside it mean nothing."""


def token_stats(logits: Tensor, token_ids: Tensor) -> TokenStats:
    """Reduce next-token distributions to c_t, the taken token's log p, and self-certainty.

    c_t is that of arXiv 2603.12149, self-certainty that of arXiv 2502.18581. All come from the raw
    distribution at temperature 1: no filter, no suppressed token. So they are the same whether a
    completion is being sampled or scored.

    Args:
        logits: raw logits, shape (..., V), any float dtype; reduced in float32.
        token_ids: the tokens taken, shape (...), int64, each in [0, V).

    Returns:
        Four tensors of shape (...).
    """
    logits = logits.float()
    normaliser = logits.logsumexp(dim=-1)
    k = min(TOP_K, logits.shape[-1])
    confidence = normaliser - logits.topk(k, dim=-1).values.mean(dim=-1)
    taken = logits.gather(-1, token_ids.unsqueeze(-1)).squeeze(-1)
    spread = normaliser - logits.mean(dim=-1) - math.log(logits.shape[-1])
    # rounding may lift a probability of one above one, and a divergence of nothing below nothing
    return TokenStats(
        confidence.clamp_min(0.0),
        (taken - normaliser).clamp_max(0.0),
        spread.clamp_min(0.0),
        logits.isfinite().all(dim=-1),
    )


def not_finite() -> EngineError:
    """What is raised for logits that are no numbers."""
    return EngineError(
        "the model's logits are NaN or infinite: load it with another dtype (float32 or bfloat16, "
        "where it was float16), or check its weights"
    )


def allowed_tokens(vocabulary: int, suppressed: tuple[int, ...], device: torch.device) -> Tensor:
    """Boolean mask of shape (V,): which tokens may be taken."""
    mask = torch.ones(vocabulary, dtype=torch.bool, device=device)
    inside = [token for token in suppressed if token < vocabulary]
    mask[torch.tensor(inside, dtype=torch.long, device=device)] = False
    return mask
