"""Weights that several processes hold a share of each: DeepSpeed's ZeRO-3 and torch's FSDP."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.distributed.tensor import DTensor
from transformers.integrations import deepspeed
from trl.trainer.utils import maybe_gather_lm_head_ctx

from catts.errors import InputError
from catts.training.config import CDRLConfig


@contextmanager
def loading_whole(config: CDRLConfig) -> Iterator[None]:
    """Models that are loaded inside are whole on every process, so that they can be asked.

    Under ZeRO-3 transformers would load them in shares, which only a trainer puts together.
    """
    plugin = config.deepspeed_plugin
    if plugin is None:
        yield
        return
    deepspeed.unset_hf_deepspeed_config()
    try:
        yield
    finally:
        deepspeed.set_hf_deepspeed_config(plugin.dschf)


def whole(weight: Tensor) -> Tensor:
    """The whole of a weight that may have been cut, with its gradient; else the weight itself.

    Every process has to ask for it. What was cut is a copy, and so outlives the forward pass.
    """
    if isinstance(weight, DTensor):
        return weight.full_tensor()
    if hasattr(weight, "ds_status"):
        found: Tensor = _Gathered.apply(weight)
        return found
    return weight


class _Gathered(torch.autograd.Function):
    """A parameter of ZeRO-3, whose gradient DeepSpeed takes whole and cuts itself."""

    @staticmethod
    def forward(ctx: Any, weight: torch.nn.Parameter) -> Tensor:
        with maybe_gather_lm_head_ctx(weight):
            return weight.detach().clone()

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        return gradient


def check_sharding(trainer: Any) -> None:
    """Refuse the first version of FSDP, whose cut weights cannot be told from whole ones.

    Raises:
        InputError: the trainer runs under it.
    """
    if trainer.is_fsdp_enabled and not trainer.accelerator.is_fsdp2:
        raise InputError("FSDP's version 1 is not supported: set fsdp_version to 2")


def whole_state(trainer: Any) -> dict[str, Tensor] | None:
    """All weights of a trainer's model, on the main process; None where it holds them anyway.

    Every process has to ask for them.
    """
    if not (trainer.is_deepspeed_enabled or trainer.is_fsdp_enabled):
        return None
    state: dict[str, Tensor] = trainer.accelerator.get_state_dict(trainer.model_wrapped)
    return state
