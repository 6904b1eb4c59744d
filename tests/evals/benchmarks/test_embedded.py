import pytest

from catts.embedded.world import example
from catts.evals.benchmarks.embedded import load_embedded
from catts.images import image_digest


def test_items_are_the_examples_of_the_world():
    items = load_embedded("validation", 6, start=3).items
    for index, item in enumerate(items, start=3):
        drawn = example("validation", index)
        assert item.id == drawn.id == f"embedded/validation/{index}"
        assert (item.question, item.choices) == (drawn.question, drawn.choices)
        assert item.answer == drawn.answer
        assert item.groups == {"grade": str(drawn.grade), "family": drawn.family}
        assert image_digest(item.load_images()[0]) == image_digest(drawn.image)
        assert item.evidence == drawn.evidence != ()


def test_choices_have_a_letter_as_gold_and_free_answers_have_none():
    items = load_embedded("test", 18).items
    assert {item.question_type for item in items} == {"multiple-choice", "free-form"}
    for item in items:
        assert item.answer_letter == (item.answer if item.choices else None)
        assert bool(item.choices) == (item.question_type == "multiple-choice")


def test_streams_have_no_item_in_common():
    ids = [item.id for stream in ("train", "validation", "test") for item in
           load_embedded(stream, 5).items]  # fmt: skip
    assert len(set(ids)) == 15


@pytest.mark.parametrize("settings", [{"n": -1}, {"n": 1, "start": -1}])
def test_what_cannot_be_drawn(settings):
    with pytest.raises(ValueError, match=r"cannot be drawn|negative"):
        load_embedded("test", **settings)
