"""The benchmarks by the names that commands and tasks know them by."""

from collections.abc import Callable
from dataclasses import replace
from typing import Literal, get_args

from catts.embedded.world import Stream
from catts.errors import BenchmarkError
from catts.evals.benchmarks.embedded import load_embedded
from catts.evals.benchmarks.loading import Loaded
from catts.evals.benchmarks.mathvision import load_mathvision
from catts.evals.benchmarks.mathvista import load_mathvista
from catts.evals.benchmarks.mmmu import load_mmmu
from catts.evals.benchmarks.mmstar import load_mmstar

TaskName = Literal["embedded", "mathvista", "mathvision", "mmstar", "mmmu"]
TASKS: tuple[TaskName, ...] = get_args(TaskName)

TUNING_SPLITS: dict[TaskName, str] = {"embedded": "validation", "mmmu": "dev"}
"""Labelled splits that share no question with the one that is reported; the others have none:
MathVision's testmini is part of its test, MathVista's test has no labels, MMStar is one split."""

_DISTRIBUTED: dict[str, Callable[..., Loaded]] = {
    "mathvista": load_mathvista,
    "mathvision": load_mathvision,
    "mmstar": load_mmstar,
    "mmmu": load_mmmu,
}


def load_benchmark(
    name: TaskName,
    source: str | None = None,
    *,
    split: str | None = None,
    limit: int | None = None,
    skip_malformed: bool = False,
) -> Loaded:
    """The questions of a benchmark.

    Args:
        name: which.
        source: a file, a folder or a hub id; None for the benchmark's own hub id. `embedded` draws
            its questions and takes none.
        split: None for the one that the benchmark reports: `test` of `embedded` and `mathvision`,
            `testmini` of `mathvista`, `val` of `mmstar`, `validation` of `mmmu`.
        limit: the first so many questions; None for all, which is 2,000 of `embedded`.
        skip_malformed: leave malformed rows out and list them.

    Raises:
        BenchmarkError: no such split, nothing to read, a malformed row, or a limit below 1.
    """
    if limit is not None and limit < 1:
        raise BenchmarkError(f"a limit of {limit} questions leaves none: give 1 or more")
    if name == "embedded":
        return _embedded(source, split or "test", limit)
    where = {} if source is None else {"source": source}
    part = {} if split is None else {"split": split}
    loaded = _DISTRIBUTED[name](**where, **part, skip_malformed=skip_malformed)
    return replace(loaded, items=loaded.items[:limit])


def _embedded(source: str | None, split: str, limit: int | None) -> Loaded:
    if source is not None:
        raise BenchmarkError(f"embedded draws its questions: leave {source} out")
    streams: tuple[Stream, ...] = get_args(Stream)
    for stream in streams:
        if split == stream:
            return load_embedded(stream) if limit is None else load_embedded(stream, limit)
    raise BenchmarkError(f"embedded has no split {split}: it has {', '.join(streams)}")
