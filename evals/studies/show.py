"""A study as people look at it: a table for the terminal, markdown for documents, a plot."""

import math
import re
from collections.abc import Sequence
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

from rich.table import Table
from rich.text import Text

from catts.errors import InputError
from catts.evals.studies.result import Cell, Estimate, Line, StudyResult, leaves_out_zero
from catts.evals.studies.setting import Setting

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_ACROSS = 3
"""Panels beside each other in a plot."""


def as_table(result: StudyResult) -> Table:
    """The lines, a section for each group; an interval that leaves 0 out is bold."""
    state = "" if result.complete else "\nNOT COMPLETE: see the notes under the table"
    # as texts: what models say and are called may hold brackets, which are markup to rich
    table = Table(
        title=Text(f"{result.title}{state}", "table.title"),
        caption=Text("\n".join(result.notes), "table.caption"),
        title_justify="left",
        caption_justify="left",
    )
    table.add_column("", overflow="fold")
    for column in result.columns:
        table.add_column(Text(column), justify="right", overflow="fold")
    for group, lines in _grouped(result.lines):
        table.add_section()
        if group:
            table.add_row(Text(group, "bold"))
        for line in lines:
            cells = (_styled(column, line.cells.get(column)) for column in result.columns)
            table.add_row(Text(line.label), *cells)
    return table


def as_markdown(result: StudyResult) -> str:
    """The lines as one markdown table, with the notes under it."""
    rows = [f"| | {' | '.join(result.columns)} |", f"|---{'|---:' * len(result.columns)}|"]
    for group, lines in _grouped(result.lines):
        if group:
            rows.append(f"| **{group}** |{' |' * len(result.columns)}")
        for line in lines:
            cells = (_text(line.cells.get(column)) for column in result.columns)
            rows.append(f"| {line.label} | {' | '.join(cells)} |")
    return "\n".join(rows) + "\n\n" + "\n".join(f"- {note}" for note in result.notes) + "\n"


def plot(result: StudyResult, path: Path) -> None:
    """The curves with their intervals, those of one panel together, as PNG.

    A name `panel: curve` puts a curve into a panel; a curve of one point is a point. Without curves
    the table's accuracies are drawn, one under the other.
    """
    from matplotlib.figure import Figure

    panels: dict[str, list[str]] = {}
    for name in result.curves:
        panel, _, curve = name.rpartition(": ")
        panels.setdefault(panel, []).append(curve)
    across = min(_ACROSS, max(1, len(panels)))
    down = max(1, math.ceil(len(panels) / across))
    height = 4.2 * down if panels else 1.5 + 0.25 * len(result.lines)
    figure = Figure(figsize=(7 * across, height), layout="constrained", dpi=130)
    for number, (panel, curves) in enumerate(panels.items(), start=1):
        axes = figure.add_subplot(down, across, number, title=panel)
        for place, curve in enumerate(curves):
            points = result.curves[f"{panel}: {curve}" if panel else curve]
            _draw(axes, curve, points, f"C{place % 10}", "osD^v"[place // 10 % 5])
        if result.log_x:
            axes.set_xscale("log", base=2)
            ticks = sorted({x for curve in result.curves.values() for x, _ in curve})
            axes.set_xticks(ticks, [f"{x:g}" for x in ticks])
        axes.set(xlabel=result.axes[0], ylabel=result.axes[1])
        axes.grid(alpha=0.3)
        if len(curves) > 6:
            axes.legend(fontsize=7, loc="center left", bbox_to_anchor=(1, 0.5))
        else:
            axes.legend(fontsize=8)
    if not panels:
        _forest(figure, result.lines)
    figure.savefig(path, format="png")


def _draw(
    axes: "Axes", name: str, points: Sequence[tuple[float, Estimate]], colour: str, marker: str
) -> None:
    x, cells = [x for x, _ in points], [y for _, y in points]
    y = [cell.value for cell in cells]
    if len(points) == 1:
        axes.errorbar(x, y, _reach(cells), fmt=marker, color=colour, label=name, elinewidth=0.8)
    else:
        axes.plot(x, y, f"{marker}-", color=colour, label=name)
        axes.fill_between(
            x, [cell.low for cell in cells], [cell.high for cell in cells], color=colour, alpha=0.15
        )


def _reach(cells: Sequence[Estimate]) -> list[list[float]]:
    """How far the intervals reach down and up; an estimate may lie a digit outside its own."""
    return [
        [max(0.0, cell.value - cell.low) for cell in cells],
        [max(0.0, cell.high - cell.value) for cell in cells],
    ]


def _forest(figure: "Figure", lines: Sequence[Line]) -> None:
    axes = figure.add_subplot(1, 1, 1)
    groups = list(dict.fromkeys(line.group for line in lines))
    shown = [(line, y) for line in lines if isinstance(y := line.cells.get("accuracy"), Estimate)]
    for group in groups:
        colour = f"C{groups.index(group) % 10}"
        places = [place for place, (line, _) in enumerate(shown) if line.group == group]
        values = [shown[place][1] for place in places]
        x = [value.value for value in values]
        axes.errorbar(x, places, xerr=_reach(values), fmt="o", color=colour, label=group)
    axes.set_yticks(range(len(shown)), [line.label for line, _ in shown])
    axes.invert_yaxis()
    axes.set(xlabel="accuracy")
    axes.grid(alpha=0.3)
    if any(groups):
        figure.legend(fontsize=8, loc="outside upper center")


def make_folder(folder: Path) -> None:
    """Make the folder that a study is to be written into.

    Raises:
        InputError: it cannot be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"cannot make {folder}: {error.strerror}; choose another --out") from error


def write(result: StudyResult, folder: Path) -> None:
    """Write NAME.json, NAME.md and NAME.png into `folder`, NAME being `file_name`'s.

    Each appears as a whole or not at all, in place of one that was there.

    Raises:
        InputError: the folder cannot be written.
    """
    make_folder(folder)
    name = file_name(result.made.study, result.made.setting)
    parts = {end: folder / f"{name}.{end}.part" for end in ("json", "md", "png")}
    try:
        parts["json"].write_text(f"{result.model_dump_json(indent=1)}\n", "utf-8")
        parts["md"].write_text(as_markdown(result), "utf-8")
        plot(result, parts["png"])
        for part in parts.values():
            part.replace(part.with_suffix(""))
    except OSError as error:
        raise InputError(
            f"cannot write into {folder}: {error.strerror}; choose another --out (what the models "
            "said is stored, and the same command is quick)"
        ) from error
    finally:
        for part in parts.values():
            part.unlink(missing_ok=True)


def file_name(study: str, setting: Setting) -> str:
    """STUDY-TASK-LIMIT-BASE, each but the first only where it is not the default.

    BASE is the last part of the model's name; characters that are awkward in a file's name become
    hyphens.
    """
    task = "" if setting.task == "embedded" else setting.task
    limit = "" if setting.limit is None else str(setting.limit)
    base = "" if setting.base == "embedded" else Path(setting.base).expanduser().resolve().name
    return "-".join(filter(None, (study, task, limit, re.sub(r"[^\w.]+", "-", base).strip("-"))))


def _grouped(lines: Sequence[Line]) -> list[tuple[str, list[Line]]]:
    return [(group, list(members)) for group, members in groupby(lines, key=lambda x: x.group)]


def _styled(column: str, cell: Cell) -> Text:
    return Text(_text(cell), "bold" if leaves_out_zero(column, cell) else "")


def _text(cell: Cell) -> str:
    match cell:
        case None:
            return ""
        case Estimate():
            return str(cell)
        case float():
            return f"{cell:.1f}" if abs(cell) >= 10 else f"{cell:.3g}"
        case _:
            return str(cell)
