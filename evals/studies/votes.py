"""A question's vote, taken apart: who wins a tally over some of the modules, and is it right."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

from catts.agents.expert import Candidate
from catts.evals.benchmarks.item import Item
from catts.evals.graders.strict import strict
from catts.evals.metrics import majority_at_k
from catts.graph.ledger import Ballot, candidates, leader, sample_ballots
from catts.graph.trace import Trace
from catts.names import Source
from catts.tuning import Tuning


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

    @cached_property
    def field(self) -> tuple[Candidate, ...]:
        """The candidates, the leader of V_internal first."""
        return candidates(self.trace.samples)

    @property
    def certainty(self) -> float | None:
        """The leader's probability of being right; None without a leader or a mapping."""
        return self.trace.policy.certainty(self.field[0].confidence) if self.field else None

    @property
    def leading(self) -> float:
        """The leader's share of V_internal; 0.0 without one."""
        return self.field[0].share if self.field else 0.0

    @property
    def turned(self) -> int:
        """1 when the critique turned the leader's wrong answer right, -1 the other way, else 0."""
        under = self.trace.reanswer
        if under is None or under.answer is None or not self.field:
            return 0
        return int(self.right(under.answer) - self.right(self.field[0].answer))

    def won(self, *sources: Source) -> bool:
        """Whether a right answer wins the tally over these sources."""
        return self.winner(sources) > 0

    def reweighed(self, policy: Tuning) -> float:
        """Whether a right answer had won the samples' vote, weighed as `policy` says.

        The samples are those of the run, the kind of confidence may be another.
        """
        kind = policy.confidence_kind
        told = [(s, s.confidences.get(kind)) for s in self.trace.samples]
        weighed = [
            s.model_copy(
                update={
                    "confidence": c,
                    "confidence_kind": kind,
                    "weight": None if c is None else policy.weight(c),
                }
            )
            for s, c in told
        ]
        return self.winner(("sample",), sample_ballots(weighed))

    @property
    def answered(self) -> float:
        """Whether the run's own answer is right."""
        return self.right(self.trace.answer)


def voted(items: Sequence[Item], traces: Sequence[Trace]) -> list[Voted]:
    """Items and traces of one order, side by side."""
    return [Voted(item, trace) for item, trace in zip(items, traces, strict=True)]
