"""What the trainings of the embedded models share: schedule, step, optimizers, checkpoint, log."""

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from torch import nn

from catts.errors import InputError
from catts.files import whole_file

Optimizers = Sequence[torch.optim.Optimizer]

_STATE = "state.pt"


def progress_of_steps() -> Progress:
    """A bar of steps, with what the last one found in the field `state`."""
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[state]}"),
    )


def schedule(optimizers: Optimizers, step: int, steps: int, peak: float, warmup: int) -> None:
    """The learning rate of a step: a linear rise over `warmup`, times a cosine fall to 2 %."""
    rising = min(1.0, (step + 1) / warmup)
    falling = 0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * step / steps))
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            group["lr"] = peak * rising * falling


def descend(optimizers: Optimizers, model: nn.Module, loss: torch.Tensor) -> None:
    """One step down the loss, the model's gradient cut to a norm of 1."""
    for optimizer in optimizers:
        optimizer.zero_grad(set_to_none=True)
    loss.backward()  # type: ignore[no-untyped-call]
    nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    for optimizer in optimizers:
        optimizer.step()


def muon_and_adamw(
    matrices: list[nn.Parameter],
    others: list[nn.Parameter],
    *,
    decay: float,
    others_decay: float,
) -> list[torch.optim.Optimizer]:
    """Muon for the matrices, AdamW for embeddings, norms and biases."""
    return [
        torch.optim.Muon(matrices, weight_decay=decay, adjust_lr_fn="match_rms_adamw"),
        torch.optim.AdamW(others, betas=(0.9, 0.98), weight_decay=others_decay),
    ]


def append_log(out: Path, facts: dict[str, Any]) -> None:
    """A line more in `out/log.jsonl`."""
    with (out / "log.jsonl").open("a", encoding="utf-8") as log:
        log.write(json.dumps(facts) + "\n")


def save_state(out: Path, state: dict[str, Any]) -> None:
    """Put `state` in place of the last checkpoint as a whole."""
    with whole_file(out / _STATE) as file:
        torch.save(state, file)


def load_state(out: Path, run: str, device: str, *, decides: str) -> dict[str, Any] | None:
    """The last checkpoint, None where there is none.

    Args:
        out: folder of the run.
        run: what the checkpoint must agree on, under its key `run`.
        device: where tensors go.
        decides: what `run` is made of, for people.

    Raises:
        InputError: it is of another run.
    """
    path = out / _STATE
    if not path.is_file():
        return None
    state: dict[str, Any] = torch.load(path, map_location=device, weights_only=True)
    if state["run"] != run:
        raise InputError(
            f"{out} holds a run of another {decides}; give another folder, or delete this one"
        )
    return state
