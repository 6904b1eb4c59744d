"""Questions without labels are refused before a model is loaded."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "benchmarks"))  # for `distributed`

from distributed import mathvista, write_parquet

from catts.errors import BenchmarkError
from catts.evals.studies import lab as lab_module
from catts.evals.studies.lab import open_lab
from catts.evals.studies.setting import Setting


async def test_a_split_without_labels(tmp_path, monkeypatch):
    def load(*arguments, **options):
        raise AssertionError("a model was loaded")

    monkeypatch.setattr(lab_module, "open_context", load)
    rows = [mathvista(pid=str(i), answer="") for i in range(3)]
    write_parquet(tmp_path / "test-00000-of-00001.parquet", "mathvista", rows)
    setting = Setting(
        task="mathvista", data=str(tmp_path), split="test", store=tmp_path / "said.sqlite"
    )
    with pytest.raises(BenchmarkError, match="has no label, so nothing can be graded: take a spl"):
        async with open_lab(setting):
            pass
