"""What each patch has to do with a text: by attention and its gradients, or by its own similarity.

Gradient-weighted attention roll-out (Chefer, Gur and Wolf 2021, arXiv 2103.15679): with A the
attention of a layer, per head, and G the gradient of the score by it,

    R <- R + (mean over heads of G * A)+  R,    R = 1 before the first layer,

where ()+ keeps what is positive. The row of R that belongs to the class token, which the score is
read from, is the relevance of every patch. The sum with R is the residual stream: what a layer adds
comes on top of what stood there, before the normalisation of the next block, so in a pre-norm
transformer like CLIP's the rule holds as it stands.

The paper takes ()+ of each head before the mean. Here the heads are summed up first, so that a
patch which one head counts for the score and another against it counts by the balance of both:
the sum over heads of G * A is what the score would lose, to first order, if the class token did not
attend to the patch at all. It finds the evidence better (`docs/embedded.md`).
"""

from collections.abc import Sequence

import torch
from torch import Tensor


def similarity(tokens: Tensor, texts: Tensor) -> Tensor:
    """Relevance of each patch to a text, where patches were trained to be similar to texts.

    max(0, cosine): such a patch tells by itself what it shows. In a CLIP of pictures and captions
    alone a patch does not; there only `rollout` means anything.

    Args:
        tokens: of the patches, taken through the last norm and the projection, (B, patches, D).
        texts: unit vectors, (B, D).

    Returns:
        (B, patches), in [0, 1].
    """
    unit = torch.nn.functional.normalize(tokens, dim=-1)
    return torch.einsum("bpd,bd->bp", unit, texts).clamp(min=0)


def rollout(attention: Sequence[Tensor], gradients: Sequence[Tensor]) -> Tensor:
    """Relevance of each patch to a score, by the rule above.

    Args:
        attention: of each layer, first to last, (B, heads, L, L); token 0 is the class token.
        gradients: of the score by each.

    Returns:
        (B, L - 1), at least 0.
    """
    batch, _, length, _ = attention[0].shape
    relevance = torch.eye(length, device=attention[0].device).expand(batch, -1, -1)
    for weights, gradient in zip(attention, gradients, strict=True):
        relevance = relevance + (gradient * weights).mean(dim=1).clamp(min=0) @ relevance
    return relevance[:, 0, 1:]
