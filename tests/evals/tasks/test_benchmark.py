"""The harness benchmark, small: both arms do the same work."""

import pytest

from catts.evals.tasks.benchmark import HarnessRow, format_harness, run_harness_benchmark


@pytest.mark.models
@pytest.mark.slow
def test_both_arms_answer_the_same_questions() -> None:
    told = []
    row = run_harness_benchmark(
        4, repeats=1, advance=lambda done, total: told.append((done, total))
    )
    assert told == [(1, 4), (2, 4), (3, 4), (4, 4)]
    assert row.plain_accuracy == row.inspect_accuracy > 0
    assert row.ratio == row.inspect_seconds / row.plain_seconds > 0
    assert format_harness(row).count("\n") == 3


def test_ranges_stand_beside_their_medians() -> None:
    row = HarnessRow(
        questions=5, at_once=2, repeats=3, seed=0, cpus=1, plain_seconds=2.0,
        plain_range=(1.0, 3.0), inspect_seconds=2.5, inspect_range=(1.5, 3.5),
        plain_accuracy=0.8, inspect_accuracy=0.6, ratio=1.25, ratio_range=(1.2, 1.5),
    )  # fmt: skip
    assert "| Inspect | 2.5 (1.5 to 3.5) | 1.250 (1.200 to 1.500) | 0.600 |" in format_harness(row)
