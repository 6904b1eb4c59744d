"""A study as people look at it."""

import io
from pathlib import Path

import pytest
from asked import Told, item, laboratory, said
from PIL import Image
from rich.console import Console
from scripted_models import ScriptedExpert

from catts.errors import InputError
from catts.evals.studies import show
from catts.evals.studies.result import Cell, Estimate, Line, StudyResult

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
    assert "\x1b[1m0.250 (0.100 to 0.400)" in one
    assert "\x1b[1m0" not in two, "0 lies in its interval, and an accuracy is no difference"


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
