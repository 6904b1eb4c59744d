"""Run a task to its end, from wherever an earlier run of the same settings was killed."""

import hashlib
import io
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import Any

from inspect_ai import eval_set
from inspect_ai.log import list_eval_logs, read_eval_log, read_eval_log_sample_summaries

from catts.agents.card import ModelCard
from catts.errors import BenchmarkError, CattsError, InputError
from catts.evals.benchmarks.by_name import TASKS, TaskName
from catts.evals.benchmarks.digest import data_digest, overlap
from catts.evals.progress import progress_bar
from catts.evals.tasks import tasks
from catts.evals.tasks.models import AT_WILL, ENDED, OPENED, model_settings
from catts.evals.tasks.outcome import CHOSEN_ON, Outcome, outcome_of, path_of
from catts.evals.tasks.recovered import make_whole, put_aside_torn
from catts.evals.tasks.samples import loaded_benchmark
from catts.graph.blocking import block_on

BUFFERED = 50
"""A log is written so often in the course of a run."""
_ASKED = "asked"
"""Where a log's metadata say what was asked of whom."""


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

    The folder is named by what decides the answers: the context's fingerprint (models, prompts,
    policy), the questions and the epochs. So a checkpoint or card that has changed is asked anew.

    Raises:
        InputError: task, files, settings or `log_dir` cannot be used, or it holds another run; told
            before anything is asked.
        CattsError: the log could not be finished.
    """
    known: TaskName | None = next((task for task in TASKS if task == name), None)
    if known is None:
        raise BenchmarkError(f"there is no task {name}: there are {', '.join(TASKS)}")
    OPENED.at_will = {name: value for name, value in settings.items() if name in AT_WILL}
    settings = {name: value for name, value in settings.items() if name not in AT_WILL}
    source = {"data": data, "split": split, "first": limit, "skip_malformed": skip_malformed}
    made = getattr(tasks, known)(**source, **settings)
    items = loaded_benchmark(known, *source.values()).items
    digest = data_digest(items)
    if log_dir is not None and log_dir.exists():
        _usable(log_dir)
    try:
        # what cannot be loaded is told here, and not by every sample
        context = block_on(OPENED.get(model_settings(settings)))
        asked = {"context": context.fingerprint, "data": digest, "epochs": epochs}
        key = hashlib.sha256(json.dumps([name, asked], sort_keys=True).encode()).hexdigest()[:8]
        folder = log_dir or Path("runs/evals") / f"{name}-{key}"
        _usable(folder)
        put_aside_torn(folder)
        _same_run(folder, asked)
        card = getattr(context.engine, "card", None)
        seen = overlap(card, items) if isinstance(card, ModelCard) else 0
        made.metadata |= {_ASKED: asked, CHOSEN_ON: seen}
        begun = bool(list_eval_logs(str(folder)))
        total, written = len(made.dataset) * epochs, _written(folder)
        with _told(name, total, written, quiet=quiet):
            _, logs = eval_set(
                [made],
                log_dir=str(folder),
                model="none/none",
                epochs=epochs,
                max_samples=max_samples,
                # writing copies the whole log; Inspect's buffer gives back what is not in it yet
                log_buffer=max(1, total // BUFFERED),
                retry_attempts=0,
                retry_immediate=False,
                # its own display shows scores before it says how many samples failed
                display="none",
                log_level="error",
            )
    finally:
        block_on(OPENED.aclose())
    if not logs:
        raise CattsError(f"the run in {folder} ended without a result; look at its log")
    path = path_of(logs[0].location)
    if begun:
        make_whole(path)
    outcome = outcome_of(name, read_eval_log(str(path), header_only=True))
    if outcome.complete:
        _remove_others(folder, path)
    return outcome


def _usable(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(
            f"cannot use {folder} as a folder of logs: {error.strerror}; give another --log-dir"
        ) from error


def _same_run(folder: Path, asked: Mapping[str, Any]) -> None:
    """Refuse to go on with what other models, settings or questions began."""
    for log in list_eval_logs(str(folder)):
        found = (read_eval_log(log, header_only=True).eval.metadata or {}).get(_ASKED)
        if found != asked:
            raise InputError(
                f"{folder} holds a run of other models, settings or questions: give another "
                "--log-dir, or none, and the folder is named by what is asked"
            )


def _remove_others(folder: Path, kept: Path) -> None:
    """Logs of runs that were killed: the complete one holds all that they do."""
    for log in list_eval_logs(str(folder)):
        path = path_of(log.name)
        if path.resolve() != kept.resolve():
            path.unlink(missing_ok=True)


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
