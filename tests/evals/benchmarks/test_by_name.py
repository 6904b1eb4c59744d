"""Benchmarks by name: splits, limits, sources, and what is said when they are not there."""

from pathlib import Path
from typing import get_args

import pytest
from distributed import mathvision, mathvista, mmmu, mmstar, write_parquet

from catts.embedded.world import Stream
from catts.errors import BenchmarkError
from catts.evals.benchmarks import by_name
from catts.evals.benchmarks.by_name import TASKS, TUNING_SPLITS, load_benchmark
from catts.evals.benchmarks.loading import Loaded

REPORTED = {"mathvista": "testmini", "mathvision": "test", "mmstar": "val", "mmmu": "validation"}
ROWS = {
    "mathvista": [mathvista(pid=str(i)) for i in range(3)],
    "mathvision": [mathvision(id=str(i)) for i in range(3)],
    "mmstar": [mmstar(index=i) for i in range(3)],
    "mmmu": [mmmu(id=f"validation_Accounting_{i}") for i in range(3)],
}


@pytest.mark.parametrize("name", REPORTED)
def test_the_split_that_a_benchmark_reports_is_the_one_that_is_read(
    name: by_name.TaskName, tmp_path: Path
) -> None:
    write_parquet(tmp_path / "data" / f"{REPORTED[name]}-00000-of-00001.parquet", name, ROWS[name])
    assert len(load_benchmark(name, str(tmp_path)).items) == 3
    assert len(load_benchmark(name, str(tmp_path), limit=2).items) == 2
    assert len(load_benchmark(name, str(tmp_path), split=REPORTED[name]).items) == 3
    with pytest.raises(BenchmarkError, match="called other"):
        load_benchmark(name, str(tmp_path), split="other")


def test_without_a_source_the_benchmark_s_own_hub_id_is_asked(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    given: list[dict[str, object]] = []

    def load(**options: object) -> Loaded:
        given.append(options)
        return Loaded(())

    monkeypatch.setitem(by_name._DISTRIBUTED, "mmstar", load)
    load_benchmark("mmstar")
    load_benchmark("mmstar", "folder", split="val", skip_malformed=True)
    assert given == [
        {"skip_malformed": False},
        {"source": "folder", "split": "val", "skip_malformed": True},
    ]


def test_malformed_rows_stop_it_or_are_counted(tmp_path: Path) -> None:
    rows = [*ROWS["mmstar"], mmstar(index=9, answer="Z")]
    write_parquet(tmp_path / "val.parquet", "mmstar", rows)
    with pytest.raises(BenchmarkError, match="row 4, field answer"):
        load_benchmark("mmstar", str(tmp_path))
    loaded = load_benchmark("mmstar", str(tmp_path), skip_malformed=True)
    assert (len(loaded.items), len(loaded.skipped)) == (3, 1)


@pytest.mark.parametrize("split", get_args(Stream))
def test_the_drawn_world_has_its_streams(split: str) -> None:
    items = load_benchmark("embedded", split=split, limit=2).items
    assert [item.id for item in items] == [f"embedded/{split}/{i}" for i in range(2)]


def test_the_drawn_world_is_tested_by_default_and_takes_no_files() -> None:
    assert load_benchmark("embedded", limit=1).items == load_benchmark(
        "embedded", split="test", limit=1
    ).items  # fmt: skip
    with pytest.raises(BenchmarkError, match="embedded draws its questions: leave files out"):
        load_benchmark("embedded", "files")
    with pytest.raises(BenchmarkError, match="no split val: it has train, validation, test"):
        load_benchmark("embedded", split="val", limit=1)


@pytest.mark.parametrize("name", TASKS)
def test_a_limit_leaves_something(name: by_name.TaskName) -> None:
    with pytest.raises(BenchmarkError, match="give 1 or more"):
        load_benchmark(name, limit=0)


def test_no_split_for_tuning_is_the_one_that_is_reported() -> None:
    assert TUNING_SPLITS == {"embedded": "validation", "mmmu": "dev"}
    tuning = load_benchmark("embedded", split=TUNING_SPLITS["embedded"], limit=50).items
    assert not {i.id for i in tuning} & {i.id for i in load_benchmark("embedded", limit=50).items}
