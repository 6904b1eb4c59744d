import itertools
import math
import time
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import log_loss, roc_auc_score

from catts.evals import metrics

samples = st.lists(st.tuples(st.integers(0, 5), st.booleans()), min_size=2, max_size=60).filter(
    lambda rows: len({right for _, right in rows}) == 2
)


@given(samples)
def test_auroc_with_ties_equals_sklearn(rows):
    scores, right = zip(*rows, strict=True)
    assert metrics.auroc(scores, right) == pytest.approx(roc_auc_score(right, scores), abs=1e-12)


@given(samples, st.data())
def test_weighted_auroc_equals_sklearn_on_repeated_rows(rows, data):
    weights = data.draw(st.lists(st.integers(1, 3), min_size=len(rows), max_size=len(rows)))
    scores, right = zip(*rows, strict=True)
    got = metrics.weighted_auroc(np.array(rows, dtype=float), np.array([weights], dtype=float))
    assert got[0] == pytest.approx(roc_auc_score(right, scores, sample_weight=weights), abs=1e-12)


def test_auroc_by_hand():
    # pairs: (2 > 1), (2 = 2), (3 > 1), (3 > 2) over 4 pairs
    assert metrics.auroc([1, 2, 2, 3], [0, 0, 1, 1]) == pytest.approx(3.5 / 4)


def test_auroc_needs_both_classes():
    with pytest.raises(ValueError, match="right and wrong"):
        metrics.auroc([1, 2], [1, 1])


def test_within_question_auroc_compares_only_within_and_counts_questions_once():
    scores = [[9.0, 1.0], [5.0, 4.0, 4.0, 4.0], [0.0, 0.0], [2.0, 3.0]]
    right = [[1, 0], [0, 1, 1, 1], [1, 1], [0, 0]]
    assert metrics.within_cluster_aurocs(scores, right).tolist() == [1.0, 0.0]


def test_within_question_auroc_ignores_a_question_wide_shift():
    rng = np.random.default_rng(0)
    scores = rng.normal(size=(50, 8))
    right = rng.random((50, 8)) < 0.5
    shifted = scores + 100 * rng.normal(size=(50, 1))
    assert metrics.within_cluster_aurocs(list(shifted), list(right)) == pytest.approx(
        metrics.within_cluster_aurocs(list(scores), list(right))
    )


def test_log_scores_equal_sklearn():
    rng = np.random.default_rng(1)
    p = rng.uniform(0.05, 0.95, 200)
    right = rng.random(200) < p
    truth = np.where(right, p, 1 - p)
    assert -metrics.log_scores(truth, floor=1e-9).mean() == pytest.approx(log_loss(right, p))


def test_log_score_floor():
    assert metrics.log_scores([0.0, 1.0], floor=0.01).tolist() == [math.log(0.01), 0.0]


@pytest.mark.parametrize("values", [[], [float("nan")]])
def test_empty_or_missing_numbers_are_refused(values):
    with pytest.raises(ValueError, match="at least one"):
        metrics.log_scores(values, floor=0.1)


@pytest.mark.parametrize(("n", "correct"), [(5, 0), (5, 2), (6, 6), (7, 1)])
def test_any_correct_equals_enumeration(n, correct):
    right = [i < correct for i in range(n)]
    for k in range(1, n + 1):
        subsets = list(itertools.combinations(right, k))
        expected = sum(map(any, subsets)) / len(subsets)
        assert metrics.any_correct_at_k(n, correct, k) == pytest.approx(expected)


def _majority_by_enumeration(answers, truth, k):
    subsets = list(itertools.combinations(answers, k))
    won = 0.0
    for subset in subsets:
        counts = Counter(a for a in subset if a is not None)
        leaders = [a for a, c in counts.items() if c == max(counts.values())]
        won += sum(a in truth for a in leaders) / len(leaders) if leaders else 0
    return won / len(subsets)


@given(
    st.lists(st.sampled_from(["a", "b", "c", "d", None]), min_size=1, max_size=8),
    st.sets(st.sampled_from(["a", "b", "c", "d"])),
)
def test_majority_equals_enumeration(answers, truth):
    right = [a in truth for a in answers]
    for k in range(1, len(answers) + 1):
        got = metrics.majority_at_k(answers, right, k)
        assert got == pytest.approx(_majority_by_enumeration(answers, truth, k), abs=1e-12)


def test_majority_by_hand():
    assert metrics.majority_at_k(["1", "1", "2", "2"], [True, True, False, False]) == 0.5
    assert metrics.majority_at_k([None, "2", None], [False, True, False]) == 1.0
    assert metrics.majority_at_k([None, None], [False, False]) == 0.0
    with pytest.raises(ValueError, match="both right and wrong"):
        metrics.majority_at_k(["1", "1"], [True, False])


def test_bootstrap_interval_of_independent_rows_is_the_normal_one():
    rng = np.random.default_rng(2)
    values = rng.normal(size=2000)
    got = metrics.cluster_bootstrap([[v] for v in values])
    error = values.std() / math.sqrt(len(values))
    assert got.estimate == pytest.approx(values.mean())
    assert got.low == pytest.approx(values.mean() - 1.96 * error, abs=0.2 * error)
    assert got.high == pytest.approx(values.mean() + 1.96 * error, abs=0.2 * error)


def test_bootstrap_interval_counts_clusters_not_rows():
    rng = np.random.default_rng(3)
    values = rng.normal(size=200)
    single = metrics.cluster_bootstrap([[v] for v in values])
    copied = metrics.cluster_bootstrap([[v] * 8 for v in values])
    assert copied == pytest.approx(single)


def test_bootstrap_with_auroc_estimates_the_pooled_auroc():
    rng = np.random.default_rng(4)
    right = rng.random((300, 4)) < 0.6
    scores = rng.normal(size=(300, 4)) + right
    rows = [np.stack(pair, axis=1) for pair in zip(scores, right, strict=True)]
    got = metrics.cluster_bootstrap(rows, metrics.weighted_auroc, n_boot=300)
    assert got.estimate == pytest.approx(roc_auc_score(right.ravel(), scores.ravel()))
    assert got.low < got.estimate < got.high
    assert got.high - got.low < 0.1


def test_bootstrap_is_reproducible_and_seeded():
    clusters = [[0.0, 1.0], [1.0], [0.0, 0.0, 1.0]]
    assert metrics.cluster_bootstrap(clusters, seed=5) == metrics.cluster_bootstrap(
        clusters, seed=5
    )
    many = [[float(i % 3)] for i in range(50)]
    assert metrics.cluster_bootstrap(many, seed=5) != metrics.cluster_bootstrap(many, seed=6)


def test_bootstrap_refuses_no_rows_and_undefined_statistics():
    with pytest.raises(ValueError, match="no rows"):
        metrics.cluster_bootstrap([[], []])
    with pytest.raises(ValueError, match="undefined"):
        metrics.cluster_bootstrap([[(0.5, 1.0)]], metrics.weighted_auroc)


def test_paired_difference_is_narrower_than_unpaired_and_exact_for_constants():
    rng = np.random.default_rng(6)
    base = rng.normal(size=400)
    shifted = [[v + 0.25] for v in base]
    got = metrics.paired_difference(shifted, [[v] for v in base])
    assert got == pytest.approx((0.25, 0.25, 0.25))


def test_paired_difference_allows_sides_of_different_length():
    got = metrics.paired_difference([[1, 0, 1, 0], [1, 1, 1, 1]], [[1], [0]])
    assert got.estimate == pytest.approx(6 / 8 - 1 / 2)
    with pytest.raises(ValueError, match="clusters on one side"):
        metrics.paired_difference([[1]], [[1], [0]])
    with pytest.raises(ValueError, match="no rows"):
        metrics.paired_difference([[1]], [[]])


def test_bootstrap_of_two_thousand_questions_with_eight_samples_is_fast():
    rng = np.random.default_rng(7)
    clusters = list(rng.random((2000, 8)))
    start = time.process_time()
    metrics.cluster_bootstrap(clusters)
    assert time.process_time() - start < 10
