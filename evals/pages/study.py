"""A study as HTML: its table, its curves, its notes and how it was made."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

from catts.evals.pages.axis import Axis
from catts.evals.pages.figure import figures
from catts.evals.pages.text import escape, number
from catts.evals.studies.result import Cell, Estimate, StudyResult, leaves_out_zero

_DRAWN = 150
"""Pixels across of an interval that is drawn in the table."""


def study_section(result: StudyResult, anchor: str) -> str:
    """The section of a study; `anchor` is its id in the page."""
    plots = "".join(figures(result))
    notes = "".join(f"<li>{escape(note)}</li>" for note in result.notes)
    return (
        f'<section id="{anchor}" class="study"><h2>{escape(result.title)}</h2>'
        f'<p class="lead">{_lead(result)}</p>'
        f'<div class="scroll">{_table(result)}</div>'
        + (f'<div class="plots">{plots}</div>' if plots else "")
        + (f'<ul class="notes">{notes}</ul>' if notes else "")
        + _made(result)
        + "</section>"
    )


def _lead(result: StudyResult) -> str:
    made = result.made
    return (
        f"{made.questions:,} questions of {escape(made.setting.task)}; base "
        f"{escape(made.base)}, expert {escape(made.expert)}. Beside the numbers: 95 % intervals, "
        "bootstrapped over questions."
    )


def _table(result: StudyResult) -> str:
    columns = _columns(result)
    heads = "".join(
        f'<th scope="col" colspan={column.cells}>{escape(column.name)}</th>' for column in columns
    )
    across = 1 + sum(column.cells for column in columns)
    rows = "".join(_rows(result, columns, across))
    return f'<table class="numbers"><thead><tr><td></td>{heads}</tr></thead>{rows}</table>'


@dataclass(frozen=True)
class _Column:
    name: str
    estimates: bool
    """Whether its numbers have intervals."""
    axis: Axis | None = None
    """Of the drawn intervals; the first column that has any is drawn, and speaks for the study."""

    @property
    def cells(self) -> int:
        """Cells of the table that a value takes."""
        return 1 + self.estimates + (self.axis is not None)


def _columns(result: StudyResult) -> list[_Column]:
    columns: list[_Column] = []
    for name in result.columns:
        cells = [cell for x in result.lines if isinstance(cell := x.cells.get(name), Estimate)]
        ends = [e for cell in cells for e in (cell.low, cell.high, cell.value) if math.isfinite(e)]
        drawn = ends and not any(column.axis for column in columns)
        axis = Axis.over(ends, 0, _DRAWN) if drawn else None
        columns.append(_Column(name, bool(cells), axis))
    return columns


def _rows(result: StudyResult, columns: Sequence[_Column], across: int) -> Iterator[str]:
    for group, lines in groupby(result.lines, key=lambda line: line.group):
        yield "<tbody>"
        if group:
            head = f'<th scope="rowgroup" colspan={across}>{escape(group)}</th>'
            yield f'<tr class="group">{head}</tr>'
        for line in lines:
            cells = "".join(_cell(column, line.cells.get(column.name)) for column in columns)
            yield f'<tr><th scope="row">{escape(line.label)}</th>{cells}</tr>'
        yield "</tbody>"


def _cell(column: _Column, cell: Cell) -> str:
    if not isinstance(cell, Estimate):
        return f'<td class="value">{_plain(cell)}</td>' + "<td></td>" * (column.cells - 1)
    sure, places = leaves_out_zero(column.name, cell), cell.places
    return (
        f'<td class="value{" sure" if sure else ""}">{number(cell.value, places)}</td>'
        f'<td class="interval">{number(cell.low, places)} to {number(cell.high, places)}</td>'
        + ("" if column.axis is None else f'<td class="drawn">{_interval(cell, column.axis)}</td>')
    )


def _interval(cell: Estimate, axis: Axis) -> str:
    """The estimate and its interval on the column's axis."""
    if not all(map(math.isfinite, (cell.value, cell.low, cell.high))):
        return ""
    low, value, high = (f"{axis(end):.1f}" for end in (cell.low, cell.value, cell.high))
    return (
        f'<svg class="s0" viewBox="0 0 {_DRAWN} 16" width="{_DRAWN}" height="16" '
        f'aria-hidden="true"><path class="line" d="M{low} 8H{high}"/>'
        f'<circle class="mark" cx="{value}" cy="8" r="4"/></svg>'
    )


def _plain(cell: float | int | str | None) -> str:
    match cell:
        case None:
            return ""
        case float():
            return number(cell, 1 if abs(cell) >= 10 else 3)
        case int():
            return f"{cell:,}".replace("-", "−")
        case _:
            return escape(cell)


def _made(result: StudyResult) -> str:
    """How it came about, folded: enough to make it again."""
    made, setting = result.made, result.made.setting
    facts = {
        "study": made.study,
        "task": " ".join(filter(None, (setting.task, setting.split, setting.data))),
        "questions": f"{made.questions:,}",
        "base": f"{made.base} ({made.base_fingerprint[:12]})",
        "expert": f"{made.expert} ({made.expert_fingerprint[:12]})",
        "samples": str(setting.samples),
        "seed": str(setting.seed),
        "data": made.data[:12],
        "catts": made.catts_version,
        "date (UTC)": "not told" if made.date is None else made.date.isoformat(),
    }
    policy = {
        name: _setting(value)
        for name, value in made.policy.model_dump(exclude={"confidence_map"}).items()
    }
    return (
        f'<details class="made"><summary>How it was made</summary>{_facts(facts)}'
        f"<h3>Policy of the runs</h3>{_facts(policy)}</details>"
    )


def _setting(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def _facts(facts: dict[str, str]) -> str:
    items = (
        f"<div><dt>{escape(name.replace('_', ' '))}</dt><dd>{escape(value)}</dd></div>"
        for name, value in facts.items()
    )
    return f'<dl class="facts">{"".join(items)}</dl>'
