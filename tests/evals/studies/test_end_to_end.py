"""Each study through the command, on the shipped models and two questions."""

import json
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from catts import cli
from catts.evals.studies import make
from catts.evals.studies.commands import Name
from catts.evals.studies.result import StudyResult

pytestmark = [pytest.mark.models, pytest.mark.slow]

LINES = {
    "ablation": 2 * 10,
    "scaling": 2 + 1,
    "probing": 1 + 2 * 10,
    "weights": 2 * 125 + 2,
    "peers": 1 + 8 + 1 + 3,
    "cost": 3,
    "calibration": (3 + 2) * 12,
    "cdrl": 15 * 2,
    "ladder": 2 * 2 * 3,
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("studies")


@pytest.fixture
def study(folder: Path, capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """`study("cost")`: what the command prints; all studies share a store."""

    def call(name: str, *more: str) -> str:
        arguments = [
            "study", name, "--limit", "2", "--samples", "2", "--sizes", "1,2", "--store",
            str(folder / "said.sqlite"), "--out", str(folder / "out"), *more,
        ]  # fmt: skip
        with pytest.raises(SystemExit) as ended:
            cli.main(arguments)
        assert not ended.value.code
        return capsys.readouterr().out

    return call


def stored(folder: Path) -> int:
    with sqlite3.connect(folder / "said.sqlite") as file:
        return int(file.execute("SELECT count(*) FROM said").fetchone()[0])


@pytest.mark.parametrize("name", list(Name))
def test_a_study_prints_one_object_and_writes_three_files(
    name: str, study: Callable[..., str], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(make, "ALONE", 1)
    trained = ["--calibrated-base", "embedded"] if name in ("cdrl", "ladder") else []
    printed = study(name, "--json", *trained)
    assert len(printed.splitlines()) == 1
    made = StudyResult.model_validate_json(printed)
    out = folder / "out"
    assert StudyResult.model_validate_json((out / f"{name}-2.json").read_text("utf-8")) == made
    assert (out / f"{name}-2.md").read_text("utf-8").count("\n|") >= len(made.lines)
    with Image.open(out / f"{name}-2.png") as picture:
        assert picture.format == "PNG"

    assert len(made.lines) == LINES[name]
    assert (made.made.study, made.made.questions, made.made.base) == (name, 2, "embedded-base")
    assert not [note for note in made.notes if "NOT COMPLETE" in note]
    record: dict[str, Any] = json.loads(printed)
    for line in record["lines"]:
        for cell in line["cells"].values():
            if isinstance(cell, dict):
                assert cell["low"] <= cell["value"] + 1e-9
                assert cell["value"] <= cell["high"] + 1e-9


def test_a_second_run_asks_nothing_and_says_the_same(
    study: Callable[..., str], folder: Path
) -> None:
    first = StudyResult.model_validate_json(study("ablation", "--json"))
    held = stored(folder)
    shown = study("ablation")
    assert stored(folder) == held
    again = StudyResult.model_validate_json((folder / "out" / "ablation-2.json").read_text("utf-8"))
    assert again.lines == first.lines
    assert "Ablation: what each module's ballots add" in shown
    assert "CA-TTS" in shown
