"""Risk against coverage: by brute force over thresholds and over the orders of equal scores."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from catts.evals import selective
from catts.evals.metrics import scored

answers = st.lists(st.tuples(st.integers(0, 4), st.integers(0, 1)), min_size=1, max_size=40).map(
    lambda rows: tuple(map(np.array, zip(*rows, strict=True)))
)


def test_the_curve_by_hand():
    coverage, risk = selective.risk_coverage([0.9, 0.8, 0.8, 0.1], [1, 1, 0, 0])
    assert coverage.tolist() == [0.25, 0.75, 1.0]
    assert risk == pytest.approx([0.0, 1 / 3, 0.5])


def test_aurc_by_hand():
    # risks of the 1, 2, 3, 4 surest: 0, 1/2, 1/3, 1/2
    assert selective.aurc([4, 3, 2, 1], [1, 0, 1, 0]) == pytest.approx((0.5 + 1 / 3 + 0.5) / 4)


@given(answers)
def test_the_curve_is_what_every_threshold_gives(rows):
    scores, right = rows
    thresholds = sorted(set(scores), reverse=True)
    given_ = [scores >= t for t in thresholds]
    coverage, risk = selective.risk_coverage(scores, right)
    assert coverage == pytest.approx([g.mean() for g in given_])
    assert risk == pytest.approx([1 - right[g].mean() for g in given_])


@given(answers, st.sampled_from([0.0, 0.1, 0.25, 1 / 3, 0.5, 1.0]))
def test_coverage_at_risk_is_the_widest_threshold_that_keeps_it(rows, risk):
    scores, right = rows
    best = 0.0
    for t in set(scores):
        inside = scores >= t
        if (1 - right[inside]).sum() <= risk * inside.sum() + 1e-9:
            best = max(best, inside.mean())
    assert selective.coverage_at_risk(scores, right, risk) == pytest.approx(best)


@given(
    st.lists(st.tuples(st.integers(0, 2), st.integers(0, 1)), min_size=1, max_size=6),
)
def test_aurc_is_the_mean_over_all_orders_of_equal_scores(rows):
    areas = []
    for order in itertools.permutations(rows):
        ranked = sorted(order, key=lambda row: -row[0])
        wrong = np.cumsum([1 - right for _, right in ranked])
        areas.append((wrong / np.arange(1, len(rows) + 1)).mean())
    scores, right = zip(*rows, strict=True)
    assert selective.aurc(scores, right) == pytest.approx(math.fsum(areas) / len(areas))


@given(
    st.lists(
        st.tuples(st.integers(0, 4), st.integers(0, 1), st.integers(0, 3)), min_size=1, max_size=30
    ).filter(lambda rows: sum(w for *_, w in rows) > 0)
)
def test_a_weight_is_the_row_so_many_times(rows):
    scores, right, weight = map(np.array, zip(*rows, strict=True))
    for statistic in (selective.aurc_statistic, selective.coverage_statistic(0.25)):
        by_weight = statistic(scored(scores, right), weight[None].astype(float))
        repeated = scored(np.repeat(scores, weight), np.repeat(right, weight))
        assert by_weight == pytest.approx(statistic(repeated, np.ones((1, len(repeated)))))


@given(answers)
def test_a_rising_change_of_the_scores_changes_nothing(rows):
    scores, right = rows
    assert selective.aurc(np.exp(scores), right) == pytest.approx(selective.aurc(scores, right))


def test_the_best_and_the_worst_order():
    right = np.array([1] * 6 + [0] * 4)
    best, worst = selective.aurc(right, right), selective.aurc(1 - right, right)
    assert best < 0.4 < worst, "the risk of answering all"
    assert selective.aurc(np.zeros(10), right) == pytest.approx(0.4), "no order: always that risk"


def test_what_is_no_risk_is_refused():
    with pytest.raises(ValueError, match="no share of wrong answers"):
        selective.coverage_at_risk([1.0], [1], 1.5)
    with pytest.raises(ValueError, match="at least one"):
        selective.aurc([], [])
