"""Fitted mappings: scikit-learn's own, monotone, within what data can show, and told apart."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.calibration import CalibratedClassifierCV
from sklearn.frozen import FrozenEstimator
from sklearn.isotonic import IsotonicRegression
from sklearn.linear_model import LogisticRegression

from catts.calibration import ConfidenceMap
from catts.evals.calibrators import cross_mapped, fit_calibrator, fit_isotonic, fit_platt

METHODS = ("isotonic", "platt")


def answers(questions=200, samples=8, seed=0):
    """Rows by question whose chance of being right is a sigmoid of the confidence."""
    rng = np.random.default_rng(seed)
    confidence = rng.normal(3.0, 1.5, (questions, samples))
    chance = 1 / (1 + np.exp(-(1.2 * confidence - 3)))
    right = (rng.random(confidence.shape) < chance).astype(float)
    return [np.stack(pair, axis=1) for pair in zip(confidence, right, strict=True)]


def test_platt_is_sklearn_s_sigmoid_to_the_spacing_of_its_knots():
    data = answers()
    x, y = np.concatenate(data).T
    # a decision function that is the confidence itself: its sigmoid is Platt's
    identity = LogisticRegression().fit([[-1.0], [1.0]], [0, 1])
    identity.coef_, identity.intercept_ = np.array([[1.0]]), np.array([0.0])
    theirs = CalibratedClassifierCV(FrozenEstimator(identity), method="sigmoid")
    theirs.fit(x[:, None], y)
    grid = np.linspace(-1, 7, 200)
    expected = np.clip(theirs.predict_proba(grid[:, None])[:, 1], 0.01, 0.99)
    ours = fit_platt(data, "top_k_mean", "test")
    assert ours.probabilities(grid) == pytest.approx(expected, abs=0.003)
    assert (ours.method, ours.kind) == ("platt", "top_k_mean")


def test_isotonic_is_sklearn_s_at_its_knots():
    data = answers()
    x, y = np.concatenate(data).T
    theirs = IsotonicRegression(y_min=0.01, y_max=0.99, out_of_bounds="clip").fit(x, y)
    ours = fit_isotonic(data, "top_k_mean", "test")
    assert ours.y == pytest.approx(theirs.predict(ours.x), abs=1e-4)
    assert ours.method == "isotonic"


@pytest.mark.parametrize("method", METHODS)
def test_the_data_are_named_with_their_size_and_hash(method):
    data = answers(5, 3)
    fitted = fit_calibrator(method, data, "top_k_mean", "mathvista/testmini")
    assert fitted.fitted_on.startswith("mathvista/testmini, 5 questions x 3 samples, sha256 ")
    assert fitted.name == f"{method} on {fitted.fitted_on}"
    changed = [rows.copy() for rows in data]
    changed[0][0, 1] = 1 - changed[0][0, 1]
    other = fit_calibrator(method, changed, "top_k_mean", "mathvista/testmini")
    assert other.fitted_on != fitted.fitted_on


@settings(deadline=None, max_examples=60)
@given(
    st.lists(
        st.lists(st.tuples(st.floats(-50, 50), st.integers(0, 1)), max_size=4), min_size=1,
        max_size=12,
    ).filter(lambda rows: any(rows)),
    st.sampled_from(METHODS),
)  # fmt: skip
def test_every_mapping_is_one_a_card_can_hold(rows, method):
    data = [np.array(part, dtype=float).reshape(-1, 2) for part in rows]
    fitted = fit_calibrator(method, data, "mean_logprob", "test")
    assert all(0.01 <= y <= 0.99 for y in fitted.y)
    assert ConfidenceMap.model_validate_json(fitted.model_dump_json()) == fitted


def test_a_confidence_that_misleads_is_mapped_to_the_share_that_is_right():
    """The best rising sigmoid on falling data is flat."""
    data = [np.array([[float(c), float(c < 3)]]) for c in range(10)]
    fitted = fit_platt(data, "top_k_mean", "test")
    # three of ten, each target pulled in: (3 * 4/5 + 7 * 1/9) / 10
    assert fitted.y == (pytest.approx((3 * 4 / 5 + 7 / 9) / 10),)
    assert len({fitted(c) for c in (-9.0, 0.0, 9.0)}) == 1


@pytest.mark.parametrize("right", [0.0, 1.0])
def test_all_alike_is_never_quite_sure(right):
    data = [np.array([[float(c), right]]) for c in range(6)]
    for method in METHODS:
        fitted = fit_calibrator(method, data, "top_k_mean", "test")
        assert all(0.01 <= fitted(c) <= 0.99 for c in range(6))


def test_confidences_a_millionth_apart_are_told_apart():
    rng = np.random.default_rng(1)
    c = -1e-6 * rng.random((300, 1))
    data = [np.array([[x, float(rng.random() < (1 + x * 1e6))]]) for x in c.ravel()]
    for method in METHODS:
        fitted = fit_calibrator(method, data, "mean_logprob", "test")
        assert fitted(-1e-7) - fitted(-9e-7) > 0.5


@pytest.mark.parametrize("method", METHODS)
def test_cross_mapped_uses_the_other_half_only(method):
    """Even questions say that all is right and odd ones that all is wrong."""
    data = [np.array([[1.0, float(i % 2 == 0)], [2.0, float(i % 2 == 0)]]) for i in range(20)]
    even, odd = (np.concatenate(cross_mapped(method, data, "top_k_mean")[i::2]) for i in (0, 1))
    assert even.max() < 0.1
    assert odd.min() > 0.9


@pytest.mark.parametrize("data", [[], [np.zeros((0, 2))]])
@pytest.mark.parametrize("method", METHODS)
def test_nothing_to_fit(method, data):
    with pytest.raises(ValueError, match="nothing can be fitted"):
        fit_calibrator(method, data, "top_k_mean", "test")


def test_many_at_once_are_each_alone():
    fitted = ConfidenceMap(kind="top_k_mean", x=(1.0, 2.0), y=(0.25, 0.75), fitted_on="test")
    values = [[0.0, 1.5], [2.0, math.inf]]
    assert fitted.probabilities(values).tolist() == [[fitted(c) for c in row] for row in values]
