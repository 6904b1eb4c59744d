"""The last matrix product of a 16-bit model in float32: from hidden states to logits.

Rounding logits to 16 bits costs some 0.06 nats of c_t and makes the most likely tokens tie. Weights
and hidden states stay in 16 bits; only their products are summed up, and kept, in float32.
"""

from typing import Any

import torch
from torch import Tensor, nn

_WEIGHTS_AT_ONCE = 16 * 1024 * 1024
"""Most weights that are held in float32 at a time (64 MiB): a head may have half a billion."""


class Float32Readout(nn.Linear):
    """A linear layer with 16-bit weights whose results are in float32."""

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 - the name that torch gives it
        """Logits of shape (..., V), float32, from hidden states of shape (..., H)."""
        shape = (*input.shape[:-1], self.out_features)
        bias = self._parameters["bias"]
        if input.is_cuda and input.dtype == self.weight.dtype and bias is None:
            flat = input.reshape(-1, self.in_features)
            return torch.mm(flat, self.weight.t(), out_dtype=torch.float32).view(shape)
        hidden = input.float()
        logits = torch.empty(shape, dtype=torch.float32, device=input.device)
        width = max(1, _WEIGHTS_AT_ONCE // self.in_features)
        for start in range(0, self.out_features, width):
            part = slice(start, start + width)
            logits[..., part] = nn.functional.linear(
                hidden, self.weight[part].float(), None if bias is None else bias[part].float()
            )
        return logits


def read_out_in_float32(model: Any) -> None:
    """Let a model of transformers with a plain 16-bit head give its logits in float32.

    What the model does with its logits afterwards, such as capping them, stays. A float32 head, or
    one of another kind, such as a quantized one, is left as it is.
    """
    head = model.get_output_embeddings()
    if type(head) is not nn.Linear or head.weight.dtype not in (torch.bfloat16, torch.float16):
        return
    head.__class__ = Float32Readout
    if hasattr(head, "_old_forward"):
        # accelerate moves this layer's weights in and out, around the forward that it put aside
        head._old_forward = Float32Readout.forward.__get__(head)
