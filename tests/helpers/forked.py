"""Processes that have everything imported when they start: that takes longer than what they do."""

import multiprocessing
import os
import sys
from collections.abc import Callable
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

_PROCESSES = multiprocessing.get_context("forkserver")
_PROCESSES.set_forkserver_preload(
    ["catts.cli", "catts.evals.tasks.running", "catts.agents.engines.transformers_engine",
     "catts.training.trainer", "transformers.models.qwen2_5_vl.modeling_qwen2_5_vl"]
)  # fmt: skip


def forked(
    target: Callable[..., object], *args: Any, said: Path | None = None, **environment: str
) -> BaseProcess:
    """`target(*args)` in a process of its own, begun; what it prints goes to the file `said`."""
    process = _PROCESSES.Process(target=_run, args=(target, args, said, environment))
    process.start()
    return process


def _run(
    target: Callable[..., object],
    args: tuple[Any, ...],
    said: Path | None,
    environment: dict[str, str],
) -> None:
    os.environ.update(environment)
    with (said or Path(os.devnull)).open("w", encoding="utf-8") as out:
        os.dup2(out.fileno(), sys.stdout.fileno())
        os.dup2(out.fileno(), sys.stderr.fileno())
    target(*args)
