"""What an answer costs: accuracy against tokens, expert calls and seconds for each routing."""

from collections.abc import Mapping, Sequence
from statistics import fmean, median

from catts.evals.studies.result import Estimate, Line
from catts.evals.studies.votes import Voted

COLUMNS = (
    "accuracy", "tokens written", "tokens read", "expert calls", "seconds", "modules skipped",
)  # fmt: skip

TITLE = "Cost: accuracy against tokens, expert calls and seconds by routing"

NOTES = (
    "Means over all questions; seconds: the median latency of a question that runs alone on this "
    "machine, over fewer questions, asked live.",
    "modules skipped: share of the modules that the routing left out.",
)


def cost(runs: Mapping[str, Sequence[Voted]], alone: Mapping[str, Sequence[Voted]]) -> list[Line]:
    """A line for each routing.

    Args:
        runs: routing to the runs of all questions.
        alone: routing to runs of some questions, one at a time and by models that were really
            asked: their latency is what a user waits.
    """
    lines = []
    for routing, votes in runs.items():
        total = [vote.trace.usage.total for vote in votes]
        lines.append(
            Line(
                label=routing,
                cells={
                    "accuracy": Estimate.mean([[vote.answered] for vote in votes]),
                    "tokens written": Estimate.mean([[u.completion_tokens] for u in total]),
                    "tokens read": Estimate.mean([[u.prompt_tokens] for u in total]),
                    "expert calls": Estimate.mean(
                        [[vote.trace.usage.expert_calls] for vote in votes]
                    ),
                    "seconds": median(vote.trace.usage.latency for vote in alone[routing]),
                    "modules skipped": fmean(map(_skipped, votes)),
                },
            )
        )
    return lines


def _skipped(vote: Voted) -> float:
    ran = {run.node for run in vote.trace.usage.nodes}
    return 1 - len(ran & {"voter", "critic", "self_check"}) / 3
