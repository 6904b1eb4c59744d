import pytest
from graded import free, several

from catts.errors import BenchmarkError
from catts.evals.graders import mathvision, mathvista, mmmu, mmstar
from catts.evals.graders.grade import GUESSED, Grade, Tally, tally
from catts.evals.graders.strict import strict

GRADES = [
    Grade(True, "A", "x"),
    Grade(True, "B", "x", GUESSED),
    Grade(False, None, "x"),
    Grade(False, "C", "x", "names no choice"),
]


def test_accuracy_is_told_with_what_was_not_read_and_what_was_guessed():
    counted = tally(GRADES)
    assert counted == Tally(n=4, right=2, unparsed=1, guessed=1)
    assert counted.accuracy == 0.5


def test_nothing_graded_has_no_accuracy():
    assert tally([]) == Tally(0, 0, 0, 0)
    with pytest.raises(ZeroDivisionError):
        _ = tally([]).accuracy


@pytest.mark.parametrize("item", [free(None, answer_type="integer"), several(["a", "b"], None)])
@pytest.mark.parametrize(
    "grade", [strict, mathvista.official, mathvision.official, mmstar.official, mmmu.official]
)
def test_an_item_without_a_label_is_not_graded(item, grade):
    with pytest.raises(BenchmarkError, match="q1 has no label"):
        grade(item, "A")
