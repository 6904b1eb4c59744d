"""64 questions at once on one engine; a second a call of the expert."""

import pytest

from catts.evals.chaos.load import LoadReport, most_overtaken, run_load

pytestmark = pytest.mark.timeout(600)
QUESTIONS = 72


@pytest.fixture(scope="module")
def report() -> LoadReport:
    return run_load(QUESTIONS, slow_questions=2)


@pytest.mark.slow
@pytest.mark.models
def test_64_at_once_are_all_answered_in_bounded_memory_and_in_turn(report: LoadReport) -> None:
    eight, many = report.rows
    assert (eight.at_once, many.at_once) == (8, 64)
    for row in report.rows:
        assert (row.answered, row.failed_nodes) == (row.questions, 0)
    assert many.questions == QUESTIONS
    # what is decoded at once is bounded by BatchLimits, however many wait
    assert many.peak_mb < 1.5 * eight.peak_mb
    # 64 are under way all the time: one that was passed over would wait while others came and went
    assert many.spread < 2


@pytest.mark.slow
@pytest.mark.models
def test_an_expert_of_a_second_a_call_costs_little_more(report: LoadReport) -> None:
    slow = report.slow_expert
    assert slow.questions == 2
    # the median, since a neighbour on this machine may take the time of one of them
    assert slow.delay_s < slow.median_s <= 2.3


def test_who_is_overtaken() -> None:
    assert most_overtaken([1.0, 2.0, 3.0]) == 0
    assert most_overtaken([9.0, 1.0, 2.0, 10.0]) == 2
