import pytest
from distributed import bomb, mathvision, mmstar, png, stored, write_jsonl, write_parquet

from catts.errors import BenchmarkError
from catts.evals.benchmarks.loading import Skipped
from catts.evals.benchmarks.mathvision import load_mathvision
from catts.evals.benchmarks.mmstar import load_mmstar


def three(folder, **changed):
    """A file of three rows; the second is changed."""
    rows = [mathvision(id="a"), mathvision(**{"id": "b"} | changed), mathvision(id="c")]
    return write_parquet(folder / "test.parquet", "mathvision", rows)


def test_a_malformed_row_stops_the_run_before_it_starts(tmp_path):
    file = three(tmp_path, question=None)
    told = rf"^{file}, row 2, field question: is missing or blank; .*skip_malformed"
    with pytest.raises(BenchmarkError, match=told):
        load_mathvision(file)


def test_skipped_rows_are_part_of_the_result(tmp_path):
    file = three(tmp_path, question=" ")
    loaded = load_mathvision(file, skip_malformed=True)
    assert [item.id for item in loaded.items] == ["a", "c"]
    assert loaded.skipped == (Skipped(str(file), 2, "question", "is missing or blank"),)
    assert str(loaded.skipped[0]) == f"{file}, row 2, field question: is missing or blank"


def test_nothing_is_skipped_where_nothing_is_malformed(tmp_path):
    loaded = load_mathvision(three(tmp_path), skip_malformed=True)
    assert len(loaded.items) == 3
    assert loaded.skipped == ()


def test_an_id_that_is_taken_is_a_malformed_row(tmp_path):
    file = three(tmp_path, id="a")
    with pytest.raises(BenchmarkError, match=rf"row 2, field id: a is taken already by {file}"):
        load_mathvision(file)


def test_ids_are_unique_over_shards(tmp_path):
    for shard in range(2):
        name = f"test-0000{shard}-of-00002.parquet"
        write_parquet(tmp_path / name, "mathvision", [mathvision(id="a")])
    (skipped,) = load_mathvision(tmp_path, skip_malformed=True).skipped
    assert skipped.file.endswith("test-00001-of-00002.parquet")


def test_a_file_in_which_every_row_is_malformed_loads_nothing(tmp_path):
    file = write_parquet(tmp_path / "test.parquet", "mathvision", [mathvision(answer=None)])
    with pytest.raises(BenchmarkError, match=r"no row that can be asked; the first: .* answer"):
        load_mathvision(file, skip_malformed=True)


def test_an_empty_file_loads_nothing(tmp_path):
    file = write_parquet(tmp_path / "test.parquet", "mathvision", [])
    with pytest.raises(BenchmarkError, match="holds no row that can be asked"):
        load_mathvision(file)


def test_a_line_that_is_not_json_is_a_malformed_row(tmp_path):
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "19.jpg").write_bytes(png())
    file = write_jsonl(tmp_path / "test.jsonl", [mathvision(decoded_image=None)])
    file.write_text(file.read_text() + "{broken\n")
    with pytest.raises(BenchmarkError, match=r"row 2, field \(all\): is not a JSON object"):
        load_mathvision(file)
    assert len(load_mathvision(file, skip_malformed=True).items) == 1


@pytest.mark.parametrize(
    ("picture", "reason"),
    [
        (None, "no file at"),
        (stored(None), "no file at"),
        (stored(b""), "not an image"),
        (stored(b"GIF89a but not really"), "truncated or broken|not an image"),
        (stored(bomb()), "too large"),
        (stored(None, "images/none.jpg"), "no file at"),
        (stored(None, "/etc/hostname"), "leads out of the folder"),
        (stored(None, "../../secret.png"), "leads out of the folder"),
    ],
)
def test_a_picture_that_cannot_be_used_is_told_at_loading(tmp_path, picture, reason):
    file = three(tmp_path, decoded_image=picture)
    with pytest.raises(BenchmarkError, match=rf"row 2, field \w*image: .*({reason})"):
        load_mathvision(file)
    assert len(load_mathvision(file, skip_malformed=True).items) == 2


def test_a_row_without_any_picture(tmp_path):
    file = write_parquet(tmp_path / "val.parquet", "mmstar", [mmstar(image=None)])
    with pytest.raises(BenchmarkError, match="field image: holds no picture"):
        load_mmstar(file)


def test_a_picture_of_the_wrong_type(tmp_path):
    file = write_jsonl(tmp_path / "test.jsonl", [mathvision(decoded_image=None, image=[1])])
    with pytest.raises(BenchmarkError, match="field image: is a list, not a picture"):
        load_mathvision(file)


def test_a_truncated_picture_is_told_at_loading(tmp_path):
    data = png(size=(200, 200))
    file = three(tmp_path, decoded_image=stored(data[: len(data) // 2]))
    with pytest.raises(BenchmarkError, match=r"row 2, field \w*image: .*truncated or broken"):
        load_mathvision(file)
    loaded = load_mathvision(file, skip_malformed=True)
    assert (len(loaded.items), len(loaded.skipped)) == (2, 1)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"id": None}, "id: is missing"),
        ({"id": True}, "id: is a truth value"),
        ({"question": 3}, "question: is a number, not a text"),
        ({"options": "A, B"}, "options: is a text, not a list of texts"),
        ({"options": ["A", 2]}, "options: is a list, not a list of texts"),
        ({"options": [str(i) for i in range(27)]}, "options: has 27 choices; 26 have letters"),
        ({"options": ["x", "y"], "answer": "C"}, "answer: is 'C', which names none of 2 choices"),
        ({"options": ["x", "y"], "answer": "x" * 99}, r"answer: is 'x+\.\.\.'"),
        ({"level": None}, "level: is missing"),
        ({"level": 2.5}, "level: is a number, not a text"),
        ({"subject": ""}, "subject: is missing"),
    ],
)
def test_fields_of_json_are_checked_one_by_one(tmp_path, change, told):
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "19.jpg").write_bytes(png())
    row = {name: value for name, value in mathvision().items() if name != "decoded_image"}
    file = write_jsonl(tmp_path / "test.jsonl", [row, row | {"id": "20"} | change])
    with pytest.raises(BenchmarkError, match=rf"row 2, field {told}"):
        load_mathvision(file)
