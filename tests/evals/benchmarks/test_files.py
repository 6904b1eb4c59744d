import json
from pathlib import Path

import pytest
from distributed import mathvision, write_jsonl, write_parquet

from catts.errors import BenchmarkError
from catts.evals.benchmarks.files import find_files, read_rows

COLUMNS = ("id", "question")


def names(files: list[Path], folder: Path) -> list[str]:
    return [str(file.relative_to(folder)) for file in files]


def test_a_file_is_read_whatever_the_split(tmp_path):
    file = write_parquet(tmp_path / "anything.parquet", "mathvision", [mathvision()])
    assert find_files(file, ("test",)) == [file]
    assert find_files(str(file), ("test",)) == [file]


def test_a_folder_gives_the_shards_of_one_split_in_order(tmp_path):
    for name in (
        "data/test-00001-of-00002-6a61.parquet",
        "data/test-00000-of-00002-6b02.parquet",
        "data/testmini-00000-of-00001.parquet",
        "data/validation.parquet",
        ".cache/test-00000-of-00001.parquet",
    ):
        write_parquet(tmp_path / name, "mathvision", [mathvision()])
    write_jsonl(tmp_path / "test.jsonl", [mathvision(decoded_image=None)])
    assert names(find_files(tmp_path, ("test",)), tmp_path) == [
        "data/test-00000-of-00002-6b02.parquet",
        "data/test-00001-of-00002-6a61.parquet",
    ]
    assert names(find_files(tmp_path, ("testmini",)), tmp_path) == [
        "data/testmini-00000-of-00001.parquet"
    ]
    assert names(find_files(tmp_path, ("validation",)), tmp_path) == ["data/validation.parquet"]


def test_without_parquet_json_lines_and_json_count(tmp_path):
    write_jsonl(tmp_path / "data" / "test.jsonl", [])
    (tmp_path / "testmini.json").write_text("[]")
    assert names(find_files(tmp_path, ("test",)), tmp_path) == ["data/test.jsonl"]
    assert names(find_files(tmp_path, ("testmini",)), tmp_path) == ["testmini.json"]


@pytest.mark.parametrize("split", ["dev", "tes", "testm"])
def test_a_split_that_is_not_there_is_told_with_what_is(tmp_path, split):
    write_parquet(tmp_path / "test-00000-of-00001.parquet", "mathvision", [mathvision()])
    with pytest.raises(BenchmarkError, match=rf"called {split} \(it has test-00000-of-00001"):
        find_files(tmp_path, (split,))


def test_an_empty_folder_and_a_file_of_another_kind(tmp_path):
    with pytest.raises(BenchmarkError, match="no such files"):
        find_files(tmp_path, ("test",))
    (tmp_path / "test.tsv").write_text("index\tquestion\n")
    with pytest.raises(BenchmarkError, match="is no parquet, jsonl or json file"):
        find_files(tmp_path / "test.tsv", ("test",))


@pytest.mark.parametrize("source", ["no-such-folder", "./a/b", "/no/such/place", "a/b/c"])
def test_what_is_neither_a_path_nor_a_hub_id(source):
    with pytest.raises(BenchmarkError, match="no file or folder at"):
        find_files(source, ("test",))


def test_a_path_is_never_looked_for_on_the_hub(monkeypatch):
    monkeypatch.setattr("huggingface_hub.snapshot_download", lambda *_, **__: pytest.fail())
    with pytest.raises(BenchmarkError, match="no file or folder at"):
        find_files(Path("owner/name"), ("test",))


def test_a_hub_id_is_downloaded_with_the_split_s_files_only(tmp_path, monkeypatch):
    write_parquet(tmp_path / "data" / "test-00000-of-00001.parquet", "mathvision", [mathvision()])
    asked = {}

    def download(repository: str, **settings: object) -> str:
        asked.update(settings, repository=repository)
        return str(tmp_path)

    monkeypatch.setattr("huggingface_hub.snapshot_download", download)
    (file,) = find_files("MathLLMs/MathVision", ("test",))
    assert file.name == "test-00000-of-00001.parquet"
    assert asked["repository"] == "MathLLMs/MathVision"
    assert asked["repo_type"] == "dataset"
    assert set(asked["allow_patterns"]) == {
        "test.parquet", "test-*.parquet", "*/test.parquet", "*/test-*.parquet",
    }  # fmt: skip


def test_a_hub_out_of_reach_says_how_to_go_on_without_it(tmp_path, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(BenchmarkError, match=r"hf download nobody/nothing .*give that folder"):
        find_files("nobody/nothing", ("test",))


def test_rows_of_parquet_are_numbered_and_only_known_columns_are_read(tmp_path):
    rows = [mathvision(id=str(i)) for i in range(150)]
    file = write_parquet(tmp_path / "test.parquet", "mathvision", rows)
    read = list(read_rows(file, (*COLUMNS, "unheard_of"), COLUMNS))
    assert [row.number for row in read] == list(range(1, 151))
    assert [row.values["id"] for row in read] == [str(i) for i in range(150)]
    assert set(read[0].values) == set(COLUMNS)
    assert read[2].origin == f"{file}, row 3"


def test_a_parquet_of_another_benchmark_is_named_by_what_it_lacks(tmp_path):
    file = write_parquet(tmp_path / "test.parquet", "mathvision", [mathvision()])
    with pytest.raises(BenchmarkError, match="has no column pid, choices; is it"):
        list(read_rows(file, ("pid", "question", "choices"), ("pid", "question", "choices")))


def test_a_truncated_parquet_is_named(tmp_path):
    file = write_parquet(tmp_path / "test.parquet", "mathvision", [mathvision()] * 20)
    file.write_bytes(file.read_bytes()[:-40])
    with pytest.raises(BenchmarkError, match=r"test.parquet cannot be read as parquet after row 0"):
        list(read_rows(file, COLUMNS, COLUMNS))


def test_a_parquet_broken_in_its_middle_is_named(tmp_path):
    file = write_parquet(tmp_path / "test.parquet", "mathvision", [mathvision()] * 20)
    data = bytearray(file.read_bytes())
    data[20:120] = bytes(100)
    file.write_bytes(data)
    with pytest.raises(BenchmarkError, match="cannot be read as parquet"):
        list(read_rows(file, COLUMNS, COLUMNS))


def test_parquet_without_pyarrow_says_what_to_install(tmp_path, monkeypatch):
    file = write_parquet(tmp_path / "test.parquet", "mathvision", [mathvision()])
    monkeypatch.setitem(__import__("sys").modules, "pyarrow", None)
    with pytest.raises(BenchmarkError, match=r"pip install 'catts\[evals\]'"):
        list(read_rows(file, COLUMNS, COLUMNS))


def test_rows_of_json_lines_keep_the_numbers_of_their_lines(tmp_path):
    file = tmp_path / "test.jsonl"
    file.write_text('{"id": "1"}\n\n{"id": "3"\n[1]\n{"id": "5"}', "utf-8")
    read = list(read_rows(file, COLUMNS, COLUMNS))
    assert [(row.number, bool(row.broken)) for row in read] == [
        (1, False), (3, True), (4, True), (5, False),
    ]  # fmt: skip


def test_json_may_be_a_list_or_a_mapping(tmp_path):
    file = tmp_path / "test.json"
    for data in ([{"id": "1"}, 2], {"1": {"id": "1"}, "2": 2}):
        file.write_text(json.dumps(data))
        read = list(read_rows(file, COLUMNS, COLUMNS))
        assert [row.values.get("id") for row in read] == ["1", None]
        assert [bool(row.broken) for row in read] == [False, True]


@pytest.mark.parametrize("text", ["[", "3", '"rows"', "[" * 100_000])
def test_json_that_holds_no_rows(tmp_path, text):
    file = tmp_path / "test.json"
    file.write_text(text)
    with pytest.raises(BenchmarkError, match=r"test\.json"):
        list(read_rows(file, COLUMNS, COLUMNS))


def test_deeply_nested_lines_are_rows_that_cannot_be_read(tmp_path):
    file = tmp_path / "test.jsonl"
    file.write_text("[" * 100_000 + "\n")
    assert next(iter(read_rows(file, COLUMNS, COLUMNS))).broken


def test_json_lines_that_are_not_text(tmp_path):
    file = tmp_path / "test.jsonl"
    file.write_bytes(b"\xff\xfe{}")
    with pytest.raises(BenchmarkError, match="cannot be read as UTF-8"):
        list(read_rows(file, COLUMNS, COLUMNS))
