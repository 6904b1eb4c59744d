import json

import pytest
from distributed import mmmu, png, stored, write_jsonl, write_parquet

from catts.errors import BenchmarkError
from catts.evals.benchmarks.mmmu import DISCIPLINES, load_mmmu

COLOURS = {"red": (255, 0, 0), "lime": (0, 255, 0), "blue": (0, 0, 255)}


def only(folder, **changed):
    file = folder / "Accounting" / "validation-00000-of-00001.parquet"
    return load_mmmu(write_parquet(file, "mmmu", [mmmu(**changed)])).items[0]


def colours(item):
    seen = {colour: name for name, colour in COLOURS.items()}
    return [seen[image.getpixel((0, 0))] for image in item.load_images()]


PICTURES = {f"image_{i}": stored(png(name)) for i, name in enumerate(COLOURS, start=1)}


def test_a_multiple_choice_question(tmp_path):
    item = only(tmp_path)
    assert (item.id, item.choices) == ("validation_Accounting_1", ("$6", "$7", "$8", "$9"))
    assert (item.answer, item.answer_letter, item.question_type) == ("B", "B", "multiple-choice")
    assert item.question == "<image 1> Which entry balances?"
    assert item.groups == {
        "discipline": "Business", "subject": "Accounting", "question_type": "multiple-choice",
        "subfield": "Managerial Accounting", "topic_difficulty": "Easy",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("answer", "answers"),
    [
        ("242110.62", ["242110.62"]),
        ("['24/7', '3.429']", ["24/7", "3.429"]),
        ("[24, 3.429]", ["24", "3.429"]),
        ("[0, 1)", ["[0, 1)"]),
        ("[x, y]", ["[x, y]"]),
        ("[]", ["[]"]),
    ],
)
def test_an_open_question_may_accept_several_answers(tmp_path, answer, answers):
    item = only(tmp_path, question_type="open", options="[]", answer=answer)
    assert (item.question_type, item.choices, item.answer) == ("free-form", (), answer)
    assert item.fields == {"answers": answers}


@pytest.mark.parametrize("answer", ["?", "", None])
def test_the_test_split_has_no_labels(tmp_path, answer):
    for subject, kind in (("Art", "multiple-choice"), ("Music", "open")):
        row = mmmu(id=f"test_{subject}_1", question_type=kind, answer=answer)
        write_parquet(tmp_path / subject / "test-00000-of-00001.parquet", "mmmu", [row])
    items = load_mmmu(tmp_path, "test").items
    assert [item.groups["subject"] for item in items] == ["Art", "Music"]
    assert {(item.answer, item.answer_letter, item.fields["answers"]) for item in items} == {
        (None, None, None)
    }


def test_the_merged_form_has_its_subjects_in_the_ids(tmp_path):
    rows = [mmmu(id="validation_Art_Theory_3"), mmmu(id="validation_Computer_Science_12")]
    write_parquet(tmp_path / "data" / "validation-00000-of-00001.parquet", "mmmu", rows)
    subjects = [item.groups["subject"] for item in load_mmmu(tmp_path).items]
    assert subjects == ["Art_Theory", "Computer_Science"]


def test_there_are_thirty_subjects():
    assert len({subject for subjects in DISCIPLINES.values() for subject in subjects}) == 30


def test_only_images_that_are_named_come_along_in_the_order_of_their_marks(tmp_path):
    item = only(
        tmp_path,
        question="From <image 3> or <image 1>? See <image 3>.",
        options="['<image 1>', '<image 3>']",
        **PICTURES,
    )
    assert colours(item) == ["blue", "red"]
    assert item.question == "From <image 1> or <image 2>? See <image 1>."
    assert item.choices == ("<image 2>", "<image 1>")


def test_marks_in_order_stay_as_they_are(tmp_path):
    item = only(tmp_path, question="<image 1><image 2>", options="['<image 3>', 'no']", **PICTURES)
    assert colours(item) == ["red", "lime", "blue"]
    assert (item.question, item.choices) == ("<image 1><image 2>", ("<image 3>", "no"))


def test_options_of_an_open_question_name_nothing(tmp_path):
    item = only(tmp_path, question_type="open", options="['<image 2>']", answer="4", **PICTURES)
    assert colours(item) == ["red"]


def test_a_question_that_names_no_image_has_all_of_its_row(tmp_path):
    item = only(tmp_path, question="What is shown?", **PICTURES | {"image_2": None})
    assert colours(item) == ["red", "blue"]


def test_json_lines_beside_an_images_folder(tmp_path):
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "a.png").write_bytes(png("lime"))
    row = mmmu(image_1="images/a.png", options=["$6", "$7"], question_type="multiple-choice")
    free = mmmu(
        id="validation_Math_15", image_1="images/a.png", question_type="short-answer",
        answer=["24/7", "3.429"],
    )  # fmt: skip
    write_jsonl(tmp_path / "validation.jsonl", [row, free])
    first, second = load_mmmu(tmp_path).items
    assert (first.choices, colours(first)) == (("$6", "$7"), ["lime"])
    assert second.fields == {"answers": ["24/7", "3.429"]}


@pytest.mark.parametrize(
    "options",
    [
        "$6, $7",
        "{'a': 1}",
        "('$6', '$7')",
        "'$6'",
        "['$6', None]",
        "['$6', ['$7']]",
        "['$6'",
        "[__import__('os').getcwd()]",
        "['a' * 10**9]",
        "[" * 5000,
        "['" + "a" * 20_000 + "']",
        json.dumps({"A": "$6"}),
    ],
)
def test_options_that_are_not_the_text_of_a_list(tmp_path, options):
    with pytest.raises(BenchmarkError, match="row 1, field options: is not the text of a Python"):
        only(tmp_path, options=options)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"options": "[]"}, "options: is empty in a multiple-choice"),
        ({"options": None}, "options: is empty in a multiple-choice"),
        ({"options": str([str(i) for i in range(27)])}, "options: has 27 choices"),
        ({"answer": "E"}, "answer: is 'E', which names none of 4 choices"),
        ({"question_type": "essay"}, "question_type: is 'essay', not one of"),
        ({"question": "<image 2> Which?"}, "image_2: holds no picture"),
        ({"question": "<image 8> Which?"}, "question: names image 8 of 7"),
        ({"question": "<image 0> Which?"}, "question: names image 0 of 7"),
        ({"question": "Which?", "image_1": None}, "image_1: holds no picture"),
        ({"image_1": stored(b"no picture")}, "image_1: the image data is not an image"),
        ({"id": None}, "id: is missing"),
    ],
)
def test_malformed_rows(tmp_path, change, told):
    with pytest.raises(BenchmarkError, match=f"row 1, field {told}"):
        only(tmp_path, **change)


@pytest.mark.parametrize("name", ["validation_Alchemy_1", "17", "validation_Art"])
def test_a_row_of_no_known_subject(tmp_path, name):
    file = write_parquet(tmp_path / "validation.parquet", "mmmu", [mmmu(id=name)])
    with pytest.raises(BenchmarkError, match="field id: names no subject"):
        load_mmmu(file)
