"""The peers, each on cases that its paper's formula decides by hand, and what must hold always."""

import math
from collections.abc import Callable

import pytest
from asked import drawn
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import beta

from catts.evals import peers
from catts.evals.peers import Drawn, Elected

numbers = st.floats(0.25, 8.0).map(lambda x: round(x, 3))


@st.composite
def samples(draw: st.DrawFn, least: int = 1) -> list[Drawn]:
    count = draw(st.integers(least, 12))
    return [
        drawn(
            draw(st.sampled_from(["a", "b", "c", None])),
            *draw(st.lists(numbers, min_size=1, max_size=12)),
            logprob=-draw(numbers),
            certainty=draw(numbers),
        )
        for _ in range(count)
    ]


ANY_ORDER: dict[str, Callable[[list[Drawn]], Elected]] = {
    "majority": peers.majority,
    "deepconf": lambda s: peers.deepconf(s, 0.9),
    "deepconf top": lambda s: peers.deepconf(s, 0.1),
    "deepconf tenth": lambda s: peers.deepconf(s, 0.5, None),
    "cisc": lambda s: peers.cisc(s, 0.2),
    "self-certainty": lambda s: peers.self_certainty(s, 0.5),
}


def test_majority_and_its_ties() -> None:
    told = [drawn("a", 1), drawn(None, 1, 1), drawn("b", 1), drawn("b", 1, 1, 1)]
    assert peers.majority(told) == Elected(("b",), 7)
    assert peers.majority(told[:3]) == Elected(("a", "b"), 4)
    assert peers.majority([drawn(None, 1)]) == Elected((), 1)
    assert peers.majority([]) == Elected((), 0)


@pytest.mark.parametrize("name", ANY_ORDER)
@settings(deadline=None)
@given(data=st.data())
def test_the_order_of_the_samples_does_not_matter(name: str, data: st.DataObject) -> None:
    told = data.draw(samples())
    mixed = data.draw(st.permutations(told))
    first, second = ANY_ORDER[name](told), ANY_ORDER[name](mixed)
    assert (set(first.winners), first.tokens) == (set(second.winners), second.tokens)


@pytest.mark.parametrize("name", ANY_ORDER)
@settings(deadline=None)
@given(keys=st.lists(st.sampled_from(["a", "b", None]), min_size=1, max_size=9), level=numbers)
def test_equal_confidences_leave_the_majority(
    name: str, keys: list[str | None], level: float
) -> None:
    told = [drawn(key, level, logprob=-level, certainty=level) for key in keys]
    assert set(ANY_ORDER[name](told).winners) == set(peers.majority(told).winners)


class TestDeepConf:
    def test_the_lowest_group_is_the_smallest_window_mean(self) -> None:
        assert peers.lowest_group((4, 1, 2, 9), 2) == 1.5
        assert peers.lowest_group((4, 1, 2, 9), 2048) == 4.0
        assert peers.lowest_group((4, 1, 2, 9, 9), None) == 4.0, "a tenth is four tokens at least"
        assert peers.lowest_group((), 2) == 0.0

    def test_the_votes_are_weighted_by_the_lowest_group(self) -> None:
        told = [drawn("a", 5, 1), drawn("a", 1, 1), drawn("b", 3, 3)]
        assert peers.deepconf(told, 1.0, 1).winners == ("b",), "1 + 1 < 3"
        assert peers.deepconf(told, 1.0, 2).winners == ("a",), "3 + 1 > 3"

    @pytest.mark.parametrize(
        ("keep", "n", "voting"),
        [(0.9, 8, 7), (0.1, 8, 1), (0.9, 16, 14), (0.1, 16, 2), (1.0, 8, 8), (0.1, 11, 2),
         (0.1, 10, 1), (0.9, 1, 1)],
    )  # fmt: skip
    def test_who_votes_is_what_numpy_s_percentile_leaves(
        self, keep: float, n: int, voting: int
    ) -> None:
        # each its own answer; a weight of 1 and more, so that all that vote tie but for the surest
        told = [drawn("rest" if i < n - 1 else "top", 1 + i / 1000) for i in range(n)]
        expected = "rest" if voting > 2 else "top"
        assert peers.deepconf(told, keep).winners == (expected,)
        kept = [s for s in told if s.token_confidence[0] >= peers._threshold(
            [s.token_confidence[0] for s in told], keep)]  # fmt: skip
        assert len(kept) == voting

    def test_a_sample_without_an_answer_takes_nobody_s_place(self) -> None:
        told = [drawn(None, 9), drawn("a", 2), drawn("b", 1)]
        assert peers.deepconf(told, 0.1) == Elected(("a",), 3)
        assert peers.deepconf([drawn(None, 9)], 0.1) == Elected((), 1)

    @settings(deadline=None)
    @given(samples())
    def test_all_kept_in_one_group_is_the_confidence_weighted_vote(self, told: list[Drawn]) -> None:
        sums: dict[str, list[float]] = {}
        for s in told:
            if s.key is not None:
                mean = math.fsum(s.token_confidence) / len(s.token_confidence)
                sums.setdefault(s.key, []).append(mean)
        votes = {key: math.fsum(parts) for key, parts in sums.items()}
        best = {key for key, v in votes.items() if v == max(votes.values())}
        assert set(peers.deepconf(told, 1.0).winners) == best

    def test_online_by_hand(self) -> None:
        warm = [drawn("a", 4, 4), drawn("b", 2, 2)]
        later = [
            drawn("b", 3, 1, 9, 9, 9),  # below the threshold of 2.2 with its second token
            drawn("b", 3, 5, 5),
            drawn(None, 9, 9),
            drawn("a", 9),
        ]
        # quantile 0.1 of (2, 4) is 2.2: b's warm-up has no vote, and a agrees with itself
        ended = peers.deepconf_online(warm + later, 0.9, 2, window=1)
        assert ended == Elected(("a",), 4)
        # nobody ever agrees: 2 of 5 tokens of the first; votes a 4 + 9, b 3
        went_on = peers.deepconf_online(warm + later, 0.9, 2, consensus=1.1, window=1)
        assert went_on == Elected(("a",), 4 + 2 + 3 + 2 + 1)
        # once b leads with 3 to nothing
        first = [drawn(None, 4, 4), drawn(None, 2, 2)]
        assert peers.deepconf_online(first + later, 0.9, 2, window=1) == Elected(("b",), 4 + 2 + 3)

    def test_online_ends_with_the_group_that_is_too_low(self) -> None:
        told = [drawn("a", 3, 3), drawn("b", 9, 9, 1, 1, 9, 9)]
        # groups of two: 9, 5, 1: the third ends it, four tokens are written
        ended = peers.deepconf_online(told, 1.0, 1, consensus=1.1, window=2)
        assert ended == Elected(("a",), 2 + 4)

    def test_online_a_tenth_is_one_of_the_warm_up_since_no_length_is_known_yet(self) -> None:
        warm = [drawn("a", *[2.0] * 80), drawn("a", *[2.0] * 40)]  # 60 on average: six tokens
        short = drawn("b", *[9.0] * 8, *[0.0] * 4, *[9.0] * 4)
        # means of six: the lowest holds four zeros and two nines: 3, which is not below 2
        told = peers.deepconf_online([*warm, short], 1.0, 2, consensus=1.1, window=None)
        assert told == Elected(("a",), 120 + 16)
        sinking = drawn("b", *[9.0] * 2, *[0.0] * 30)
        # tokens 2 to 7 are the first six of mean 0; 9 + 0 * 5 over six is 1.5, a token before
        ended = peers.deepconf_online([*warm, sinking], 1.0, 2, consensus=1.1, window=None)
        assert ended.tokens == 120 + 7

    @settings(deadline=None)
    @given(samples(2), st.integers(1, 4), st.sampled_from([0.1, 0.9]))
    def test_online_never_writes_more(self, told: list[Drawn], warmup: int, keep: float) -> None:
        for window in (1, 3, None, 2048):
            ended = peers.deepconf_online(told, keep, warmup, window=window)
            assert ended.tokens <= peers.majority(told).tokens
            assert ended.tokens >= peers.majority(told[:warmup]).tokens


class TestCisc:
    def test_by_hand(self) -> None:
        # probabilities 0.9 and 0.5, 0.5: exp(0.9 / T) against 2 exp(0.5 / T) turns at 0.4 / ln 2
        told = [drawn("a", 1, logprob=math.log(0.9))] + [
            drawn("b", 1, logprob=math.log(0.5)) for _ in range(2)
        ]
        turn = 0.4 / math.log(2)
        assert peers.cisc(told, turn * 0.99).winners == ("a",)
        assert peers.cisc(told, turn * 1.01).winners == ("b",)

    def test_a_small_temperature_takes_the_surest_and_does_not_overflow(self) -> None:
        told = [drawn("b", 1, logprob=-0.5), drawn("b", 1, logprob=-0.5), drawn("a", 1, logprob=0)]
        assert peers.cisc(told, 1e-6).winners == ("a",)

    def test_who_has_no_probability_has_no_vote(self) -> None:
        untold = drawn("b", 1)._replace(mean_logprob=None)
        assert peers.cisc([untold, untold, drawn("a", 1)], 1.0) == Elected(("a",), 3)
        assert peers.cisc([untold], 1.0).winners == ()


class TestSelfCertainty:
    def test_by_hand(self) -> None:
        told = [drawn(k, 1, certainty=c) for k, c in (("a", 9), ("b", 5), ("b", 4), ("a", 1))]
        # ranks 1 to 4 have 4, 3, 2, 1 to the power
        assert peers.self_certainty(told, 1.0).winners == ("a", "b"), "4 + 1 and 3 + 2"
        assert peers.self_certainty(told, 2.0).winners == ("a",), "16 + 1 and 9 + 4"
        assert peers.self_certainty(told, 0.5).winners == ("b",), "2 + 1 and 1.73 + 1.41"

    @settings(deadline=None)
    @given(samples())
    def test_a_power_of_zero_is_the_majority(self, told: list[Drawn]) -> None:
        assert set(peers.self_certainty(told, 0.0).winners) == set(peers.majority(told).winners)

    def test_those_without_an_answer_are_ranked_and_those_unknown_come_last(self) -> None:
        unread, unknown = drawn(None, 1, certainty=9), drawn("b", 1)._replace(self_certainty=None)
        told = [unread, drawn("a", 1, certainty=5), unknown, unknown]
        # a: 3; b: ranks 3 and 4 of equals, 1.5 each
        assert peers.self_certainty(told, 1.0).winners == ("a", "b")


class TestAdaptiveConsistency:
    @settings(deadline=None)
    @given(st.integers(0, 40), st.integers(0, 40))
    def test_the_tail_is_scipy_s(self, first: int, second: int) -> None:
        expected = beta.sf(0.5, first + 1, second + 1)
        assert peers._ahead(first, second) == pytest.approx(expected, abs=1e-12)

    def test_four_that_agree_are_enough(self) -> None:
        told = [drawn("a", 1, 1)] * 8
        assert peers.adaptive_consistency(told) == Elected(("a",), 8), "1 - 1/2^5 > 0.95"
        assert peers.adaptive_consistency(told, 0.9) == Elected(("a",), 6), "1 - 1/2^4 > 0.9"

    def test_one_without_an_answer_counts_for_nobody(self) -> None:
        told = [drawn(None, 1)] + [drawn("a", 1)] * 5
        assert peers.adaptive_consistency(told) == Elected(("a",), 5)

    @settings(deadline=None)
    @given(samples(), st.sampled_from([0.5, 0.8, 0.95]))
    def test_it_never_writes_more_than_the_majority(
        self, told: list[Drawn], confidence: float
    ) -> None:
        ended, whole = peers.adaptive_consistency(told, confidence), peers.majority(told)
        assert ended.tokens <= whole.tokens
        if ended.tokens == whole.tokens:
            assert ended == whole
