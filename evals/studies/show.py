"""A study as people look at it: a table for the terminal, markdown for documents, a plot."""

from collections.abc import Sequence
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

from rich.table import Table

from catts.errors import InputError
from catts.evals.studies.result import Cell, Estimate, Line, StudyResult, leaves_out_zero

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def as_table(result: StudyResult) -> Table:
    """The lines, a section for each group; an interval that leaves 0 out is bold."""
    table = Table(title=result.title, title_justify="left", caption="\n".join(result.notes))
    table.caption_justify = "left"
    table.add_column("")
    for column in result.columns:
        table.add_column(column, justify="right")
    for group, lines in _grouped(result.lines):
        table.add_section()
        if group:
            table.add_row(f"[bold]{group}[/bold]")
        for line in lines:
            table.add_row(line.label, *(_styled(c, line.cells.get(c)) for c in result.columns))
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
    height = 4.2 if panels else 1.5 + 0.25 * len(result.lines)
    figure = Figure(figsize=(7 * max(1, len(panels)), height), layout="constrained", dpi=130)
    for number, (panel, curves) in enumerate(panels.items(), start=1):
        axes = figure.add_subplot(1, len(panels), number, title=panel)
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
    figure.savefig(path)


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
    """Write STUDY.json, STUDY.md and STUDY.png into `folder`.

    Raises:
        InputError: the folder cannot be written.
    """
    make_folder(folder)
    name = result.made.study
    try:
        (folder / f"{name}.json").write_text(f"{result.model_dump_json(indent=1)}\n", "utf-8")
        (folder / f"{name}.md").write_text(as_markdown(result), "utf-8")
        plot(result, folder / f"{name}.png")
    except OSError as error:
        raise InputError(
            f"cannot write into {folder}: {error.strerror}; choose another --out (what the models "
            "said is stored, and the same command is quick)"
        ) from error


def _grouped(lines: Sequence[Line]) -> list[tuple[str, list[Line]]]:
    return [(group, list(members)) for group, members in groupby(lines, key=lambda x: x.group)]


def _styled(column: str, cell: Cell) -> str:
    return f"[bold]{_text(cell)}[/bold]" if leaves_out_zero(column, cell) else _text(cell)


def _text(cell: Cell) -> str:
    match cell:
        case None:
            return ""
        case Estimate():
            return f"{cell.value:.3f} ({cell.low:.3f} to {cell.high:.3f})"
        case float():
            return f"{cell:.1f}" if abs(cell) >= 10 else f"{cell:.3g}"
        case _:
            return str(cell)
