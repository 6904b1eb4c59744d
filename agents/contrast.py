"""Contrastive decoding against a noised image, both branches in lock-step."""

import math

import torch
from torch import Tensor

from catts.agents.prefix import Prefix
from catts.agents.protocol import ContrastParams
from catts.agents.sampling import Completion
from catts.agents.token_confidence import allowed_tokens, token_stats


def contrastive_decode(
    prefix: Prefix, params: ContrastParams, *, end_ids: tuple[int, ...], suppressed: tuple[int, ...]
) -> Completion:
    """Decode greedily under log p_VCD (visual contrastive decoding, arXiv 2311.16922).

    Both branches extend the same text by the same token at every step, as one batch of two.
    Confidence and log-probabilities are those of the clean branch's raw distribution, so they
    compare with those of the samples.

    Args:
        prefix: two rows, the prompt with the clean images and with the noised ones; it is consumed.
        params: strength, plausibility and length.
        end_ids: tokens that end a turn.
        suppressed: tokens that are never taken.
    """
    device = prefix.logits.device
    allowed = allowed_tokens(prefix.logits.shape[-1], suppressed, device)
    token_ids: list[int] = []
    confidence: list[Tensor] = []
    logprobs: list[Tensor] = []
    while len(token_ids) < params.max_new_tokens:
        clean, noised = prefix.logits.float()
        taken = contrastive_scores(clean, noised, allowed, params).argmax()
        stats = token_stats(clean, taken)
        token_ids.append(int(taken))
        confidence.append(stats.confidence)
        logprobs.append(stats.logprobs)
        if token_ids[-1] in end_ids or len(token_ids) == params.max_new_tokens:
            break
        prefix.extend(taken.expand(2, 1))
    return Completion(
        tuple(token_ids),
        tuple(torch.stack(confidence).tolist()),
        tuple(torch.stack(logprobs).tolist()),
        token_ids[-1] in end_ids,
    )


def contrastive_scores(
    clean: Tensor, noised: Tensor, allowed: Tensor, params: ContrastParams
) -> Tensor:
    """Scores that order tokens as (1 + a) log p(y | i, q) - a log p(y | i', q) does.

    Log-probabilities differ from logits by a constant per branch, so logits order alike, and a = 0
    takes exactly the greedy token. Tokens that are not allowed, or implausible under the clean
    image (log p < log b + max log p, the maximum over allowed tokens), score minus infinity.

    Args:
        clean: raw logits under the clean images, shape (V,), float32.
        noised: the same under the noised images.
        allowed: mask of shape (V,).
        params: strength a and plausibility b.
    """
    permitted = clean.masked_fill(~allowed, -torch.inf)
    floor = permitted.max() + math.log(params.beta) if params.beta > 0 else -torch.inf
    scores = permitted if params.alpha == 0 else permitted + params.alpha * (permitted - noised)
    return scores.masked_fill(~allowed | (permitted < floor), -torch.inf)
