"""FSDP 2 over processes on a CPU, which torch can do and accelerate leaves to GPUs."""

import os
from typing import Any

import torch
from accelerate import PartialState
from accelerate.utils import DistributedType
from torch import distributed

SETTINGS = {
    "ACCELERATE_USE_FSDP": "true",
    "FSDP_VERSION": "2",
    "FSDP_AUTO_WRAP_POLICY": "TRANSFORMER_BASED_WRAP",
    "FSDP_RESHARD_AFTER_FORWARD": "true",
    "FSDP_STATE_DICT_TYPE": "FULL_STATE_DICT",
    "FSDP_CPU_RAM_EFFICIENT_LOADING": "false",
}


def use_fsdp() -> None:
    """Let accelerate take this process for one of several with a GPU each."""
    os.environ.update(SETTINGS)
    made = PartialState.__init__

    def init(state: Any, *args: Any, **options: Any) -> None:
        made(state, *args, **options)
        if not distributed.is_initialized():
            distributed.init_process_group("gloo")
        state.num_processes = distributed.get_world_size()
        state.process_index = state.local_process_index = distributed.get_rank()
        state.device = torch.device("cpu")
        if state.distributed_type != DistributedType.FSDP:
            state.distributed_type = DistributedType.MULTI_GPU

    PartialState.__init__ = init  # type: ignore[method-assign]
