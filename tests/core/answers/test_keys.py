"""Keys of answers beside each other: units told apart, a bare number joined to the one seen."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from catts.answers import AnswerKeys, canonical
from catts.answers.reading import read
from catts.answers.units import units_agree
from catts.question import Question

LONG = Question(text="How long does it take?")
WARM = Question(text="How warm is it?")
CHOICE = Question(text="How long does it take?", choices=("5 minutes", "5 hours"))


def keys(*answers: str, question: Question = LONG) -> list[str]:
    read_together = AnswerKeys(question, answers)
    return [read_together.key(answer) for answer in answers]


def test_two_units_on_one_number_are_two_candidates() -> None:
    assert keys("5 minutes", "5 min", "5 hours", "5 h") == ["5 min", "5 min", "5 h", "5 h"]


def test_a_bare_number_joins_the_one_unit_that_is_seen() -> None:
    assert keys("5", "5 minutes", "5 min") == ["5", "5", "5"]
    assert keys("5", "5 minutes", "7 hours", "7") == ["5", "5", "7", "7"]


def test_a_bare_number_between_two_units_is_a_candidate_of_its_own() -> None:
    assert keys("5", "5 minutes", "5 hours") == ["5", "5 min", "5 h"]


def test_a_unit_that_leaves_open_which_it_is_joins_the_one_it_can_be() -> None:
    assert keys("20 degrees", "20 °C", "20", question=WARM) == ["20", "20", "20"]
    assert keys("20 degrees", "20 °C", "20 °F", question=WARM) == ["20 deg", "20 °c", "20 °f"]
    assert keys("12 square units", "12 cm^2", "12") == ["12", "12", "12"]
    assert keys("5 pounds", "£5", "5 lb") == ["5 pound", "5 £", "5 lb"]


def test_a_later_answer_joins_the_candidate_it_does_not_contradict() -> None:
    said = AnswerKeys(LONG, ["5 minutes", "5", None])
    assert [said.key(a) for a in ("5", "5 min", "5 hours", "7 hours", "7")] == [
        "5", "5", "5 h", "7 h", "7",
    ]  # fmt: skip
    assert AnswerKeys(LONG, ["5"]).key("5 hours") == "5"


def test_choices_words_and_expressions_keep_their_key() -> None:
    assert keys("5 minutes", "B", question=CHOICE) == ["A", "B"]
    for answer in ("Paris", r"\frac{1}{2} x", "(1, 2)", "50%", "St. Louis"):
        assert keys(answer) == [canonical(answer, LONG)]


ANSWERS = st.lists(
    st.builds(
        lambda number, unit: f"{number} {unit}".strip(),
        st.sampled_from(["5", "five", "7"]),
        st.sampled_from(["", "min", "hours", "degrees", "°C", "°F", "pounds", "lb"]),
    ),
    min_size=1,
    max_size=6,
)


@given(ANSWERS)
def test_no_candidate_holds_answers_that_contradict_each_other(answers: list[str]) -> None:
    groups: dict[str, list[str]] = {}
    for answer, key in zip(answers, keys(*answers), strict=True):
        groups.setdefault(key, []).append(answer)
    for group in groups.values():
        readings = [read(answer, LONG) for answer in group]
        assert len({reading.value for reading in readings}) == 1
        assert all(units_agree(a.unit, b.unit) for a in readings for b in readings)


@given(ANSWERS, st.randoms())
def test_keys_do_not_depend_on_the_order(answers: list[str], random) -> None:
    shuffled = random.sample(answers, len(answers))
    assert dict(zip(answers, keys(*answers), strict=True)) == dict(
        zip(shuffled, keys(*shuffled), strict=True)
    )


@given(ANSWERS)
def test_agreeing_answers_are_one_candidate_when_all_agree(answers: list[str]) -> None:
    readings = [read(answer, LONG) for answer in answers]
    if all(a.value == b.value and units_agree(a.unit, b.unit) for a in readings for b in readings):
        assert set(keys(*answers)) == {readings[0].value}


@pytest.mark.parametrize(
    ("unit", "other", "agree"),
    [("min", "h", False), ("", "h", True), ("deg", "°c", True), ("°c", "°f", False),
     ("unit^2", "cm^2", True), ("unit^2", "cm^3", False), ("pound", "lb", True)],
)  # fmt: skip
def test_units_that_agree(unit: str, other: str, agree: bool) -> None:
    assert units_agree(unit, other) == units_agree(other, unit) == agree
