"""How a run's ballots filled the voting dictionary, step after step."""

from collections.abc import Iterator
from functools import cached_property
from typing import Any

from catts.evals.pages.text import clean, number
from catts.graph.ledger import Ballot, leader, tally
from catts.graph.nodes import answer_text
from catts.graph.state import Output
from catts.graph.trace import Trace
from catts.names import PARTS, SOURCES, Source

SOURCE_TITLE: dict[Source, str] = {part.source: part.title for part in PARTS if part.source}
"""The ballots' sources for people; of the critic, whose ballot is the re-answer's, the latter."""

_SOURCE_OF = {part.node: part.source for part in PARTS}


class Names:
    """Candidates' keys as people read them: the answer as it was written."""

    def __init__(self, trace: Trace) -> None:
        """Name the candidates of `trace`."""
        self._run = Output(
            question=trace.question,
            samples=trace.samples,
            reanswer=trace.reanswer,
            self_check=trace.self_check,
        )

    def __getitem__(self, key: str) -> str:
        return clean(answer_text(self._run, key))


class Filling:
    """The candidates of a run in their final order, and a step for each source of ballots."""

    def __init__(self, trace: Trace) -> None:
        """Take `trace` apart."""
        self._trace = trace
        self._place = {key: place for place, key in enumerate(trace.votes)}

    @cached_property
    def sources(self) -> list[Source]:
        """Who cast ballots, in the order in which the route came by."""
        went = (_SOURCE_OF[to] for d in self._trace.route for to in d.to if to != "decide")
        cast = {ballot.source for ballot in self._trace.ballots}
        # the rest: a trace whose route was cut off
        return [s for s in dict.fromkeys((*went, *SOURCES)) if s in cast]

    def steps(self) -> Iterator[dict[str, Any]]:
        """After each source: its ballots, all totals so far, and who leads."""
        so_far: list[Ballot] = []
        for source in self.sources:
            new = [ballot for ballot in self._trace.ballots if ballot.source == source]
            so_far += new
            votes, standing = tally(so_far), leader(so_far)
            yield {
                "source": source,
                "title": SOURCE_TITLE[source],
                "ballots": [
                    [self._place[b.answer], b.weight, number(b.weight), clean(b.reason)]
                    for b in new
                ],
                "totals": [[votes.get(k, 0.0), number(votes.get(k, 0.0))] for k in self._place],
                "leader": None if standing is None else self._place[standing.answer],
            }
