"""Accuracy against the number of samples: CA-TTS and majority, and their slopes."""

from collections.abc import Mapping, Sequence

import numpy as np
from PIL.Image import Image

from catts.agents.protocol import Engine, Generation, SamplingParams
from catts.evals.replay import EngineBehind
from catts.evals.studies.result import Clusters, Estimate, Line
from catts.evals.studies.votes import Voted
from catts.question import Question

COLUMNS = ("majority", "confidence-weighted", "CA-TTS", "CA-TTS vs majority")

TITLE = "Scaling: accuracy against the number of samples"

NOTES = (
    "majority: the mean over all subsets of that size of the largest set of samples (exact). "
    "CA-TTS: its first n samples, and its roles asked anew for each n, since candidates and the "
    "criticised leader change with n.",
    "slope: of a straight line fitted to accuracy against log2 n, in accuracy per doubling; the "
    "interval resamples questions.",
)


class FirstSamples(EngineBehind):
    """A base model that draws `most` samples once, and gives the first n of them for every n.

    A sample's usage is not known apart from the others': tokens written are those of the samples
    given, the seconds are those of the whole draw.
    """

    def __init__(self, engine: Engine, most: int) -> None:
        """Draw `most` samples whatever smaller number is asked for."""
        super().__init__(engine)
        self._most = most

    async def sample(
        self, question: Question, images: Sequence[Image], params: SamplingParams
    ) -> Generation:
        """The first `params.n` of the samples."""
        most = max(self._most, params.n)
        drawn = await self._engine.sample(question, images, params.model_copy(update={"n": most}))
        samples = drawn.samples[: params.n]
        written = sum(len(sample.token_ids) for sample in samples)
        usage = drawn.usage.model_copy(update={"completion_tokens": written})
        return Generation(samples=samples, usage=usage)


def scaling(runs: Mapping[int, Sequence[Voted]]) -> list[Line]:
    """A line for each n, and one for the slopes.

    Args:
        runs: n to the runs of all questions with n samples; at least two of them. The largest
            holds the samples of the majority's subsets.
    """
    most = runs[max(runs)]
    lines, ways = [], _ways(runs, most)
    for n in sorted(runs):
        cells: dict[str, Estimate] = {w: Estimate.mean(hits[n]) for w, hits in ways.items()}
        cells["CA-TTS vs majority"] = Estimate.difference(ways["CA-TTS"][n], ways["majority"][n])
        lines.append(Line(label=f"n = {n}", cells=dict(cells)))
    slopes = {way: _slopes(hits) for way, hits in ways.items()}
    cells = {way: Estimate.mean(slope) for way, slope in slopes.items()}
    cells["CA-TTS vs majority"] = Estimate.difference(slopes["CA-TTS"], slopes["majority"])
    return [*lines, Line(label="slope per doubling", cells=dict(cells))]


def _ways(
    runs: Mapping[int, Sequence[Voted]], most: Sequence[Voted]
) -> dict[str, dict[int, Clusters]]:
    return {
        "majority": {n: [[vote.majority(n)] for vote in most] for n in runs},
        "confidence-weighted": {
            n: [[v.winner(("sample",))] for v in votes] for n, votes in runs.items()
        },
        "CA-TTS": {n: [[v.answered] for v in votes] for n, votes in runs.items()},
    }


def _slopes(hits: Mapping[int, Clusters]) -> list[list[float]]:
    """Each question's least-squares slope against log2 n; the slope of the means is their mean."""
    sizes = sorted(hits)
    x = np.log2(sizes)
    table = np.array([[row[0] for row in hits[n]] for n in sizes])
    weights = (x - x.mean()) / ((x - x.mean()) ** 2).sum()
    return [[float(slope)] for slope in weights @ table]
