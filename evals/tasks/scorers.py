"""The graders as Inspect scorers: they read the trace and the item from the log alone."""

import asyncio
from collections.abc import Callable

from inspect_ai.scorer import (
    Metric,
    SampleScore,
    Score,
    Scorer,
    Target,
    accuracy,
    metric,
    scorer,
    stderr,
)  # fmt: skip
from inspect_ai.solver import TaskState

from catts.evals.benchmarks.by_name import TaskName
from catts.evals.benchmarks.item import Item
from catts.evals.graders import mathvision, mathvista, mmmu, mmstar
from catts.evals.graders.grade import GUESSED, Grade, voted_answer
from catts.evals.graders.strict import judge
from catts.evals.tasks.samples import item_of
from catts.evals.tasks.solver import TRACE
from catts.names import ROLES

_OFFICIAL: dict[TaskName, Callable[[Item, str], Grade]] = {
    "mathvista": mathvista.official,
    "mathvision": mathvision.official,
    "mmstar": mmstar.official,
    "mmmu": mmmu.official,
}


@metric
def unparsed() -> Metric:
    """Replies in which the grader found no answer, of each question's first epoch."""
    return _count(lambda score: score.metadata is not None and score.metadata["unparsed"])


@metric
def guessed() -> Metric:
    """Replies for which the rule made up an answer, of each question's first epoch."""
    return _count(lambda score: score.metadata is not None and score.metadata["guessed"])


@metric
def failed_nodes() -> Metric:
    """Nodes of the graph that failed, in each question's first epoch.

    Inspect makes one score of a question's epochs before it asks for metrics, so that it cannot be
    told of the others here; `catts eval` counts them in the log.
    """
    return _count(lambda score: len((score.metadata or {}).get("failed_nodes", ())))


def _count(of: Callable[[Score], int | bool]) -> Metric:
    def count(scores: list[SampleScore]) -> float:
        return float(sum(of(each.score) for each in scores))

    return count


@scorer(metrics=[accuracy(), stderr(), unparsed(), failed_nodes()])
def strict() -> Scorer:
    """A person's judgement (`catts.evals.graders.strict`), of the answer that won the vote."""
    return _by(judge)


@scorer(metrics=[accuracy(), stderr(), unparsed(), guessed()])
def official(task: TaskName) -> Scorer:
    """The benchmark's own published rule; see `catts.evals.graders`."""
    rule = _OFFICIAL[task]
    return _by(lambda item, answer: rule(item, answer or ""))


def has_official(task: TaskName) -> bool:
    """Whether the benchmark has a published rule."""
    return task in _OFFICIAL


def _by(grade: Callable[[Item, str | None], Grade]) -> Scorer:
    async def score(state: TaskState, target: Target) -> Score:
        trace = state.store.get(TRACE)
        item = item_of(state.metadata)
        answer = voted_answer(item, trace["answer"], trace["answer_text"])
        graded = await asyncio.to_thread(grade, item, answer)
        return Score(
            value="C" if graded.right else "I",
            answer=graded.parsed,
            explanation=graded.note or None,
            metadata={
                "grader": graded.grader,
                "unparsed": graded.parsed is None,
                "guessed": graded.note == GUESSED,
                "failed_nodes": trace["failed_nodes"],
                "unpaid": any(f["error"] == "BudgetSpent" for f in trace["failures"]),
                "cost": {
                    run["node"]: run["usage"]
                    for run in trace["usage"]["nodes"]
                    if run["node"] in ROLES
                },
            },
        )

    return score
