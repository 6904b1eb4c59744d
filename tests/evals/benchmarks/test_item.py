import pytest
from distributed import bomb, png

from catts.errors import ImageError
from catts.evals.benchmarks.item import Item


def item(*images: bytes, **fields: object) -> Item:
    return Item("7", "How many?", ("1", "2"), images, "B", "multiple-choice", **fields)  # type: ignore[arg-type]


def test_images_are_decoded_when_they_are_asked_for():
    first, second = item(png("red"), png("blue")).load_images()
    assert (first.mode, first.size) == ("RGB", (6, 4))
    assert first.getpixel((0, 0)) == (255, 0, 0)
    assert second.getpixel((0, 0)) == (0, 0, 255)


HALF = png(size=(200, 200))[:300]


@pytest.mark.parametrize("broken", [HALF, b"", b"no picture", bomb()], ids=range(4))
def test_a_broken_image_is_named_by_file_row_and_place(broken):
    with pytest.raises(ImageError, match=r"^test.parquet, row 3, image 2: the image data"):
        item(png(), broken, origin="test.parquet, row 3").load_images()


def test_an_item_without_an_origin_is_named_by_its_id():
    with pytest.raises(ImageError, match=r"^7, image 1: "):
        item(b"").load_images()


def test_the_question_for_reading_answers_has_text_and_choices():
    question = item().text_question
    assert (question.text, question.choices, question.images) == ("How many?", ("1", "2"), ())
    assert item().text_question == question
