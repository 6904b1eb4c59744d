"""Outcomes derived from `evaluation/extract_answer.py` and `calculate_score.py`."""

import time

import pytest
from graded import free, several

from catts.evals.graders.grade import GUESSED
from catts.evals.graders.mathvista import Extraction, official

ANGLES = several(["145°", "11°", "35°"], "B", answer="11°")
RULED = "mathvista official (extraction: rules)"


def says(text: str) -> Extraction:
    """A language model that always extracts the same."""
    return Extraction("scripted", lambda item, reply: text)


def test_the_extraction_s_name_is_part_of_the_grader_s():
    assert official(ANGLES, "B").grader == RULED
    grade = official(ANGLES, "I think so", says("B"))
    assert grade.grader == "mathvista official (extraction: scripted)"
    assert grade.right


def test_the_extraction_sees_the_item_and_the_reply():
    seen = []

    def extract(item, reply):
        seen.append((item.id, reply))
        return "11°"

    assert official(ANGLES, "It is eleven.", Extraction("spy", extract)).right
    assert seen == [("q1", "It is eleven.")]


@pytest.mark.parametrize(
    ("item", "reply"),
    [
        (ANGLES, "11°"),
        (ANGLES, ""),
        (free("3", answer_type="integer"), "3"),
        (free("3", answer_type="integer"), " 3 "),
        (free("1.2", answer_type="float", precision=1), "1.2"),
        (free("1.2", answer_type="float", precision=1), "-1e3"),
    ],
)
def test_a_reply_that_is_an_answer_already_is_not_extracted_from(item, reply):
    official(item, reply, Extraction("none", lambda item, reply: pytest.fail("asked")))


@pytest.mark.parametrize(
    ("item", "reply"),
    [
        (ANGLES, "B"),
        (ANGLES, "11° "),
        (free("3", answer_type="integer"), "3.0"),
        (free("3", answer_type="integer"), "3 cm"),
        (free("[1, 2]", answer_type="list"), "[1, 2]"),
    ],
)
def test_every_other_reply_is_extracted_from(item, reply):
    asked = []
    official(item, reply, Extraction("spy", lambda item, reply: asked.append(reply) or ""))
    assert asked == [reply]


@pytest.mark.parametrize(
    ("extracted", "parsed", "note"),
    [
        ("B", "11°", ""),
        ("(B) 11°", "11°", ""),
        ("(b)", "11°", ""),
        ("it is (a) or (b)", "145°", ""),
        ("145°", "145°", ""),
        (" 35° ", "35°", ""),
        ("35", "35°", "nearest choice, 1 edits away"),
        ("b", "11°", "nearest choice, 3 edits away"),
        ("D", "11°", "nearest choice, 3 edits away"),
        ("(x)", "11°", "nearest choice, 3 edits away"),
        ("14", "145°", "nearest choice, 2 edits away"),  # as near to 11°, which comes later
        ("", "11°", GUESSED),
        ("  ", "11°", GUESSED),
    ],
)
def test_a_choice_is_named_or_the_nearest_by_edits(extracted, parsed, note):
    grade = official(ANGLES, "some reply", says(extracted))
    assert (grade.parsed, grade.note, grade.right) == (parsed, note, parsed == "11°")


def test_an_empty_reply_answers_the_shortest_choice():
    grade = official(several(["eleven", "12", "13"], "B", answer="12"), "")
    assert (grade.right, grade.parsed, grade.note) == (True, "12", GUESSED)


@pytest.mark.parametrize(
    ("gold", "extracted", "parsed"),
    [
        ("3", "3", "3"),
        ("3", "3.9", "3"),
        ("-3", "-3.9", "-3"),
        ("3", "3e0", "3"),
        ("1000", "1,000", None),
        ("3", "3 cm", None),
        ("50", "50%", None),
        ("3", "three", None),
        ("3", "", None),
        ("3", "nan", None),
        ("3", "inf", None),
    ],
)
def test_an_integer_is_cut_off(gold, extracted, parsed):
    grade = official(free(gold, answer_type="integer"), "some reply", says(extracted))
    assert (grade.parsed, grade.right) == (parsed, parsed == gold)


@pytest.mark.parametrize(
    ("gold", "precision", "extracted", "parsed"),
    [
        ("1.2", 1, "1.24", "1.2"),
        ("1.3", 1, "1.26", "1.3"),
        ("0.5", 2, "0.50", "0.5"),
        ("1.45", 2, "1.4501", "1.45"),
        ("1.0", 1, "1", "1.0"),
        ("1", 1, "1", "1.0"),
        ("1.2", 1, "1.2 m", None),
        ("1.2", 1, "$1.2", None),
        ("1.2", 1, "", None),
        ("1.2", 1, "1e999", "inf"),
    ],
)
def test_a_float_is_rounded_to_the_item_s_precision(gold, precision, extracted, parsed):
    item = free(gold, answer_type="float", precision=precision)
    grade = official(item, "some reply", says(extracted))
    assert (grade.parsed, grade.right) == (parsed, parsed == gold)


@pytest.mark.parametrize(
    ("extracted", "right"),
    [("[2007, 2008]", True), ("[2007,2008]", False), ("2007, 2008", False), ("", False)],
)
def test_a_list_is_right_only_as_it_is_written(extracted, right):
    grade = official(free("[2007, 2008]", answer_type="list"), "some reply", says(extracted))
    assert grade.right == right
    assert grade.parsed == (extracted or None)


@pytest.mark.parametrize(
    ("reply", "parsed", "note"),
    [
        ('The answer is "11°".', "11°", ""),
        ('No.\nSo The answer is "35°".\nThe answer is "11°".', "35°", ""),
        # the quoted part ends with the last `".` of its line
        ('The answer is "35°". Not "11°".', "11°", "nearest choice, 11 edits away"),
        ('The answer is "".', "11°", GUESSED),
        ("So the answer is (B).", "11°", ""),
        (r"<think>hm</think>\boxed{B}", "11°", ""),
        ("no idea at all, sorry", "11°", GUESSED),
    ],
)
def test_the_rules_read_the_quick_phrase_and_then_what_is_marked(reply, parsed, note):
    grade = official(ANGLES, reply)
    assert (grade.parsed, grade.note) == (parsed, note)


def test_a_reply_in_which_nothing_is_marked_is_guessed_by_the_rules():
    assert official(ANGLES, "no idea at all, sorry").note == GUESSED
    assert official(free("3", answer_type="integer"), "I see none of them").parsed is None


@pytest.mark.parametrize("text", ['The answer is "' * 50_000, "(" * 800_000, "9" * 800_000])
def test_it_takes_little_time_whatever_is_written(text):
    start = time.process_time()
    official(ANGLES, text)
    official(free("3", answer_type="integer"), text)
    official(free("3", answer_type="float", precision=1), text)
    official(ANGLES, "reply", says(text))
    assert time.process_time() - start < 5
