"""How much the vote's weights matter: accuracy over a grid of tau1, tau2, tau3 (stored ballots)."""

from collections.abc import Mapping, Sequence
from itertools import product

from catts.evals.studies.result import Clusters, Curves, Estimate, Line
from catts.evals.studies.votes import Voted
from catts.graph.ledger import Ballot
from catts.names import Source

GRID = (0.0, 0.25, 0.5, 1.0, 2.0)
COLUMNS = ("tau1", "tau2", "tau3", "accuracy", "vs default", "vs raw")

TITLE = "Weights: accuracy over tau1 (voter), tau2 (critic), tau3 (self-check)"

NOTES = (
    "Ballots as they were cast, each module's scaled to another tau: the roles do not depend on "
    "the taus, so no model is asked again.",
    "vs default: difference to the default weights on the same questions, paired. With this many "
    "lines some interval misses 0 by chance; nothing is chosen here.",
    "mapped against raw: accuracy with the mapped vote weight, and its difference to the raw one "
    "on the same questions, paired; modules were asked anew, since the leader may differ.",
)

_TAUS: dict[Source, str] = {"voter": "tau1", "critic": "tau2", "self_check": "tau3"}


def weights(runs: Mapping[str, Sequence[Voted]], grid: Sequence[float] = GRID) -> list[Line]:
    """A line for each point of the grid.

    Args:
        runs: name of a vote weight (`raw`, `mapped`) to the runs of all questions, with routing
            `paper` and taus above 0.
        grid: values of each tau, >= 0.

    Raises:
        ValueError: a run's tau is 0: its ballots say nothing of other weights.
    """
    lines = []
    for group, votes in runs.items():
        default: Clusters = [[vote.answered] for vote in votes]
        for taus in product(grid, repeat=3):
            won: Clusters = [[vote.winner(_ALL, scaled(vote, taus))] for vote in votes]
            cells = dict(zip(("tau1", "tau2", "tau3"), taus, strict=True)) | {
                "accuracy": Estimate.mean(won),
                "vs default": Estimate.difference(won, default),
            }
            lines.append(Line(group=group, label=", ".join(f"{t:g}" for t in taus), cells=cells))
    if {"mapped", "raw"} <= runs.keys():
        lines += [_mapped_against_raw(runs, "samples alone", ("sample",))]
        lines += [_mapped_against_raw(runs, "all modules, default taus", _ALL)]
    return lines


def curves(runs: Mapping[str, Sequence[Voted]], grid: Sequence[float] = GRID) -> Curves:
    """Accuracy against each tau, the other two as they were in the runs."""
    drawn: Curves = {}
    for group, votes in runs.items():
        for place, (source, tau) in enumerate(_TAUS.items()):
            points = []
            for value in grid:
                hits: Clusters = [
                    [vote.winner(_ALL, scaled(vote, _changed(vote, place, value)))]
                    for vote in votes
                ]
                points.append((value, Estimate.mean(hits)))
            drawn[f"{group} vote weight: {tau} ({source.replace('_', '-')})"] = tuple(points)
    return drawn


_ALL: tuple[Source, ...] = ("sample", "voter", "critic", "self_check")


def scaled(vote: Voted, taus: Sequence[float]) -> list[Ballot]:
    """The run's ballots, had tau1, tau2 and tau3 been `taus`."""
    policy = vote.trace.policy
    wanted = dict(zip(_TAUS, taus, strict=True))
    ballots = []
    for ballot in vote.trace.ballots:
        if ballot.source in _TAUS:
            cast = getattr(policy, _TAUS[ballot.source])
            if cast == 0:
                raise ValueError(f"{_TAUS[ballot.source]} is 0 in the run: nothing can be scaled")
            weight = ballot.weight / cast * wanted[ballot.source]
            ballots.append(ballot.model_copy(update={"weight": weight}))
        else:
            ballots.append(ballot)
    return ballots


def _changed(vote: Voted, place: int, value: float) -> list[float]:
    """The run's own taus with one of them changed."""
    taus = [getattr(vote.trace.policy, tau) for tau in _TAUS.values()]
    return [*taus[:place], value, *taus[place + 1 :]]


def _mapped_against_raw(
    runs: Mapping[str, Sequence[Voted]], label: str, sources: Sequence[Source]
) -> Line:
    mapped, raw = ([[vote.winner(sources)] for vote in runs[name]] for name in ("mapped", "raw"))
    cells = {"accuracy": Estimate.mean(mapped), "vs raw": Estimate.difference(mapped, raw)}
    return Line(group="mapped against raw", label=label, cells=dict(cells))
