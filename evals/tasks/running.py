"""Run a task to its end, from wherever an earlier run of the same settings was killed."""

import hashlib
import json
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from inspect_ai import eval_set
from inspect_ai.log import EvalLog
from rich.table import Table

from catts.errors import BenchmarkError, CattsError
from catts.evals.benchmarks.by_name import TASKS, TaskName
from catts.evals.tasks import tasks
from catts.evals.tasks.models import OPENED


@dataclass(frozen=True)
class Outcome:
    """What a run found, read from its log."""

    task: str
    log: Path
    completed: int
    """Samples, epochs apart, that were answered."""
    total: int
    skipped_rows: int
    """Malformed rows that were left out of the benchmark."""
    scores: Mapping[str, Mapping[str, float]]
    """Grader to metric to value, over the completed samples."""
    errors: tuple[str, ...]
    """What the samples that failed said, each thing once."""

    @property
    def complete(self) -> bool:
        """Whether every sample was answered."""
        return self.completed == self.total

    def plain(self) -> dict[str, Any]:
        """As JSON has it."""
        return asdict(self) | {"log": str(self.log), "complete": self.complete}


def run_task(
    name: str,
    *,
    data: str | None,
    split: str | None,
    limit: int | None,
    epochs: int,
    max_samples: int,
    skip_malformed: bool,
    log_dir: Path | None,
    quiet: bool,
    settings: Mapping[str, Any],
) -> Outcome:
    """Run a benchmark, or go on with the run of the same settings that `log_dir` holds.

    Raises:
        InputError: task, files or settings cannot be used; told before anything is asked.
        CattsError: the log could not be finished.
    """
    known: TaskName | None = next((task for task in TASKS if task == name), None)
    if known is None:
        raise BenchmarkError(f"there is no task {name}: there are {', '.join(TASKS)}")
    options = {
        "data": data,
        "split": split,
        "first": limit,
        "skip_malformed": skip_malformed,
        **settings,
    }
    told = json.dumps([name, epochs, options], sort_keys=True).encode()
    folder = log_dir or Path("runs/evals") / f"{name}-{hashlib.sha256(told).hexdigest()[:8]}"
    made = getattr(tasks, known)(**options)
    OPENED.refused = None
    _, logs = eval_set(
        [made],
        log_dir=str(folder),
        model="none/none",
        epochs=epochs,
        max_samples=max_samples,
        # each sample is written as soon as it is scored: a kill costs those under way
        log_buffer=1,
        retry_attempts=0,
        display="none" if quiet else "rich" if sys.stdout.isatty() else "plain",
        score_display=False,
        log_level="error",
    )
    if OPENED.refused is not None:
        raise OPENED.refused
    if not logs or (logs[0].results is None and not logs[0].samples):
        raise CattsError(f"the run in {folder} ended without a result; look at its log")
    return outcome_of(name, logs[0])


def outcome_of(name: str, log: EvalLog) -> Outcome:
    """What a finished log says."""
    results = log.results
    scores = {} if results is None else {
        score.name: {metric: value.value for metric, value in score.metrics.items()}
        for score in results.scores
    }  # fmt: skip
    errors = [s.error.message for s in log.samples or [] if s.error is not None]
    return Outcome(
        task=name,
        log=Path(log.location),
        completed=0 if results is None else results.completed_samples,
        total=0 if results is None else results.total_samples,
        skipped_rows=len((log.eval.metadata or {}).get("skipped_rows", ())),
        scores=scores,
        errors=tuple(dict.fromkeys(errors)),
    )


def as_table(outcome: Outcome) -> Table:
    """The graders side by side, under how much of the run they speak of."""
    state = "" if outcome.complete else ", INCOMPLETE: run the command again for the rest"
    table = Table(
        title=f"{outcome.task}: {outcome.completed:,} of {outcome.total:,} samples completed{state}",
        caption=_caption(outcome),
        title_justify="left",
        caption_justify="left",
    )
    table.add_column("grader")
    columns = list(dict.fromkeys(m for metrics in outcome.scores.values() for m in metrics))
    for column in columns:
        table.add_column(column.replace("_", " "), justify="right")
    for grader, metrics in outcome.scores.items():
        table.add_row(grader, *(_number(metrics.get(column)) for column in columns))
    return table


def _caption(outcome: Outcome) -> str:
    lines = [f"log: {outcome.log}"]
    if outcome.skipped_rows:
        lines.insert(0, f"{outcome.skipped_rows} malformed rows were left out")
    lines += [f"failed: {message}" for message in outcome.errors[:3]]
    return "\n".join(lines)


def _number(value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:,.0f}" if value == int(value) and abs(value) != 1 else f"{value:.3f}"
