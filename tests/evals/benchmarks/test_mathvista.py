import json

import pytest
from distributed import mathvista, mathvista_choice, png, write_parquet

from catts.errors import BenchmarkError
from catts.evals.benchmarks.mathvista import load_mathvista


def only(folder, row):
    file = write_parquet(folder / "testmini-00000-of-00001.parquet", "mathvista", [row])
    return load_mathvista(file).items[0]


def test_a_free_question(tmp_path):
    item = only(tmp_path, mathvista())
    assert (item.id, item.question, item.choices) == ("1", "What is the value?", ())
    assert (item.answer, item.answer_letter, item.question_type) == ("1.2", None, "free-form")
    assert item.groups == {
        "question_type": "free_form", "answer_type": "float", "source": "TabMWP",
        "category": "math-targeted-vqa", "task": "math word problem", "context": "table",
        "grade": "high school", "language": "english",
    }  # fmt: skip
    assert item.fields["precision"] == 1
    assert item.fields["skills"] == ["arithmetic reasoning"]
    assert item.fields["query"].startswith("Hint: ")
    assert item.load_images()[0].size == (6, 4)


def test_a_multiple_choice_question_has_its_gold_as_a_text(tmp_path):
    item = only(tmp_path, mathvista_choice())
    assert (item.choices, item.answer, item.answer_letter) == (("145°", "11°"), "11°", "B")
    assert item.question_type == "multiple-choice"
    assert item.fields["precision"] is None


def test_the_unit_belongs_to_the_question_as_in_the_official_prompt(tmp_path):
    item = only(tmp_path, mathvista(unit="$"))
    assert item.question == "What is the value? (Unit: $)"
    assert item.fields["unit"] == "$"


@pytest.mark.parametrize("answer", ["", None])
def test_the_test_split_has_no_labels(tmp_path, answer):
    rows = [mathvista(answer=answer), mathvista_choice() | {"pid": "2", "answer": answer}]
    write_parquet(tmp_path / "data" / "test-00000-of-00002.parquet", "mathvista", rows[:1])
    write_parquet(tmp_path / "data" / "test-00001-of-00002.parquet", "mathvista", rows[1:])
    write_parquet(tmp_path / "data" / "testmini-00000-of-00001.parquet", "mathvista", [])
    items = load_mathvista(tmp_path, "test").items
    assert [(item.id, item.answer, item.answer_letter) for item in items] == [
        ("1", None, None), ("2", None, None),
    ]  # fmt: skip


def test_the_repository_s_json_beside_its_images(tmp_path):
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "1.jpg").write_bytes(png("blue"))
    rows = {row["pid"]: row for row in (mathvista(), mathvista_choice() | {"pid": "2"})}
    for row in rows.values():
        del row["decoded_image"], row["query"]
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "annot_testmini.json").write_text(json.dumps(rows), "utf-8")
    first, second = load_mathvista(tmp_path).items
    assert (first.id, second.id) == ("1", "2")
    assert first.fields["query"] is None
    assert first.load_images()[0].getpixel((0, 0)) == (0, 0, 255)


@pytest.mark.parametrize(
    ("row", "told"),
    [
        (mathvista(question_type="open"), "question_type: is 'open', not one of multi_choice"),
        (mathvista(answer_type="bool"), "answer_type: is 'bool', not one of text, integer"),
        (mathvista(precision=None), "precision: is missing for a float answer"),
        (mathvista(precision=1.5), "precision: is 1.5, not a number of decimal places"),
        (mathvista(precision=-1.0), "precision: is -1, not"),
        (mathvista(precision=float("nan")), "precision: is nan"),
        (mathvista_choice() | {"choices": []}, "choices: is empty in a multiple-choice"),
        (mathvista_choice() | {"choices": None}, "choices: is empty in a multiple-choice"),
        (mathvista_choice() | {"answer": "B"}, "answer: is none of the choices"),
        (mathvista(pid=None), "pid: is missing"),
        (mathvista(question=None), "question: is missing"),
    ],
)
def test_malformed_rows(tmp_path, row, told):
    with pytest.raises(BenchmarkError, match=f"row 1, field {told}"):
        only(tmp_path, row)


def test_metadata_of_json_must_be_a_mapping(tmp_path):
    row = mathvista(metadata=["table"], decoded_image=None)
    (tmp_path / "testmini.json").write_text(json.dumps([row | {"image": ""}]))
    with pytest.raises(BenchmarkError, match="field metadata: is a list, not a mapping"):
        load_mathvista(tmp_path)
