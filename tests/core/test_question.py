"""What a question refuses, its letters, and its digest."""

import hashlib
import json

import pytest
from pydantic import ValidationError

from catts.question import Question, choice_letter


def test_choices_are_lettered() -> None:
    assert Question(text="?").letters == ()
    assert Question(text="?", choices=("x", "y", "z")).letters == ("A", "B", "C")
    assert (choice_letter(0), choice_letter(25)) == ("A", "Z")
    for index in (-1, 26):
        with pytest.raises(ValueError, match=f"choice {index} has no letter: .* up to 26"):
            choice_letter(index)


def test_up_to_26_choices() -> None:
    alphabet = tuple("abcdefghijklmnopqrstuvwxyz")
    assert Question(text="?", choices=alphabet).letters == tuple("ABCDEFGHIJKLMNOPQRSTUVWXYZ")
    with pytest.raises(ValidationError, match="there are 27 choices; a question may have up to 26"):
        Question(text="?", choices=(*alphabet, "more"))


@pytest.mark.parametrize("text", ["", " ", "\n\t"])
def test_a_blank_question_is_refused(text: str) -> None:
    with pytest.raises(ValidationError, match="it is blank; write a question"):
        Question(text=text)


def test_the_text_is_kept_as_it_was_written() -> None:
    assert Question(text=" How many?\n").text == " How many?\n"


def test_equal_questions_have_equal_digests_and_others_do_not() -> None:
    question = Question(text="?", images=("a" * 64,), choices=("x",))
    stored = json.dumps(
        {"text": "?", "images": ["a" * 64], "choices": ["x"]}, separators=(",", ":")
    )
    assert question.digest == hashlib.sha256(stored.encode()).hexdigest(), "stored runs are keyed"
    others = [
        Question(text="!", images=("a" * 64,), choices=("x",)),
        Question(text="?", choices=("x",)),
        Question(text="?", images=("a" * 64,), choices=("x", "x")),
    ]
    assert len({q.digest for q in (question, *others)}) == 4
    assert len({question, Question.model_validate_json(question.model_dump_json())}) == 1
