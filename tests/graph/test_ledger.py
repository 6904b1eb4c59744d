import itertools
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from catts.agents.expert import Candidate
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
from catts.graph.records import SampleRecord
from catts.graph.state import gather
from catts.names import SOURCES


def sample(answer: str | None, weight: float | None, text: str = "") -> SampleRecord:
    return SampleRecord(
        text=text,
        answer=answer,
        confidence=weight,
        confidence_kind="top_k_mean",
        weight=weight,
    )


ANSWERS = st.sampled_from(["1", "2", "3"])
WEIGHTS = st.floats(0, 50, allow_nan=False)
SAMPLES = st.lists(
    st.builds(sample, st.none() | ANSWERS, st.none() | WEIGHTS), min_size=1, max_size=12
)
BALLOTS = st.lists(
    st.builds(
        Ballot,
        source=st.sampled_from(SOURCES),
        answer=ANSWERS,
        weight=st.floats(0, 1, allow_nan=False),
        reason=st.sampled_from(["a", "b"]),
    ),
    max_size=20,
)


def test_v_internal_by_hand() -> None:
    ballots = sample_ballots([sample("3", 2.0), sample("4", 5.0), sample("3", 3.0)])
    assert tally(ballots) == {"3": 0.2 + 0.3, "4": 0.5}
    assert [b.weight for b in ballots] == [0.2, 0.5, 0.3]
    assert "sample 2: top_k_mean 5" in ballots[1].reason


def test_v_final_by_hand() -> None:
    ballots = [
        *sample_ballots([sample("3", 2.0), sample("4", 5.0), sample("3", 3.0)]),
        Ballot(source="voter", answer="3", weight=0.5 * 0.9, reason=""),
        Ballot(source="voter", answer="4", weight=0.5 * 0.1, reason=""),
        Ballot(source="critic", answer="5", weight=0.5, reason=""),
        Ballot(source="self_check", answer="4", weight=0.5, reason=""),
    ]
    assert tally(ballots) == {"4": 0.5 + 0.05 + 0.5, "3": 0.5 + 0.45, "5": 0.5}
    assert list(tally(ballots)) == ["4", "3", "5"]
    assert tally(ballots, {"sample", "voter"}) == {"3": 0.95, "4": 0.55}
    assert tally(ballots, ()) == {}
    standing = leader(ballots)
    assert standing is not None
    assert standing.answer == "4"
    assert standing.lead == pytest.approx(0.1)


def _cast(ballots: tuple[Ballot, ...]) -> list[tuple[str, str, float, str]]:
    return [(b.source, b.answer, b.weight, b.reason) for b in ballots]


def test_the_modules_ballots_by_hand() -> None:
    field = candidates([sample("3", 2.0), sample("4", 5.0)])
    assert _cast(voter_ballots(field, (0.25, 0.75), 0.5, "{it}")) == [
        ("voter", "4", 0.125, "probability 0.250 given by {it}"),
        ("voter", "3", 0.375, "probability 0.750 given by {it}"),
    ]
    assert _cast(voter_ballots(field[:1], (1.0,), 0.5, "it")) == [
        ("voter", "4", 0.5, "the only candidate")
    ]
    assert _cast(critic_ballots("3", "4", 0.25)) == [
        ("critic", "3", 0.25, "revised 4 under the critique")
    ]
    assert _cast(critic_ballots("4", "4", 0.25)) == [
        ("critic", "4", 0.25, "kept under the critique")
    ]
    assert _cast(self_check_ballots("3", 0.75, "lock_step", 500)) == [
        ("self_check", "3", 0.75, "lock step against noise at t = 500")
    ]


def test_a_module_without_an_answer_casts_no_ballot() -> None:
    assert critic_ballots(None, "4", 0.5) == ()
    assert self_check_ballots(None, 0.5, "lock_step", 500) == ()


def test_a_probability_too_many_or_too_few_is_refused() -> None:
    field = candidates([sample("3", 2.0), sample("4", 5.0)])
    for probabilities in ((1.0,), (0.5, 0.25, 0.25)):
        with pytest.raises(ValueError, match="zip"):
            voter_ballots(field, probabilities, 0.5, "it")


@given(SAMPLES)
def test_samples_share_one_vote_between_them(samples: list[SampleRecord]) -> None:
    ballots = sample_ballots(samples)
    voting = [s for s in samples if s.answer is not None and s.weight is not None]
    assert len(ballots) == len(voting)
    if not voting:
        return
    assert math.fsum(b.weight for b in ballots) == pytest.approx(1)
    total = math.fsum(s.weight or 0 for s in voting)
    for answer, votes in tally(ballots).items():
        mine = [s.weight or 0.0 for s in voting if s.answer == answer]
        by_hand = math.fsum(mine) / total if total > 0 else len(mine) / len(voting)
        assert votes == pytest.approx(by_hand)


@given(BALLOTS, st.randoms(use_true_random=False))
def test_any_order_of_ballots_gives_the_same_tally(ballots: list[Ballot], random: object) -> None:
    shuffled = list(ballots)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert list(tally(shuffled).items()) == list(tally(ballots).items())
    assert leader(shuffled) == leader(ballots)


@given(SAMPLES, st.randoms(use_true_random=False))
def test_candidates_do_not_depend_on_the_order_of_samples(
    samples: list[SampleRecord], random: object
) -> None:
    shuffled = list(samples)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert candidates(shuffled) == candidates(samples)


@given(BALLOTS, BALLOTS, BALLOTS)
def test_the_reducer_commutes_and_associates(
    a: list[Ballot], b: list[Ballot], c: list[Ballot]
) -> None:
    assert gather(a, b) == gather(b, a)
    assert gather(gather(a, b), c) == gather(a, gather(b, c))
    assert sorted(gather(a, b), key=repr) == sorted([*a, *b], key=repr), "no ballot is lost"


@given(BALLOTS)
def test_votes_are_the_sum_of_ballots_and_subsets_add_up(ballots: list[Ballot]) -> None:
    votes = tally(ballots)
    for answer in votes:
        assert votes[answer] == math.fsum(b.weight for b in ballots if b.answer == answer)
        parts = [tally(ballots, {s}).get(answer, 0.0) for s in SOURCES]
        assert math.fsum(parts) == pytest.approx(votes[answer])


def test_silent_samples_cast_no_ballot() -> None:
    assert sample_ballots([sample(None, 1.0), sample("3", None)]) == ()
    assert leader(()) is None
    assert candidates([sample(None, 1.0)]) == ()


def test_weights_of_zero_count_alike() -> None:
    assert tally(sample_ballots([sample("3", 0.0), sample("4", 0.0)])) == {"3": 0.5, "4": 0.5}


def test_ties_go_to_the_samples_favourite_then_to_the_first_answer() -> None:
    def ballot(source: str, answer: str, weight: float) -> Ballot:
        return Ballot(source=source, answer=answer, weight=weight, reason="")  # type: ignore[arg-type]

    tied = [ballot("sample", "9", 0.75), ballot("sample", "1", 0.25), ballot("critic", "1", 0.5)]
    for order in itertools.permutations(tied):
        standing = leader(order)
        assert standing is not None
        assert standing == ("9", 0.75, 0.0)
    even = leader([ballot("sample", "9", 0.5), ballot("sample", "1", 0.5)])
    assert even is not None
    assert even.answer == "1"


def test_a_lone_answer_holds_a_share_of_exactly_one() -> None:
    for n in range(1, 60):
        (lone,) = candidates([sample("3", 0.1 + i / 7) for i in range(n)])
        assert lone.share == 1.0


def test_the_spokesman_is_the_most_confident_sample() -> None:
    said = [sample("3", 1.0, "a"), sample("4", 9.0, "b"), sample("3", 2.0, "c"), sample("3", 2.0)]
    assert spokesman(said, "3").text == "c"


@pytest.mark.parametrize("weight", [-0.001, math.inf, math.nan])
def test_a_ballot_adds_a_finite_weight(weight: float) -> None:
    with pytest.raises(ValidationError, match="weight"):
        Ballot(source="critic", answer="3", weight=weight, reason="")
    assert Ballot(source="critic", answer="3", weight=0, reason="").weight == 0


def test_standings_by_hand() -> None:
    lone = sample_ballots([sample("3", 2.0)])
    assert leader(lone) == ("3", 1.0, 1.0), "without a second, the lead is all of its votes"
    cast = [*sample_ballots([sample("3", 3.0), sample("4", 1.0)]), *critic_ballots("4", "3", 0.25)]
    assert leader(cast) == ("3", 0.75, 0.25)


def test_an_answer_of_the_samples_wins_a_tie_against_one_that_no_sample_gave() -> None:
    cast = [*sample_ballots([sample("9", 1.0), sample("8", 1.0)]), *critic_ballots("5", "8", 0.5)]
    assert leader(cast) == ("8", 0.5, 0.0)


def test_candidates_by_hand() -> None:
    said = [sample("4", 2.0), sample("3", 2.0), sample(None, 9.0), sample("3", 4.0)]
    assert candidates([*said, sample("5", None)]) == (
        Candidate(answer="3", count=2, confidence=3.0, share=0.75),
        Candidate(answer="4", count=1, confidence=2.0, share=0.25),
    )


def test_silent_samples_take_no_part_where_all_weights_are_zero() -> None:
    said = [sample("3", 0.0), sample("4", 0.0), sample(None, 0.0), sample("5", None)]
    assert tally(sample_ballots(said)) == {"3": 0.5, "4": 0.5}
