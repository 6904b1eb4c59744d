"""The benchmarks as Inspect tasks: `inspect eval catts/mathvision -T base=FOLDER --model none`."""

from inspect import signature
from typing import Any

from inspect_ai import Task, task

from catts.evals.benchmarks.by_name import TaskName
from catts.evals.tasks.models import model_settings
from catts.evals.tasks.samples import dataset, loaded_benchmark
from catts.evals.tasks.scorers import has_official, official, strict
from catts.evals.tasks.solver import catts
from catts.graph.opening import check_settings, open_context


@task
def embedded(**options: Any) -> Task:
    """The package's own drawn world; `options` as of `benchmark_task`."""
    return benchmark_task("embedded", **options)


@task
def mathvista(**options: Any) -> Task:
    """MathVista; `options` as of `benchmark_task`."""
    return benchmark_task("mathvista", **options)


@task
def mathvision(**options: Any) -> Task:
    """MathVision; `options` as of `benchmark_task`."""
    return benchmark_task("mathvision", **options)


@task
def mmstar(**options: Any) -> Task:
    """MMStar; `options` as of `benchmark_task`."""
    return benchmark_task("mmstar", **options)


@task
def mmmu(**options: Any) -> Task:
    """MMMU; `options` as of `benchmark_task`."""
    return benchmark_task("mmmu", **options)


def benchmark_task(
    name: TaskName,
    *,
    data: str | None = None,
    split: str | None = None,
    skip_malformed: bool = False,
    first: int | None = None,
    **settings: Any,
) -> Task:
    """A benchmark, answered by the graph, graded strictly and by its own rule side by side.

    Args:
        name: which.
        data: its files: a file, a folder or a hub id; its own hub id by default.
        split: the one that it reports by default.
        skip_malformed: leave malformed rows out; their number stands in the log's metadata.
        first: load only the first so many questions.
        settings: of `catts.graph.opening.open_context`: base, expert, routing, samples, seed, ...

    Raises:
        BenchmarkError: the files are not there, or a row is malformed.
        InputError: a setting is unknown or out of range; what only loading tells, such as a model
            that is not there, is told when the first sample starts.
    """
    own = signature(open_context).parameters
    check_settings({name: value for name, value in settings.items() if name not in own})
    source = {
        "name": name,
        "data": data,
        "split": split,
        "first": first,
        "skip_malformed": skip_malformed,
    }
    loaded = loaded_benchmark(**source)
    labelled = all(item.answer is not None for item in loaded.items)
    scorers = [strict(), *([official(name)] if has_official(name) else [])]
    return Task(
        name=name,
        dataset=dataset(name, loaded.items),
        solver=catts(source, model_settings(settings)),
        scorer=scorers if labelled else None,
        # all samples run; where one failed the log is no success, and a resumed run asks it again
        fail_on_error=True,
        continue_on_fail=True,
        metadata={"skipped_rows": [str(row) for row in loaded.skipped]},
        version=1,
    )
