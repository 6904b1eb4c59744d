import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from catts.evals import metrics
from catts.evals.resampled import Resampled

rows = st.lists(st.lists(st.floats(-5, 5), min_size=1, max_size=3), min_size=2, max_size=8)


@given(rows, st.integers(0, 3))
def test_differences_are_those_of_the_paired_bootstrap(data, seed):
    other = [[len(part), *part] for part in data]
    first, second = (Resampled.of(side, n_boot=50, seed=seed) for side in (data, other))
    expected = metrics.paired_difference(data, other, n_boot=50, seed=seed)
    assert (first - second).interval() == pytest.approx(expected)


@given(rows)
def test_one_statistic_has_the_interval_of_the_bootstrap(data):
    for reflected in (False, True):
        expected = metrics.cluster_bootstrap(data, reflected=reflected, n_boot=50)
        assert Resampled.of(data, n_boot=50).interval(reflected=reflected) == expected


def test_resamples_are_the_same_however_wide_the_rows_are(monkeypatch):
    data = [[float(i)] for i in range(7)]
    whole = Resampled.of(data, n_boot=40, seed=3)
    monkeypatch.setattr(metrics, "_CHUNK_CELLS", 21)
    assert np.array_equal(Resampled.of(data, n_boot=40, seed=3).draws, whole.draws)


def test_means_and_ratios_are_taken_resample_by_resample():
    one, two = Resampled(1.0, np.array([1.0, 3.0])), Resampled(2.0, np.array([2.0, 1.0]))
    both = Resampled.mean([one, two])
    assert (both.value, both.draws.tolist()) == (1.5, [1.5, 2.0])
    share = one / two
    assert (share.value, share.draws.tolist()) == (0.5, [0.5, 3.0])


def test_a_share_of_nothing_is_undefined():
    found = Resampled(1.0, np.array([1.0, 1.0])) / Resampled(0.0, np.array([0.0, 2.0]))
    assert not found.defined
    assert found.draws[1] == 0.5
    assert not Resampled.mean([found, Resampled(1.0, np.ones(2))]).defined
    assert not (Resampled.undefined() - Resampled(1.0, np.ones(2))).defined


def test_questions_without_a_row_are_left_out_and_stay_in_their_place():
    data = [[1.0], [], [0.0], [1.0]]
    found = Resampled.of(data, n_boot=300, seed=1)
    assert found.value == pytest.approx(2 / 3)
    same = Resampled.of([[1.0], [5.0], [0.0], [1.0]], n_boot=300, seed=1)
    assert len(found.draws) == len(same.draws)
    with pytest.raises(ValueError, match="no rows"):
        Resampled.of([[], []])
