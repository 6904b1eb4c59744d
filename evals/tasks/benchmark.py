"""What Inspect costs: the same questions through its harness and in a plain loop, in one run.

Both arms do the whole of an evaluation but for loading the models: they draw the questions, answer
each by the graph with the same settings and as many questions under way, and grade the answers. In
each repeat they take turns, so both meet the same machine, and Inspect's time is compared with the
loop's of that repeat.
"""

import asyncio
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from catts.evals.asking import Asking
from catts.evals.benchmarks.embedded import load_embedded
from catts.evals.graders.grade import voted_answer
from catts.evals.graders.strict import judge
from catts.evals.tasks.models import OPENED, model_settings
from catts.evals.tasks.running import run_task
from catts.evals.tasks.samples import loaded_benchmark
from catts.graph.blocking import block_on
from catts.graph.opening import open_context
from catts.records import Record

_FIRST = 8
"""Questions of a round that is not counted: it imports what both arms use."""


class HarnessRow(Record):
    """Seconds of both arms, medians over the repeats with extremes."""

    questions: int
    at_once: int
    repeats: int
    seed: int
    cpus: int
    plain_seconds: float
    plain_range: tuple[float, float]
    inspect_seconds: float
    inspect_range: tuple[float, float]
    plain_accuracy: float
    inspect_accuracy: float
    """Strict, over all repeats: near the loop's, for both did the same (which questions are decoded
    as one batch depends on the clock, and rounding on a batch's shape)."""
    ratio: float
    """Median over the repeats of Inspect's time over the loop's in the same repeat."""
    ratio_range: tuple[float, float]


def run_harness_benchmark(
    questions: int = 200,
    *,
    repeats: int = 3,
    at_once: int = 16,
    seed: int = 0,
    advance: Callable[[int, int], None] = lambda done, total: None,
) -> HarnessRow:
    """Time both arms on the first questions of `embedded` with the shipped models.

    Args:
        questions: of each arm in each repeat.
        repeats: measured rounds of both arms, after a short one that is not.
        at_once: questions under way at a time.
        seed: of the first repeat; each further one draws with the next.
        advance: told after each arm how many of how many are done.
    """
    plain, inspected, right = [], [], np.zeros(2, int)
    for repeat in range(repeats + 1):
        asked = questions if repeat else _FIRST
        settings = {"seed": seed + max(0, repeat - 1)}
        loop, loop_right = _plain(asked, at_once, settings)
        advance(2 * repeat + 1, 2 * repeats + 2)
        task, task_right = _inspected(asked, at_once, settings)
        advance(2 * repeat + 2, 2 * repeats + 2)
        if repeat:
            plain.append(loop)
            inspected.append(task)
            right += np.array([loop_right, task_right])
    ratios = [ours / loop for ours, loop in zip(inspected, plain, strict=True)]
    return HarnessRow(
        questions=questions,
        at_once=at_once,
        repeats=repeats,
        seed=seed,
        cpus=os.cpu_count() or 0,
        plain_seconds=statistics.median(plain),
        plain_range=(min(plain), max(plain)),
        inspect_seconds=statistics.median(inspected),
        inspect_range=(min(inspected), max(inspected)),
        plain_accuracy=right[0] / (questions * repeats),
        inspect_accuracy=right[1] / (questions * repeats),
        ratio=statistics.median(ratios),
        ratio_range=(min(ratios), max(ratios)),
    )


def format_harness(row: HarnessRow) -> str:
    """The row as a Markdown table."""
    return (
        "| arm | seconds | against the loop | accuracy |\n|---|---|---|---|\n"
        f"| plain loop | {_spread(row.plain_seconds, row.plain_range, 1)} | 1 "
        f"| {row.plain_accuracy:.3f} |\n"
        f"| Inspect | {_spread(row.inspect_seconds, row.inspect_range, 1)} "
        f"| {_spread(row.ratio, row.ratio_range, 3)} | {row.inspect_accuracy:.3f} |"
    )


def _spread(value: float, ends: tuple[float, float], digits: int) -> str:
    return f"{value:.{digits}f} ({ends[0]:.{digits}f} to {ends[1]:.{digits}f})"


def _plain(questions: int, at_once: int, settings: dict[str, Any]) -> tuple[float, int]:
    """Seconds of the loop, its models loaded, and how many answers were right."""

    async def ask() -> tuple[float, int]:
        async with open_context(**model_settings(settings)) as context:
            started = time.perf_counter()
            items = load_embedded("test", questions).items
            asking = Asking(items, context, concurrency=at_once, quiet=True)
            traces = await asking.traces("")
            right = sum(
                judge(item, voted_answer(item, trace.answer, trace.answer_text)).right
                for item, trace in zip(items, traces, strict=True)
            )
            return time.perf_counter() - started, right

    return asyncio.run(ask())


def _inspected(questions: int, at_once: int, settings: dict[str, Any]) -> tuple[float, int]:
    """The same through Inspect."""
    block_on(OPENED.get(model_settings(settings)))
    loaded_benchmark.cache_clear()  # the loop draws its questions anew, too
    with tempfile.TemporaryDirectory(prefix="catts-bench-") as folder:
        started = time.perf_counter()
        outcome = run_task(
            "embedded", data=None, split=None, limit=questions, epochs=1, max_samples=at_once,
            skip_malformed=False, log_dir=Path(folder), quiet=True, settings=settings,
        )  # fmt: skip
        seconds = time.perf_counter() - started
    return seconds, round(outcome.scores["strict"]["accuracy"] * questions)
