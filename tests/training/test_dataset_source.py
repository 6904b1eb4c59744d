"""Training data of one's own: read from files, each bad row named before anything is trained."""

import io
import json
from pathlib import Path
from typing import Any

import pytest
from datasets import Dataset
from PIL import Image

from catts.errors import InputError
from catts.training.dataset_source import open_dataset


def png(side: int = 24) -> bytes:
    data = io.BytesIO()
    Image.new("RGB", (side, side), "red").save(data, "PNG")
    return data.getvalue()


def parquet(folder: Path, **changed: Any) -> Path:
    rows = {
        "image": [{"bytes": png(), "path": None}] * 3,
        "question": ["How many?", "Which?", "How long?"],
        "answer": ["3", "B", "5 cm"],
        "choices": [[], ["red", "blue"], []],
    }
    for name, value in changed.items():
        rows[name] = [*rows[name][:2], value]
    folder.mkdir(exist_ok=True)
    Dataset.from_dict(rows).to_parquet(folder / "train.parquet")
    return folder


def test_parquet(tmp_path: Path) -> None:
    source = open_dataset(str(parquet(tmp_path / "data")), quiet=True)
    assert len(source) == 3
    first, second = source[0], source[1]
    assert (first.question, first.answer, first.choices) == ("How many?", "3", ())
    assert (second.answer, second.choices) == ("B", ("red", "blue"))
    assert (first.image.size, first.image.mode, first.region) == ((24, 24), "RGB", None)


def test_a_split_and_a_subset_are_chosen(tmp_path: Path) -> None:
    for subset, size in (("one", 24), ("two", 16)):
        folder = tmp_path / "data" / subset
        folder.mkdir(parents=True)
        for split, n in (("train", 3), ("validation", 2)):
            row = {"image": {"bytes": png(size), "path": None}, "question": "Why?", "answer": "3"}
            Dataset.from_list([row] * n).to_parquet(folder / f"{split}.parquet")
    (tmp_path / "data" / "README.md").write_text(
        "---\nconfigs:\n"
        + "".join(
            f"- config_name: {subset}\n  data_files:\n"
            f"  - {{split: train, path: {subset}/train.parquet}}\n"
            f"  - {{split: test, path: {subset}/validation.parquet}}\n"
            for subset in ("one", "two")
        )
        + "---\n"
    )
    data = str(tmp_path / "data")
    assert len(open_dataset(data, subset="one", quiet=True)) == 3
    two = open_dataset(data, subset="two", split="test", quiet=True)
    assert (len(two), two[0].image.size) == (2, (16, 16))
    assert len(open_dataset(data, subset="one", split="train[:1]", quiet=True)) == 1
    for wrong in ({}, {"subset": "three"}, {"subset": "one", "split": "dev"}):
        with pytest.raises(InputError, match=r"data: .*data cannot be loaded"):
            open_dataset(data, quiet=True, **wrong)


def test_pictures_beside_json_lines(tmp_path: Path) -> None:
    (tmp_path / "one.png").write_bytes(png(16))
    line = {"file_name": "one.png", "question": "What colour?", "answer": "red"}
    (tmp_path / "metadata.jsonl").write_text(json.dumps(line) + "\n")
    (row,) = [open_dataset(str(tmp_path), quiet=True)[i] for i in range(1)]
    assert (row.image.size, row.answer) == ((16, 16), "red")


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"question": " "}, "row 3: question is missing or blank"),
        ({"answer": ""}, "row 3: answer is missing or blank"),
        ({"choices": ["a", "b"]}, "row 3: answer '5 cm' is not the letter of one of 2 choices"),
        ({"image": {"bytes": png()[:60], "path": None}}, "row 3: .*(truncated|not an image)"),
        ({"image": {"bytes": None, "path": None}}, "row 3: image is missing"),
    ],
)
def test_a_bad_row_is_named(tmp_path: Path, changed: dict[str, Any], words: str) -> None:
    with pytest.raises(InputError, match=words):
        open_dataset(str(parquet(tmp_path / "data", **changed)), quiet=True)


def test_all_bad_rows_are_named_at_once(tmp_path: Path) -> None:
    rows = {"image": [{"bytes": png(), "path": None}] * 30, "question": ["a"] + [" "] * 29,
            "answer": ["b"] * 30}  # fmt: skip
    Dataset.from_dict(rows).to_parquet(tmp_path / "train.parquet")
    with pytest.raises(InputError) as caught:
        open_dataset(str(tmp_path), quiet=True)
    lines = str(caught.value).splitlines()
    assert len(lines) == 21
    assert ", row 2: " in lines[0] and ", row 21: " in lines[19]
    assert lines[-1] == "20 rows cannot be used, and perhaps more"


def test_json_lines_name_pictures_beside_them(tmp_path: Path) -> None:
    (tmp_path / "pictures").mkdir()
    (tmp_path / "pictures" / "one.png").write_bytes(png(16))
    line = {"image": "pictures/one.png", "question": "What colour?", "answer": "red"}
    (tmp_path / "train.jsonl").write_text(json.dumps(line) + "\n")
    assert open_dataset(str(tmp_path), quiet=True)[0].image.size == (16, 16)


def test_a_missing_column_and_a_missing_folder(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    Dataset.from_dict({"question": ["a"], "answer": ["b"]}).to_parquet(folder / "train.parquet")
    with pytest.raises(InputError, match="has no column image; it has question, answer"):
        open_dataset(str(folder), quiet=True)
    for nowhere in (str(tmp_path / "nowhere"), "nowhere"):
        with pytest.raises(InputError, match=r"no folder at .*nowhere; check the path"):
            open_dataset(nowhere, quiet=True)
    (folder / "train.parquet").write_bytes(b"PAR1 cut off")
    with pytest.raises(InputError, match="cannot be loaded"):
        open_dataset(str(folder), quiet=True)
