"""A study as people look at it."""

import io
import re
from pathlib import Path

import pytest
from asked import Told, item, laboratory, said
from PIL import Image
from rich.console import Console
from scripted_models import ScriptedExpert

from catts.errors import InputError
from catts.evals.studies import show
from catts.evals.studies.result import Cell, Estimate, Line, StudyResult
from catts.evals.studies.setting import Setting

SURE, UNSURE = Estimate(value=0.25, low=0.1, high=0.4), Estimate(value=0.5, low=-0.1, high=1.1)


def line(label: str, group: str = "", **cells: Cell) -> Line:
    return Line(label=label, group=group, cells=cells)


@pytest.fixture
def result(tmp_path: Path) -> StudyResult:
    lab = laboratory([item("a")], Told({"a": [said("3")]}), ScriptedExpert(), tmp_path / "lab")
    lines = [
        line("one", "first", accuracy=UNSURE, **{"vs majority": SURE}, tokens=1234.56),
        line("two", "first", accuracy=SURE, **{"vs majority": UNSURE}, tokens=0.1234),
        line("three", "second", accuracy=SURE, tokens=12),
    ]
    columns = ("accuracy", "vs majority", "tokens")
    return lab.result("ablation", "What it is worth", columns, lines, ["how it was done"])


def test_markdown(result: StudyResult) -> None:
    assert show.as_markdown(result) == (
        "| | accuracy | vs majority | tokens |\n"
        "|---|---:|---:|---:|\n"
        "| **first** | | | |\n"
        "| one | 0.500 (-0.100 to 1.100) | 0.250 (0.100 to 0.400) | 1234.6 |\n"
        "| two | 0.250 (0.100 to 0.400) | 0.500 (-0.100 to 1.100) | 0.123 |\n"
        "| **second** | | | |\n"
        "| three | 0.250 (0.100 to 0.400) |  | 12 |\n"
        "\n"
        "- how it was done\n"
    )


def test_the_table_s_sure_differences_are_bold(result: StudyResult) -> None:
    console = Console(file=io.StringIO(), force_terminal=True, width=120, color_system="standard")
    console.print(show.as_table(result))
    assert isinstance(console.file, io.StringIO)
    shown = console.file.getvalue()
    for word in ("What it is worth", "first", "second", "how it was done", "1234.6"):
        assert word in shown
    one, two = (next(row for row in shown.splitlines() if f" {n} " in row) for n in ("one", "two"))
    assert re.search(r"\x1b\[1m ?0.250 \(0.100 to 0.400\)", one)
    assert not re.search(r"\x1b\[1m ?0", two), (
        "0 lies in its interval, and an accuracy is no difference"
    )


@pytest.mark.parametrize(
    "curves",
    [
        {},
        {"majority": ((1.0, SURE), (2.0, UNSURE)), "CA-TTS": ((1.0, SURE), (2.0, SURE))},
        {f"way {n}": ((float(n), SURE),) for n in range(17)},
        {"left: a": ((0.0, SURE), (1.0, SURE)), "right: b": ((0.0, UNSURE),), "right: none": ()},
        {"outside itself": ((0.0, Estimate(value=0.5, low=0.50000001, high=0.6)),)},
    ],
    ids=["forest", "curves", "points", "panels", "rounded"],
)
def test_a_plot_of_every_kind(
    result: StudyResult, tmp_path: Path, curves: dict[str, object]
) -> None:
    log_x = "CA-TTS" in curves
    drawn = result.model_copy(update={"curves": curves, "log_x": log_x, "axes": ("x", "y")})
    show.plot(drawn, tmp_path / "plot.png")
    with Image.open(tmp_path / "plot.png") as picture:
        assert picture.format == "PNG"
        assert min(picture.size) > 200


def shown(result: StudyResult, width: int = 120) -> str:
    console = Console(file=io.StringIO(), width=width)
    console.print(show.as_table(result))
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_brackets_are_shown_as_they_are(result: StudyResult) -> None:
    lines = (line("n[1]", "base [/INST]", accuracy="[red]x"),)
    odd = {"title": "of [b]", "lines": lines, "notes": ("failed near [/INST]",)}
    told = shown(result.model_copy(update=odd))
    for words in ("of [b]", "n[1]", "base [/INST]", "[red]x", "failed near [/INST]"):
        assert words in told


def test_names_are_folded_where_the_terminal_is_narrow(result: StudyResult) -> None:
    name = "Qwen2.5-VL-3B-Instruct-with-a-longer-name"
    columns = tuple(f"column {n}" for n in range(5))
    lines = (line(name, **dict.fromkeys(columns, SURE)),)
    told = shown(result.model_copy(update={"lines": lines, "columns": columns}), width=80)
    assert "…" not in told
    rows = [row for row in told.splitlines() if row.startswith("│")]
    assert "".join(row.split("│")[1].strip() for row in rows) == name
    assert {row[-1] for row in rows} == {"│"}, "nothing is cut on the right"
    assert max(map(len, rows)) <= 80


def test_what_is_missing_stands_above_the_table(result: StudyResult) -> None:
    told = shown(result.model_copy(update={"complete": False}))
    assert told.index("NOT COMPLETE") < told.index("accuracy")
    assert "NOT COMPLETE" not in shown(result)


def test_large_numbers_have_one_decimal() -> None:
    assert str(Estimate(value=1234.5678, low=9.1234, high=2000)) == "1234.6 (9.1 to 2000.0)"
    assert str(Estimate(value=9.9, low=0, high=20)) == "9.900 (0.000 to 20.000)"


@pytest.mark.parametrize(
    ("setting", "name"),
    [
        (Setting(), "cost"),
        (Setting(task="mmstar", limit=50), "cost-mmstar-50"),
        (Setting(base="Qwen/Qwen2.5-VL-3B-Instruct"), "cost-Qwen2.5-VL-3B-Instruct"),
        (Setting(base="./runs/my model(2)/"), "cost-my-model-2"),
        (Setting(task="mmmu", limit=5, base="~/a/b"), "cost-mmmu-5-b"),
    ],
)
def test_a_name_for_what_is_measured(setting: Setting, name: str) -> None:
    assert show.file_name("cost", setting) == name


def test_what_was_there_stays_when_the_new_one_cannot_be_drawn(
    result: StudyResult, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    show.write(result, tmp_path)
    before = {path.name: path.read_bytes() for path in tmp_path.glob("ablation*")}

    def broken(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(show, "plot", broken)
    with pytest.raises(InputError, match="No space left"):
        show.write(result.model_copy(update={"title": "another"}), tmp_path)
    assert {path.name: path.read_bytes() for path in tmp_path.glob("ablation*")} == before


def test_the_three_files(result: StudyResult, tmp_path: Path) -> None:
    folder = tmp_path / "new" / "folder"
    show.write(result, folder)
    assert sorted(p.name for p in folder.iterdir()) == [
        "ablation.json", "ablation.md", "ablation.png",
    ]  # fmt: skip
    assert StudyResult.model_validate_json((folder / "ablation.json").read_text("utf-8")) == result
    assert (folder / "ablation.md").read_text("utf-8") == show.as_markdown(result)


def test_a_folder_that_is_a_file(result: StudyResult, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="choose another --out"):
        show.make_folder(tmp_path / "file")
    (tmp_path / "out" / "ablation.md").mkdir(parents=True)
    with pytest.raises(InputError, match="choose another --out"):
        show.write(result, tmp_path / "out")
