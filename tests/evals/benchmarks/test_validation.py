"""The splits that a model is fitted on: labelled, and honest about what they share."""

import pytest

from catts.evals.benchmarks.by_name import TASKS, TUNING_SPLITS
from catts.evals.benchmarks.validation import VALIDATION, overlap


def test_every_benchmark_has_one():
    assert set(VALIDATION) == set(TASKS)


def test_only_the_tuning_splits_are_a_benchmark_s_own_for_that():
    alone = {task for task in TASKS if overlap(task, VALIDATION[task]) is None}
    assert alone == set(TUNING_SPLITS) == {"embedded", "mmmu"}


@pytest.mark.parametrize(
    ("task", "split", "words"),
    [
        ("mathvista", "testmini", "mathvista: testmini is what MathVista reports"),
        ("mathvision", "testmini", "a part of test"),
        ("mmmu", "validation", "take dev"),
        ("embedded", "test", "take validation"),
    ],
)
def test_the_others_say_why(task, split, words):
    assert words in overlap(task, split)
