"""Quality as people look at it: a table for the terminal, markdown for the documents, a plot."""

from collections.abc import Sequence
from itertools import groupby
from pathlib import Path

from rich.console import Group
from rich.table import Table

from catts.evals.shipped.quality import Quality
from catts.evals.shipped.rows import Row
from catts.evals.shipped.sight import NoisePoint

_COLUMNS = ("measure", "value", "95 % interval", "n", "bar", "met")


def quality_table(quality: Quality) -> Group:
    """The rows as a table, and the noise curve."""
    curve = Table(title=f"key-region noise, validation; t* = {quality.t_star}")
    for column in (
        "t",
        "accuracy",
        "promised",
        "confidence C",
        "shift in SD",
        "of the voting kind",
    ):
        curve.add_column(column, justify="right")
    for point in quality.curve:
        curve.add_row(str(point.t), *(f"{v:.3f}" for v in point[1:]))
    return Group(rows_table(quality.rows, "embedded models"), curve)


def rows_table(rows: Sequence[Row], title: str) -> Table:
    """The rows, a section for each group, bars that are missed in red."""
    table = Table(title=title, title_justify="left")
    for column in _COLUMNS:
        table.add_column(column, justify="right" if column in ("value", "n") else "left")
    for group, members in groupby(rows, key=lambda r: r.group):
        table.add_section()
        table.add_row(f"[bold]{group}[/bold]")
        for row in members:
            style = {True: "green", False: "red", None: ""}[row.met]
            table.add_row(*_cells(row), style=style)
    return table


def quality_markdown(rows: Sequence[Row]) -> str:
    """The rows as one markdown table."""
    lines = [f"| | {' | '.join(_COLUMNS)} |", f"|---{'|---' * len(_COLUMNS)}|"]
    for group, members in groupby(rows, key=lambda r: r.group):
        for i, row in enumerate(members):
            lines.append(f"| {group if i == 0 else ''} | {' | '.join(_cells(row))} |")
    return "\n".join(lines) + "\n"


def plot_curve(curve: Sequence[NoisePoint], t_star: int | None, path: Path) -> None:
    """Accuracy and what confidence promises, against the noise step, as PNG."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4), layout="constrained", dpi=130)
    axes = figure.add_subplot()
    steps = [p.t for p in curve]
    accuracy, expected = ([getattr(p, f) for p in curve] for f in ("accuracy", "expected"))
    axes.plot(steps, expected, "s--", color="tab:red", label="what confidence C promises")
    axes.plot(steps, accuracy, "o-", color="tab:blue", label="accuracy, greedy")
    axes.fill_between(steps, accuracy, expected, color="tab:red", alpha=0.12,
                      label="over-confidence")  # fmt: skip
    axes.set(xlabel="diffusion step t of the noise in the key region", ylabel="share right")
    axes.set_ylim(0, 1)
    if t_star is not None:
        axes.axvline(t_star, color="grey", linewidth=0.8)
        axes.annotate(f"t* = {t_star}", (t_star, 0.03), color="grey")
    axes.legend(loc="lower left", fontsize=8)
    figure.savefig(path)


def _cells(row: Row) -> tuple[str, ...]:
    known = row.low is not None and row.high is not None
    interval = f"{row.low:.3f} to {row.high:.3f}" if known else ""
    value = "" if row.value is None else f"{row.value:.3f}"
    met = {True: "yes", False: "no", None: ""}[row.met]
    n = "" if row.n is None else f"{row.n:,}"
    return row.measure, value, interval, n, row.bar, met
