"""A study as people look at it: a table for the terminal, markdown for documents, a plot."""

from collections.abc import Sequence
from itertools import groupby
from pathlib import Path

from rich.table import Table

from catts.evals.studies.result import Cell, Estimate, Line, StudyResult

_COLOURS = ("tab:blue", "tab:orange", "tab:green", "tab:red", "tab:purple", "tab:brown")


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

    A name `panel: curve` puts a curve into a panel.
    """
    from matplotlib.figure import Figure

    panels: dict[str, list[str]] = {}
    for name in result.curves:
        panel, _, curve = name.rpartition(": ")
        panels.setdefault(panel, []).append(curve)
    figure = Figure(figsize=(7 * max(1, len(panels)), 4.2), layout="constrained", dpi=130)
    for number, (panel, curves) in enumerate(panels.items(), start=1):
        axes = figure.add_subplot(1, len(panels), number, title=panel)
        for colour, curve in zip(_COLOURS * len(curves), curves, strict=False):
            points = result.curves[f"{panel}: {curve}" if panel else curve]
            x = [x for x, _ in points]
            axes.plot(x, [y.value for _, y in points], "o-", color=colour, label=curve)
            low, high = [y.low for _, y in points], [y.high for _, y in points]
            axes.fill_between(x, low, high, color=colour, alpha=0.15)
        if result.log_x:
            axes.set_xscale("log", base=2)
            axes.set_xticks([x for x, _ in points], [f"{x:g}" for x, _ in points])
        axes.set(xlabel=result.axes[0], ylabel=result.axes[1])
        axes.grid(alpha=0.3)
        axes.legend(fontsize=8)
    figure.savefig(path)


def write(result: StudyResult, folder: Path) -> None:
    """Write STUDY.json, STUDY.md and, where there are curves, STUDY.png into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    name = result.made.study
    (folder / f"{name}.json").write_text(f"{result.model_dump_json(indent=1)}\n", "utf-8")
    (folder / f"{name}.md").write_text(as_markdown(result), "utf-8")
    if result.curves:
        plot(result, folder / f"{name}.png")


def _grouped(lines: Sequence[Line]) -> list[tuple[str, list[Line]]]:
    return [(group, list(members)) for group, members in groupby(lines, key=lambda x: x.group)]


def _styled(column: str, cell: Cell) -> str:
    sure = isinstance(cell, Estimate) and column.startswith("vs ") and cell.low * cell.high > 0
    return f"[bold]{_text(cell)}[/bold]" if sure else _text(cell)


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
