"""The attention of a ViT of open_clip, layer by layer, in the graph of the gradients.

open_clip's blocks call torch's `nn.MultiheadAttention`, which by default never forms the attention,
and where it is asked for it returns a view that nothing depends on: its gradient is nothing. So a
hook on each layer computes the layer's output once more from its own weights, with the attention as
a tensor that the output depends on. The model itself is neither copied nor changed.
"""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from catts.errors import SaliencyError


@contextmanager
def attention_of(visual: nn.Module) -> Iterator[list[Tensor]]:
    """Collect the attention of every layer that runs inside: (B, heads, L, L), rows sum to 1.

    What the vision tower computes inside is the same, up to rounding.

    Args:
        visual: open_clip's `VisionTransformer`; its blocks' attention is `nn.MultiheadAttention`.

    Raises:
        SaliencyError: the vision tower is of another kind.
    """
    layers = attention_layers(visual)
    found: list[Tensor] = []

    def recompute(layer: nn.Module, args: tuple[Any, ...], kwargs: Any, output: Any) -> Any:
        result, attention = _attend(layer, args[0])
        found.append(attention)
        return result, None

    handles = [layer.register_forward_hook(recompute, with_kwargs=True) for layer in layers]
    try:
        yield found
    finally:
        for handle in handles:
            handle.remove()


def attention_layers(visual: nn.Module) -> list[nn.MultiheadAttention]:
    """The attention of each block, first to last.

    Raises:
        SaliencyError: the vision tower is no ViT with a class token and torch's own attention.
    """
    from open_clip.transformer import VisionTransformer

    if isinstance(visual, VisionTransformer) and visual.attn_pool is None:
        layers = [block.attn for block in visual.transformer.resblocks]
        whole = all(isinstance(a, nn.MultiheadAttention) and a.batch_first for a in layers)
        if whole and visual.pool_type == "tok":
            return layers
    raise SaliencyError(
        "saliency needs a ViT of open_clip's own that reads its answer from the class token, such "
        f"as ViT-B-32 or ViT-L-14; this model's vision tower is a {type(visual).__name__} of "
        "another kind: choose another model"
    )


def _attend(layer: Any, x: Tensor) -> tuple[Tensor, Tensor]:
    """softmax(Q K^T / sqrt(d)) V of the layer's own projections, and that softmax."""
    batch, length, width = x.shape
    projected = F.linear(x, layer.in_proj_weight, layer.in_proj_bias)
    split = projected.view(batch, length, 3, layer.num_heads, width // layer.num_heads)
    query, key, value = split.permute(2, 0, 3, 1, 4)
    scores = query @ key.transpose(-1, -2) / math.sqrt(query.shape[-1])
    attention = scores.softmax(dim=-1)
    if not attention.requires_grad:  # the first layer's, since the weights take no gradient
        attention.requires_grad_()
    mixed = (attention @ value).transpose(1, 2).reshape(batch, length, width)
    return layer.out_proj(mixed), attention
