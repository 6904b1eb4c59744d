"""Training arithmetic: matrix products in bfloat16, everything else in float32.

On a CPU with bfloat16 instructions (avx512_bf16) forward and backward of the two embedded models
take about seven tenths of the time; `python -m catts.embedded.step_time` says what it is elsewhere.
Plain autocast does not help there: it hands bfloat16 to attention, whose backward pass is several
times slower in it.
"""

from typing import Any

import torch
from torch import Tensor, nn


class _Bfloat16Product(torch.autograd.Function):
    """y = x W^T with float32 in and out, bfloat16 operands, float32 accumulation."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor) -> Tensor:
        x16, w16 = x.reshape(-1, x.shape[-1]).bfloat16(), weight.bfloat16()
        ctx.save_for_backward(x16, w16)
        return (x16 @ w16.T).float().view(*x.shape[:-1], weight.shape[0])

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, Tensor]:
        x16, w16 = ctx.saved_tensors
        grad = grads[0]
        g16 = grad.reshape(-1, grad.shape[-1]).bfloat16()
        return (g16 @ w16).float().view(*grad.shape[:-1], w16.shape[1]), (g16.T @ x16).float()


def _forward(self: nn.Linear, x: Tensor) -> Tensor:
    product: Tensor = _Bfloat16Product.apply(x, self.weight)
    return product if self.bias is None else product + self.bias


def use_bfloat16_products(model: nn.Module) -> None:
    """Make every linear layer of a model multiply in bfloat16; the weights stay float32."""
    for module in model.modules():
        if type(module) is nn.Linear:
            module.forward = _forward.__get__(module)  # type: ignore[method-assign]
