"""Each number says what it speaks of; what needs a probability is None without one."""

import numpy as np
import pytest
from sklearn import metrics as sk

from catts.calibration import ConfidenceMap
from catts.evals.measured import Beliefs, calibration

MAP = ConfidenceMap(
    kind="top_k_mean", x=(0.0, 10.0), y=(0.0, 1.0), fitted_on="other questions", method="platt"
)
RNG = np.random.default_rng(0)
CONFIDENCES = [RNG.uniform(0, 10, n) for n in (4, 0, 3, 8, 1) * 8]
RIGHT = [(RNG.random(len(c)) * 8 < c).astype(float) for c in CONFIDENCES]
FLAT, HITS = np.concatenate(CONFIDENCES), np.concatenate(RIGHT)


def measured(mapping=MAP, right=RIGHT, condition="clean"):
    beliefs = Beliefs.mapped(CONFIDENCES, right, "top_k_mean", mapping, condition)
    found = calibration(beliefs, n_boot=200, risks=(0.1, 0.5))
    return {(m.metric, m.detail): m for m in found}


def by_name(found, name):
    return next(m for (metric, _), m in found.items() if metric == name)


def test_the_values_are_sklearn_s():
    found = measured()
    values = {name: by_name(found, name).value for name, _ in found}
    assert values["brier"] == pytest.approx(sk.brier_score_loss(HITS, FLAT / 10))
    assert values["nll"] == pytest.approx(sk.log_loss(HITS, FLAT / 10))
    assert values["auroc"] == pytest.approx(sk.roc_auc_score(HITS, FLAT))
    assert values["overconfidence_gap"] == pytest.approx(FLAT.mean() / 10 - HITS.mean())
    mixed = [(c, r) for c, r in zip(CONFIDENCES, RIGHT, strict=True) if len(set(r)) == 2]
    assert values["auroc_within"] == pytest.approx(
        np.mean([sk.roc_auc_score(r, c) for c, r in mixed])
    )
    assert by_name(found, "auroc_within").n == len(mixed)


def test_each_says_what_it_speaks_of():
    found = measured(condition="key region noised at t = 700")
    assert {m.confidence for m in found.values()} == {"top_k_mean"}
    assert {m.condition for m in found.values()} == {"key region noised at t = 700"}
    needing = ("overconfidence_gap", "ece_equal_width", "ece_equal_mass", "brier", "nll")
    for (metric, _), m in found.items():
        assert m.mapping == ("platt on other questions" if metric in needing else None)
    assert [detail for metric, detail in found if metric.startswith("ece")] == [
        "15 bins of equal width", "15 bins of equal mass",
    ]  # fmt: skip
    assert by_name(found, "brier").n == 32, "eight questions have no answer"
    assert by_name(found, "brier").answers == len(FLAT)


def test_intervals_hold_their_values():
    for m in measured().values():
        assert m.low <= m.value <= m.high, m
        assert m.low >= (-1 if m.metric == "overconfidence_gap" else 0)


def test_without_a_mapping_nothing_that_needs_a_probability_is_told():
    raw, mapped = measured(None), measured()
    needing = {"overconfidence_gap", "ece_equal_width", "ece_equal_mass", "brier", "nll"}
    assert {metric for (metric, _), m in raw.items() if m.value is None} == needing
    assert all(m.low is m.high is m.mapping is None for m in raw.values() if m.value is None)
    for key, m in raw.items():
        if m.value is not None:
            assert m == mapped[key], "an order needs no mapping"


def test_an_order_needs_right_and_wrong():
    found = measured(right=[np.ones(len(c)) for c in CONFIDENCES])
    undefined = {metric for (metric, _), m in found.items() if m.value is None}
    assert undefined == {"auroc", "auroc_within"}
    assert by_name(found, "auroc_within").n == 0
    assert by_name(found, "aurc").value == 0.0


def test_probabilities_stand_for_themselves():
    beliefs = Beliefs.of_probabilities([[0.25], [0.75]], [[0], [1]], "leader's share")
    found = {m.metric: m for m in calibration(beliefs, n_boot=50)}
    assert found["brier"].value == pytest.approx(0.0625)
    assert {m.mapping for m in found.values()} == {None}
    assert {m.confidence for m in found.values()} == {"leader's share"}


def test_a_mapping_of_another_kind_is_refused():
    with pytest.raises(ValueError, match="a mapping of top_k_mean says nothing of min_logprob"):
        Beliefs.mapped([[1.0]], [[1]], "min_logprob", MAP)


def test_confidences_that_are_no_probabilities_are_refused():
    with pytest.raises(ValueError, match="map a confidence"):
        calibration(Beliefs.of_probabilities([[3.0]], [[1]], "C"))


def test_no_answer_at_all():
    with pytest.raises(ValueError, match="no rows"):
        calibration(Beliefs([[]], [[]], "top_k_mean"))


def test_questions_are_resampled_whole():
    """A hundred answers of one mind to each of ten questions say no more than ten answers."""
    rng = np.random.default_rng(2)
    means = rng.random(10)
    right = [np.full(100, float(i % 2)) for i in range(10)]
    many = Beliefs.of_probabilities([np.full(100, m) for m in means], right, "p")
    once = Beliefs.of_probabilities([[m] for m in means], [r[:1] for r in right], "p")
    wide, same = (
        next(m for m in calibration(b, n_boot=500) if m.metric == "brier") for b in (many, once)
    )
    assert (wide.low, wide.high) == (pytest.approx(same.low), pytest.approx(same.high))
