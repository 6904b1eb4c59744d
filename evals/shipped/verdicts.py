"""What stored samples and roles amount to: candidates, leader, tallies, right or wrong."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from catts.agents.expert import Candidate
from catts.agents.protocol import Sample
from catts.answers import AnswerKeys, extract_answer, is_correct, read_together
from catts.evals.shipped.items import Item
from catts.graph.context import Policy
from catts.graph.ledger import (
    Ballot,
    candidates,
    critic_ballots,
    leader,
    sample_ballots,
    self_check_ballots,
    spokesman,
    tally,
    voter_ballots,
)
from catts.graph.nodes import read_samples
from catts.graph.records import SampleRecord
from catts.names import Source


def right(item: Item, sample: Sample) -> bool:
    """Whether a completion answers the item's question, a unit that it writes included."""
    return is_correct(sample.text, item.example.answer, item.question)


def accuracy_of(items: Sequence[Item], rows: Sequence[Sequence[Sample]]) -> list[list[float]]:
    """1.0 or 0.0 for each sample of each question."""
    return [[float(right(item, s)) for s in row] for item, row in zip(items, rows, strict=True)]


@dataclass(frozen=True)
class Verdict:
    """A question's vote, module by module, from what is stored."""

    item: Item
    policy: Policy
    samples: tuple[SampleRecord, ...]
    vote: tuple[float, ...] | None = None
    """The voter's probabilities, in the order of `field`; None where the role failed."""
    critique: str | None = None
    """What the critic said of the leader; None where the role failed."""
    reanswer: str | None = None
    """Key of the answer under the critique; None where there is none."""
    self_check: str | None = None
    """Key of the contrastive decoding's answer."""

    @cached_property
    def keys(self) -> AnswerKeys:
        """Keys of answers beside the samples."""
        return AnswerKeys(self.item.question, (sample.said for sample in self.samples))

    @property
    def gold(self) -> str:
        """Key of the right answer."""
        return self.keys.key(self.item.example.answer)

    def key_of(self, sample: Sample) -> str | None:
        """Key of a later completion's answer, None when it holds none."""
        said = extract_answer(sample.text, self.item.question)
        return None if said is None else self.keys.key(said)

    @cached_property
    def field(self) -> tuple[Candidate, ...]:
        """The candidates, the leader of V_internal first."""
        return candidates(self.samples)

    @property
    def spoken(self) -> tuple[str, str]:
        """The leader's answer and the completion that speaks for it; blank without candidates."""
        if not self.field:
            return "", ""
        answer = self.field[0].answer
        return answer, spokesman(self.samples, answer).text

    @property
    def certainty(self) -> float | None:
        """The leader's probability of being right; None without a leader or a mapping."""
        return self.policy.certainty(self.field[0].confidence) if self.field else None

    @property
    def leading(self) -> float:
        """The leader's share of V_internal; 0.0 without one."""
        return self.field[0].share if self.field else 0.0

    @property
    def turned(self) -> int:
        """1 when the critique turned the leader's wrong answer right, -1 the other way, else 0."""
        if self.reanswer is None or not self.field:
            return 0
        return int(self.reanswer == self.gold) - int(self.field[0].answer == self.gold)

    @property
    def unsure(self) -> bool:
        """Whether routing `planned` would ask the critic about the leader."""
        certainty, threshold = self.certainty, self.policy.reflect_below
        return bool(self.field) and (
            certainty is None or threshold is None or certainty < threshold
        )

    @cached_property
    def ballots(self) -> tuple[Ballot, ...]:
        """All ballots of the question."""
        policy = self.policy
        voted = (
            ()
            if self.vote is None
            else voter_ballots(self.field, self.vote, policy.tau1, "the expert")
        )
        return (
            *sample_ballots(self.samples),
            *voted,
            *critic_ballots(self.reanswer, self.spoken[0], policy.tau2),
            *self_check_ballots(self.self_check, policy.tau3, "lock_step", policy.noise_t),
        )

    def won(self, *sources: Source) -> bool:
        """Whether the right answer wins the tally over these sources."""
        standing = leader(b for b in self.ballots if b.source in sources)
        return standing is not None and standing.answer == self.gold

    def share(self, *sources: Source) -> float:
        """The right answer's share of the tally over these sources; 0 without a ballot."""
        votes = tally(self.ballots, sources)
        total = sum(votes.values())
        return votes.get(self.gold, 0.0) / total if total else 0.0

    def margin(self, *sources: Source) -> float:
        """Votes of the right answer minus those of the best other one."""
        votes = tally(self.ballots, sources)
        own = votes.pop(self.gold, 0.0)
        return own - max(votes.values(), default=0.0)


def read_rows(
    items: Sequence[Item], rows: Sequence[Sequence[Sample]], policy: Policy
) -> list[Verdict]:
    """Verdicts of the samples alone."""
    return [
        Verdict(item, policy, read_samples(row, item.question, policy))
        for item, row in zip(items, rows, strict=True)
    ]


def keys_of(item: Item, samples: Sequence[Sample]) -> list[str | None]:
    """Keys of the samples' answers, None for one that holds none."""
    return [found.key for found in read_together((s.text for s in samples), item.question)]
