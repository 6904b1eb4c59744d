"""How much the vote's weights matter: accuracy over a grid of tau1, tau2, tau3 (stored ballots)."""

from collections.abc import Mapping, Sequence
from itertools import product

from catts.evals.studies.result import Clusters, Estimate, Line
from catts.evals.studies.votes import Voted
from catts.graph.context import Policy
from catts.graph.ledger import Ballot
from catts.names import Source

GRID = (0.0, 0.25, 0.5, 1.0, 2.0)
COLUMNS = ("tau1", "tau2", "tau3", "accuracy", "vs default")

TITLE = "Weights: accuracy over tau1 (voter), tau2 (critic), tau3 (self-check)"

NOTES = (
    "Ballots as they were cast, each module's scaled to another tau: the roles do not depend on "
    "the taus, so no model is asked again.",
    "vs default: difference to the default weights on the same questions, paired. With this many "
    "lines some interval misses 0 by chance; nothing is chosen here.",
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
    return lines


_ALL: tuple[Source, ...] = ("sample", "voter", "critic", "self_check")


def scaled(vote: Voted, taus: Sequence[float]) -> list[Ballot]:
    """The run's ballots, had tau1, tau2 and tau3 been `taus`."""
    policy: Policy = vote.trace.policy
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
