"""An Inspect log of ours, read back: items, traces, grades and the pictures of the transcript."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from zipfile import BadZipFile

from inspect_ai.log import (
    EvalSample,
    read_eval_log,
    read_eval_log_sample_summaries,
    read_eval_log_samples_by_id,
)

from catts.errors import ReportError
from catts.evals.benchmarks.item import Item
from catts.evals.tasks.samples import FACTS, item_of
from catts.evals.tasks.solver import TRACE
from catts.evals.tasks.spans import pictures_of
from catts.graph.trace import Trace, trace_of

_TOGETHER = 32
"""Samples that are read at a time: each may hold a picture's worth of text."""


@dataclass(frozen=True)
class LoggedRun:
    """One sample of one epoch."""

    item: Item
    epoch: int
    trace: Trace
    grades: Mapping[str, bool]
    """Grader to whether it found the answer right; empty before scoring."""
    pictures: tuple[bytes, ...]
    """Thumbnails of the question's pictures, as the transcript shows them."""
    noised: tuple[bytes, ...]
    """The same of what the self-check saw."""
    maps: tuple[bytes, ...] = ()
    """The same of where its noise went, for runs that looked for a key region."""
    heats: tuple[bytes, ...] = ()
    """The same of the saliency that those regions were found in."""


@dataclass(frozen=True)
class Log:
    """What a log holds, also one whose run was killed."""

    task: str
    epochs: int
    total: int
    """Samples, epochs apart, that the run was asked for."""
    runs: Sequence[LoggedRun]
    """Those that were answered, in the benchmark's order."""


def read_log(path: Path) -> Log:
    """Read the `.eval` file of a run of `catts eval` or `inspect eval catts/...`.

    Raises:
        ReportError: the file cannot be read, or its samples are no runs of the graph.
        TraceError: a trace is of another version.
    """
    try:
        header = read_eval_log(str(path), header_only=True)
        summaries = read_eval_log_sample_summaries(str(path))
    except FileNotFoundError as error:
        raise ReportError(f"there is no log {path}; check the path") from error
    except (OSError, BadZipFile, ValueError, KeyError) as error:
        raise ReportError(f"{path} cannot be read as an Inspect log: {error}") from error
    order = {str(name): n for n, name in enumerate(header.eval.dataset.sample_ids or ())}
    answered = [(summary.id, summary.epoch) for summary in summaries if summary.error is None]
    answered.sort(key=lambda told: (order.get(str(told[0]), len(order)), told[1]))
    runs = tuple(_logged(sample, path) for sample in _samples(path, answered))
    epochs = header.eval.config.epochs or 1
    return Log(header.eval.task, epochs, len(order) * epochs, runs)


def _samples(path: Path, wanted: Sequence[tuple[str | int, int]]) -> Iterator[EvalSample]:
    for start in range(0, len(wanted), _TOGETHER):
        some = wanted[start : start + _TOGETHER]
        yield from read_eval_log_samples_by_id(str(path), some, resolve_attachments="full")


def _logged(sample: EvalSample, path: Path) -> LoggedRun:
    where = f"sample {sample.id} of {path}"
    if TRACE not in sample.store or FACTS not in sample.metadata:
        raise ReportError(
            f"{where} is no run of the graph; give a log that `catts eval` or "
            "`inspect eval catts/...` wrote"
        )
    shown = pictures_of(sample.events)
    return LoggedRun(
        item=item_of(sample.metadata),
        epoch=sample.epoch,
        trace=trace_of(sample.store[TRACE], where),
        grades={name: score.value == "C" for name, score in (sample.scores or {}).items()},
        pictures=shown.clean,
        noised=shown.noised,
        maps=shown.maps,
        heats=shown.heats,
    )
