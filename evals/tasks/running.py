"""Run a task to its end, from wherever an earlier run of the same settings was killed."""

import hashlib
import io
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, redirect_stdout
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from inspect_ai import eval_set
from inspect_ai.log import EvalLog, list_eval_logs, read_eval_log_sample_summaries
from rich.table import Table

from catts.errors import BenchmarkError, CattsError
from catts.evals.benchmarks.by_name import TASKS, TaskName
from catts.evals.progress import progress_bar
from catts.evals.tasks import tasks
from catts.evals.tasks.models import ENDED, OPENED, model_settings
from catts.graph.blocking import block_on


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
    total, written = len(made.dataset) * epochs, _written(folder)
    try:
        if written < total:
            # what cannot be loaded is told here, and not by every sample
            block_on(OPENED.get(model_settings(settings)))
        with _told(name, total, written, quiet=quiet):
            _, logs = eval_set(
                [made],
                log_dir=str(folder),
                model="none/none",
                epochs=epochs,
                max_samples=max_samples,
                # writing copies the whole log; Inspect's buffer gives back what is not in it yet
                log_buffer=max(1, total // 50),
                retry_attempts=0,
                retry_immediate=False,
                # its own display shows scores before it says how many samples failed
                display="none",
                log_level="error",
            )
    finally:
        block_on(OPENED.aclose())
    if not logs or (logs[0].results is None and not logs[0].samples):
        raise CattsError(f"the run in {folder} ended without a result; look at its log")
    return outcome_of(name, logs[0])


@contextmanager
def _told(title: str, total: int, written: int, *, quiet: bool) -> Iterator[None]:
    """A bar of samples that ended, also before a kill; Inspect's own words go nowhere."""
    with progress_bar(title, total, done=written, quiet=quiet) as advance:
        ENDED.append(advance)
        try:
            with redirect_stdout(io.StringIO()):
                yield
        finally:
            ENDED.clear()


def _written(folder: Path) -> int:
    """Samples that the latest log of a folder holds."""
    logs = list_eval_logs(str(folder)) if folder.is_dir() else []
    if not logs:
        return 0
    return sum(summary.error is None for summary in read_eval_log_sample_summaries(logs[0]))


def outcome_of(name: str, log: EvalLog) -> Outcome:
    """What a finished log says."""
    results = log.results
    scores = {} if results is None else {
        score.name: {metric: value.value for metric, value in score.metrics.items()}
        for score in results.scores
    }  # fmt: skip
    errors = [s.error for s in read_eval_log_sample_summaries(log.location) if s.error]
    return Outcome(
        task=name,
        log=Path(log.location.removeprefix("file://").removeprefix("file:")),
        completed=0 if results is None else results.completed_samples,
        total=0 if results is None else results.total_samples,
        skipped_rows=len((log.eval.metadata or {}).get("skipped_rows", ())),
        scores=scores,
        errors=tuple(dict.fromkeys(errors)),
    )


def as_table(outcome: Outcome) -> Table:
    """The graders side by side, under how much of the run they speak of."""
    state = "" if outcome.complete else ", INCOMPLETE: run the command again for the rest"
    part = f"{outcome.completed:,} of {outcome.total:,} samples completed"
    table = Table(
        title=f"{outcome.task}: {part}{state}",
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
