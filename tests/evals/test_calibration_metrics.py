"""Distances of probabilities from what happens: against scikit-learn, by hand, and in general."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics as sk
from sklearn.calibration import calibration_curve

from catts.evals import calibration_metrics as cm
from catts.evals.metrics import cluster_bootstrap

believed = st.lists(st.tuples(st.floats(0, 1), st.integers(0, 1)), min_size=1, max_size=60).map(
    lambda rows: tuple(map(np.array, zip(*rows, strict=True)))
)
weighted = st.lists(
    st.tuples(st.floats(0, 1), st.integers(0, 1), st.integers(0, 3)), min_size=1, max_size=40
).filter(lambda rows: sum(w for *_, w in rows) > 0)


@given(believed)
def test_brier_and_log_loss_equal_sklearn(rows):
    p, right = rows
    assert cm.brier_score(p, right) == pytest.approx(
        sk.brier_score_loss(right, p, labels=[0, 1]), abs=1e-12
    )
    clipped = np.clip(p, cm.CLIP, 1 - cm.CLIP)
    assert cm.log_loss(p, right) == pytest.approx(
        sk.log_loss(right, clipped, labels=[0, 1]), abs=1e-9
    )


def test_a_sure_error_costs_what_the_clipping_says():
    assert cm.log_loss([1.0], [0], clip=0.01) == pytest.approx(-np.log(0.01))
    assert cm.log_loss([0.0], [0], clip=0.01) == pytest.approx(-np.log(0.99))
    with pytest.raises(ValueError, match="it lies between"):
        cm.log_loss([0.5], [1], clip=0.5)


@given(believed)
def test_the_gap_is_belief_minus_accuracy(rows):
    p, right = rows
    assert cm.overconfidence_gap(p, right) == pytest.approx(p.mean() - right.mean(), abs=1e-12)


@pytest.mark.parametrize(("spacing", "strategy"), [("width", "uniform"), ("mass", "quantile")])
@pytest.mark.parametrize("bins", [1, 5, 15])
def test_the_bins_are_sklearn_s(spacing, strategy, bins):
    rng = np.random.default_rng(3)
    p = rng.beta(2, 1, 500)
    right = (rng.random(500) < p).astype(float)
    ours = cm.reliability(p, right, bins=bins, spacing=spacing)
    accuracy, probability = calibration_curve(right, p, n_bins=bins, strategy=strategy)
    assert [b.accuracy for b in ours] == pytest.approx(accuracy)
    assert [b.probability for b in ours] == pytest.approx(probability)
    expected = sum(b.n * abs(b.probability - b.accuracy) for b in ours) / 500
    ece = cm.expected_calibration_error(p, right, bins=bins, spacing=spacing)
    assert ece == pytest.approx(expected)


def test_ece_by_hand():
    # [0, 0.5): 0.1 and 0.3, one right; [0.5, 1]: 0.5, 0.9, 1, two right
    p, right = [0.1, 0.3, 0.5, 0.9, 1.0], [0, 1, 1, 0, 1]
    by_hand = (2 * abs(0.2 - 0.5) + 3 * abs(0.8 - 2 / 3)) / 5
    assert cm.expected_calibration_error(p, right, bins=2) == pytest.approx(by_hand)


def test_a_bin_takes_its_lower_border_and_the_last_one_both():
    p = [0.0, 0.5, 0.5, 1.0]
    assert [b.n for b in cm.reliability(p, [0, 1, 0, 1], bins=2)] == [1, 3]
    assert cm.expected_calibration_error([1.0], [1]) == 0.0
    assert cm.expected_calibration_error([1.0], [0]) == 1.0


def test_bins_of_equal_mass_hold_equally_many_unless_answers_tie():
    p = np.linspace(0.1, 0.9, 40)
    assert [b.n for b in cm.reliability(p, p > 0.5, bins=4, spacing="mass")] == [10] * 4
    tied = [0.2] * 30 + [0.7] * 10
    bins = cm.reliability(tied, [0] * 40, bins=4, spacing="mass")
    assert [b.n for b in bins] == [30, 10]
    assert [b.probability for b in bins] == pytest.approx([0.2, 0.7])
    (only,) = cm.reliability([0.3] * 5, [1, 0, 0, 0, 0], spacing="mass")
    assert (only.n, only.accuracy) == (5, 0.2)


@given(believed, st.integers(1, 20), st.sampled_from(["width", "mass"]))
def test_ece_lies_between_the_gap_and_the_mean_distance(rows, bins, spacing):
    p, right = rows
    ece = cm.expected_calibration_error(p, right, bins=bins, spacing=spacing)
    assert abs(cm.overconfidence_gap(p, right)) <= ece + 1e-12
    assert ece <= np.abs(p - right).mean() + 1e-12
    assert sum(b.n for b in cm.reliability(p, right, bins=bins, spacing=spacing)) == len(p)


@given(weighted, st.integers(1, 6))
def test_a_weight_is_the_row_so_many_times(rows, bins):
    p, right, weight = map(np.array, zip(*rows, strict=True))
    borders = cm.edges(p, bins, "mass")
    for statistic in (
        cm.gap_statistic, cm.brier_statistic, cm.log_loss_statistic(), cm.ece_statistic(borders),
    ):  # fmt: skip
        by_weight = statistic(cm.probable(p, right), weight[None].astype(float))
        repeated = cm.probable(np.repeat(p, weight), np.repeat(right, weight))
        assert by_weight == pytest.approx(statistic(repeated, np.ones((1, len(repeated)))))


def test_noise_adds_to_ece_and_a_reflected_interval_takes_it_off_again():
    """Of well calibrated answers the percentile interval lies above what is true."""
    rng = np.random.default_rng(0)
    p = rng.random((200, 1))
    right = rng.random((200, 1)) < p
    rows = [cm.probable(a, b) for a, b in zip(p, right, strict=True)]
    statistic = cm.ece_statistic(cm.edges(p.ravel()))
    plain = cluster_bootstrap(rows, statistic, n_boot=400)
    mirrored = cluster_bootstrap(rows, statistic, n_boot=400, reflected=True)
    assert plain.low > 0.02
    assert mirrored.low < plain.low
    assert mirrored.low == pytest.approx(2 * plain.estimate - plain.high)
    assert mirrored.high == pytest.approx(2 * plain.estimate - plain.low)


@pytest.mark.parametrize(
    ("p", "right", "words"),
    [
        ([], [], "at least one"),
        ([0.5, np.nan], [1, 0], "at least one"),
        ([0.5], [1, 0], "for each answer"),
        ([1.5], [1], "map a confidence to one first"),
        ([-0.1], [1], "map a confidence to one first"),
        ([0.5], [2], "right, 1, or not, 0"),
    ],
)
def test_what_is_no_probability_is_refused(p, right, words):
    with pytest.raises(ValueError, match=words):
        cm.brier_score(p, right)


def test_no_bins():
    with pytest.raises(ValueError, match="1 or more"):
        cm.expected_calibration_error([0.5], [1], bins=0)
