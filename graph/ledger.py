"""The shared voting dictionary: a ledger of ballots, and the tally that is derived from it.

V_final[a] = V_internal[a] + tau1 * p_voter(a) + tau2 * [a = reflected] + tau3 * [a = self-check]
(arXiv 2603.12149). Every summand is a ballot, so the votes of an answer are exactly the sum of its
ballots' weights, ballots commute, and a tally over any subset of the modules is a filter away.
"""

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import NamedTuple

from pydantic import Field

from catts.agents.expert import Candidate
from catts.graph.records import SampleRecord
from catts.names import SOURCES, Source
from catts.records import Record

Votes = Mapping[str, float]
"""Answer to the sum of its ballots' weights."""


class Ballot(Record):
    """One summand of V_final."""

    source: Source
    answer: str
    """Key of the answer (`catts.answers.AnswerKeys`)."""
    weight: float = Field(ge=0, allow_inf_nan=False)
    """What it adds to the answer's votes. The samples' ballots sum to 1 between them."""
    reason: str
    """Where the weight comes from, for people."""

    @property
    def order(self) -> tuple[int, str]:
        """Sort key that makes any two orders of the same ballots one."""
        return SOURCES.index(self.source), self.model_dump_json()


class Standing(NamedTuple):
    """Who leads a tally."""

    answer: str
    votes: float
    lead: float
    """Votes ahead of the second answer; all of its votes when there is no second."""


def sample_ballots(samples: Sequence[SampleRecord]) -> tuple[Ballot, ...]:
    """V_internal as ballots: w(C_i) over the sum of all w(C), one ballot per voting sample.

    A sample without a readable answer, or without a confidence of the voting kind, casts none. When
    every weight is 0 the samples count alike: a share cannot be taken of nothing.
    """
    voting = [(i, s, s.answer, s.weight) for i, s in enumerate(samples)]
    total = math.fsum(w for _, _, a, w in voting if a is not None and w is not None)
    count = sum(a is not None and w is not None for _, _, a, w in voting)
    return tuple(
        Ballot(
            source="sample",
            answer=answer,
            weight=weight / total if total > 0 else 1 / count,
            reason=f"sample {i + 1}: {sample.confidence_kind} {sample.confidence:.4g}",
        )
        for i, sample, answer, weight in voting
        if answer is not None and weight is not None
    )


def voter_ballots(
    field: Sequence[Candidate], probabilities: Sequence[float], tau1: float, voter: str
) -> tuple[Ballot, ...]:
    """tau1 votes shared out among the candidates by the probabilities that the voter gave them.

    Args:
        field: the candidates that it judged.
        probabilities: one for each of them, in [0, 1], summing to 1.
        tau1: votes in all, >= 0.
        voter: its name.

    Raises:
        ValueError: there are more or fewer probabilities than candidates.
    """
    alone = len(field) == 1
    return tuple(
        Ballot(
            source="voter",
            answer=candidate.answer,
            weight=tau1 * p,
            reason="the only candidate" if alone else f"probability {p:.3f} given by {voter}",
        )
        for candidate, p in zip(field, probabilities, strict=True)
    )


def critic_ballots(answer: str | None, criticised: str, tau2: float) -> tuple[Ballot, ...]:
    """tau2 votes for the base model's answer under the critique of `criticised`; none without one.

    Both answers are keys.
    """
    if answer is None:
        return ()
    changed = "kept" if answer == criticised else f"revised {criticised}"
    reason = f"{changed} under the critique"
    return (Ballot(source="critic", answer=answer, weight=tau2, reason=reason),)


def self_check_ballots(answer: str | None, tau3: float, method: str, t: int) -> tuple[Ballot, ...]:
    """tau3 votes for the answer (its key) that rests on what is seen; none without one.

    `method` and the noise step `t` say how it was found.
    """
    if answer is None:
        return ()
    reason = f"{method.replace('_', ' ')} against noise at t = {t}"
    return (Ballot(source="self_check", answer=answer, weight=tau3, reason=reason),)


def tally(ballots: Iterable[Ballot], sources: Collection[Source] | None = None) -> dict[str, float]:
    """Votes per answer, the most first (ties: by answer), from all ballots or some sources only.

    Sums are correctly rounded (`math.fsum`), so no order of the ballots changes a digit.
    """
    weights: dict[str, list[float]] = {}
    for ballot in ballots:
        if sources is None or ballot.source in sources:
            weights.setdefault(ballot.answer, []).append(ballot.weight)
    votes = {answer: math.fsum(parts) for answer, parts in weights.items()}
    return dict(sorted(votes.items(), key=lambda item: (-item[1], item[0])))


def leader(ballots: Iterable[Ballot]) -> Standing | None:
    """The answer with the most votes, or None without a ballot.

    Ties go to the larger share of V_internal, then to the answer that sorts first.
    """
    cast = tuple(ballots)
    votes = tally(cast)
    if not votes:
        return None
    internal = tally(cast, {"sample"})
    ranked = sorted(votes, key=lambda a: (-votes[a], -internal.get(a, 0.0), a))
    second = votes[ranked[1]] if len(ranked) > 1 else 0.0
    return Standing(ranked[0], votes[ranked[0]], votes[ranked[0]] - second)


def candidates(samples: Sequence[SampleRecord]) -> tuple[Candidate, ...]:
    """The distinct answers of the voting samples, the largest share of V_internal first.

    Ties are broken by the answer, so the order depends on what was sampled and never on when: a
    role that prefers the first of a list cannot be swayed by the order of the samples.
    """
    shares = tally(sample_ballots(samples))
    groups: dict[str, list[float]] = {answer: [] for answer in shares}
    for sample in samples:
        if sample.votes and sample.answer is not None and sample.confidence is not None:
            groups[sample.answer].append(sample.confidence)
    return tuple(
        Candidate(
            answer=answer,
            count=len(groups[answer]),
            confidence=math.fsum(groups[answer]) / len(groups[answer]),
            # the shares sum to 1 but for rounding, which must not keep a lone answer below 1
            share=1.0 if len(shares) == 1 else min(1.0, share),
        )
        for answer, share in shares.items()
    )


def spokesman(samples: Sequence[SampleRecord], answer: str) -> SampleRecord:
    """The most confident sample with `answer` (the first of equals): what the critic reads."""
    return max(
        (s for s in samples if s.votes and s.answer == answer),
        key=lambda s: -math.inf if s.confidence is None else s.confidence,
    )
