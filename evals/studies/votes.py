"""A question's vote, taken apart: who wins a tally over some of the modules, and is it right."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

from catts.evals.benchmarks.item import Item
from catts.evals.graders.strict import strict
from catts.evals.metrics import majority_at_k
from catts.graph.ledger import Ballot, leader
from catts.graph.trace import Trace
from catts.names import Source


@dataclass(frozen=True)
class Voted:
    """One item and the graph's trace of it."""

    item: Item
    trace: Trace

    @cached_property
    def grades(self) -> dict[str, bool]:
        """Key of an answer to whether it is right, for every answer of the run.

        An answer is graded by the first completion that gave it, so that answers of one key have
        one grade.
        """
        trace = self.trace
        checked = None if trace.self_check is None else trace.self_check.sample
        said = (*trace.samples, trace.reanswer, checked)
        texts: dict[str, str] = {}
        for record in said:
            if record is not None and record.answer is not None:
                texts.setdefault(record.answer, record.text)
        return {key: strict(self.item, text).right for key, text in texts.items()}

    def right(self, key: str | None) -> float:
        """1.0 when the answer of this key is right, else 0.0, no answer being wrong."""
        return float(key is not None and self.grades[key])

    @property
    def keys(self) -> list[str | None]:
        """Key of each sample's answer, in the order in which they were drawn."""
        return [sample.answer for sample in self.trace.samples]

    @property
    def hits(self) -> list[float]:
        """Whether each sample is right: pass@1 is their mean."""
        return [self.right(key) for key in self.keys]

    def majority(self, n: int | None = None) -> float:
        """Chance that the majority of `n` of the samples (all by default) is right."""
        keys = self.keys
        return majority_at_k(keys, [self.right(k) > 0 for k in keys], n) if keys else 0.0

    def winner(self, sources: Iterable[Source], ballots: Sequence[Ballot] | None = None) -> float:
        """Whether the tally over these sources is won by a right answer; 0.0 without a ballot."""
        chosen = frozenset(sources)
        cast = self.trace.ballots if ballots is None else ballots
        standing = leader(ballot for ballot in cast if ballot.source in chosen)
        return 0.0 if standing is None else self.right(standing.answer)

    @property
    def answered(self) -> float:
        """Whether the run's own answer is right."""
        return self.right(self.trace.answer)


def voted(items: Sequence[Item], traces: Sequence[Trace]) -> list[Voted]:
    """Items and traces of one order, side by side."""
    return [Voted(item, trace) for item, trace in zip(items, traces, strict=True)]
