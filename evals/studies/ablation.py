"""What each module is worth: every subset of the ballots, from one set of runs."""

from collections.abc import Mapping, Sequence
from itertools import combinations

from catts.evals.studies.result import Clusters, Estimate, Line
from catts.evals.studies.votes import Voted
from catts.names import MODULES, Source

COLUMNS = ("accuracy", "vs majority", "vs samples")

TITLE = "Ablation: what each module's ballots add"

NOTES = (
    "Every line is a tally over ballots that were cast: all modules ran on every question, with "
    "routing `paper`, so a subset of their ballots is exactly the run without the others.",
    "vs majority, vs samples: difference to the samples' majority and to their weighted vote "
    "on the same questions, paired.",
)


def subsets() -> dict[str, tuple[Source, ...]]:
    """Name of each line to the ballots it counts: the samples' and those of each set of modules."""
    lines: dict[str, tuple[Source, ...]] = {}
    for size in range(len(MODULES) + 1):
        for modules in combinations(MODULES, size):
            name = " + ".join(module.replace("_", "-") for module in modules)
            if size == len(MODULES):
                name = "CA-TTS (all modules)"
            lines[f"+ {name}" if 0 < size < len(MODULES) else name or "confidence-weighted"] = (
                "sample", *modules,
            )  # fmt: skip
    return lines


def ablation(runs: Mapping[str, Sequence[Voted]]) -> list[Line]:
    """The table.

    Args:
        runs: name of a base and expert to the runs of all questions, with routing `paper`.
    """
    lines = []
    for group, votes in runs.items():
        majority: Clusters = [[vote.majority()] for vote in votes]
        weighted: Clusters = [[vote.winner(("sample",))] for vote in votes]
        lines.append(_line(group, "pass@1", [vote.hits or [0.0] for vote in votes], majority))
        lines.append(_line(group, "majority", majority, None))
        for name, sources in subsets().items():
            won = [[vote.winner(sources)] for vote in votes]
            alone = sources == ("sample",)
            lines.append(_line(group, name, won, majority, None if alone else weighted))
    return lines


def _line(
    group: str,
    label: str,
    hits: Clusters,
    majority: Clusters | None,
    weighted: Clusters | None = None,
) -> Line:
    cells = {
        "accuracy": Estimate.mean(hits),
        "vs majority": None if majority is None else Estimate.difference(hits, majority),
        "vs samples": None if weighted is None else Estimate.difference(hits, weighted),
    }
    return Line(group=group, label=label, cells=cells)
