"""The paper's ladder: a single answer, the majority, CA-TTS, and CA-TTS on a trained base."""

from collections.abc import Callable, Mapping, Sequence

from catts.evals.resampled import Resampled
from catts.evals.studies.cdrl import BASE, against
from catts.evals.studies.result import Cell, Clusters, Estimate, Line
from catts.evals.studies.votes import Voted

TITLE = "Ladder: one answer, the majority, CA-TTS, before and after training"

NOTES = (
    "pass@1: the mean of the samples. CA-TTS: all modules, routing `paper`. A line is the mean "
    "over a label's models (seeds), `seeds` is each of them.",
    f"vs pass@1, vs majority: to those of the same models. vs {BASE}: to the same line of the base "
    "model. All differences are paired: every interval resamples questions, the same ones for all "
    "models, which are taken as they are.",
)

_WAYS: dict[str, Callable[[Sequence[Voted]], Clusters]] = {
    "pass@1": lambda votes: [vote.hits for vote in votes],
    "majority": lambda votes: [[vote.majority()] for vote in votes],
    "CA-TTS": lambda votes: [[vote.answered] for vote in votes],
}


def columns(labels: Sequence[str]) -> tuple[str, ...]:
    """Of the table for these labels, `BASE` first."""
    last = (against(labels[1]),) if len(labels) > 2 else ()
    return ("accuracy", "seeds", "vs pass@1", "vs majority", f"vs {BASE}", *last)


def ladder(runs: Mapping[str, Mapping[str, Sequence[Sequence[Voted]]]]) -> list[Line]:
    """A group for each expert, three lines for each label.

    Args:
        runs: name of the expert to label to the runs of its models, one for each seed, with routing
            `paper` and on the same questions; the first label is `BASE`.
    """
    lines = []
    for group, models in runs.items():
        found = {
            label: {
                way: [Resampled.of(hits(votes)) for votes in seeds] for way, hits in _WAYS.items()
            }
            for label, seeds in models.items()
        }
        means = {
            label: {way: Resampled.mean(several) for way, several in ways.items()}
            for label, ways in found.items()
        }
        base, *others = models
        for label, ways in means.items():
            for place, (way, mean) in enumerate(ways.items()):
                compared = {f"vs {lower}": mean - ways[lower] for lower in list(ways)[:place]}
                if label != base:
                    compared[f"vs {BASE}"] = mean - means[base][way]
                if label in others[1:]:
                    compared[against(others[0])] = means[others[0]][way] - mean
                cells: dict[str, Cell] = {"accuracy": Estimate.of(mean.interval())}
                cells["seeds"] = ", ".join(f"{one.value:.3f}" for one in found[label][way])
                cells |= {name: Estimate.of(both.interval()) for name, both in compared.items()}
                lines.append(Line(group=group, label=f"{label}: {way}", cells=cells))
    return lines
