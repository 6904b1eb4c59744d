import pytest
from distributed import mathvision, png, write_jsonl, write_parquet

from catts.evals.benchmarks.mathvision import load_mathvision


def only(folder, row):
    return load_mathvision(write_parquet(folder / "test.parquet", "mathvision", [row])).items[0]


def test_a_free_question(tmp_path):
    item = only(tmp_path, mathvision())
    assert (item.id, item.question, item.choices) == ("19", "How many?\n<image1>", ())
    assert (item.answer, item.answer_letter, item.question_type) == ("60", None, "free-form")
    assert item.groups == {"level": "2", "subject": "arithmetic", "question_type": "free-form"}


def test_a_multiple_choice_question_has_its_gold_as_a_letter(tmp_path):
    options = ["$2+4+3$", "$2 \\cdot 4$"]
    item = only(tmp_path, mathvision(options=options, answer="B"))
    assert (item.choices, item.answer, item.answer_letter) == (tuple(options), "B", "B")
    assert item.groups["question_type"] == "multiple-choice"


def test_bare_letters_drawn_in_the_picture_stay_choices(tmp_path):
    item = only(tmp_path, mathvision(options=list("ABCDE"), answer="E"))
    assert (item.choices, item.answer_letter) == (tuple("ABCDE"), "E")


def test_a_question_of_several_images_has_them_in_one_picture(tmp_path):
    text = "The ant <image1> walks home <image2>.\n<image6>\n<image7>"
    item = only(tmp_path, mathvision(question=text))
    assert item.question == text
    assert len(item.images) == 1


@pytest.mark.parametrize("answer", ["A", "$\\boxed{\\frac{16}{7}}$", "\frac{36}{13}"])
def test_free_answers_stay_as_distributed(tmp_path, answer):
    item = only(tmp_path, mathvision(answer=answer))
    assert (item.answer, item.answer_letter) == (answer, None)


@pytest.mark.parametrize("place", ["", "data"])
def test_the_repository_s_json_lines_beside_or_below_its_images(tmp_path, place):
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "19.jpg").write_bytes(png("lime"))
    row = {name: value for name, value in mathvision().items() if name != "decoded_image"}
    write_jsonl(tmp_path / place / "testmini.jsonl", [row])
    item = load_mathvision(str(tmp_path), "testmini").items[0]
    assert item.load_images()[0].getpixel((0, 0)) == (0, 255, 0)
    assert item.origin.endswith("testmini.jsonl, row 1")


def test_a_picture_that_parquet_does_not_embed_is_looked_for_beside_it(tmp_path):
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "19.jpg").write_bytes(png("lime"))
    item = only(tmp_path, mathvision(decoded_image=None))
    assert item.load_images()[0].getpixel((0, 0)) == (0, 255, 0)
