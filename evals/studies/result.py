"""What a study finds: a table with its intervals, and how it came about."""

from collections.abc import Sequence

from pydantic import Field

from catts.evals.metrics import Interval, cluster_bootstrap, paired_difference
from catts.evals.studies.setting import Made
from catts.records import Record

Clusters = Sequence[Sequence[float]]
"""Rows of each question: 1.0 or 0.0 for each of its answers."""


class Estimate(Record):
    """A number with its 95 % interval, bootstrapped over questions."""

    value: float
    low: float
    high: float

    @classmethod
    def of(cls, interval: Interval) -> "Estimate":
        """The record of a bootstrap's interval."""
        return cls(value=interval.estimate, low=interval.low, high=interval.high)

    @classmethod
    def mean(cls, clusters: Clusters) -> "Estimate":
        """The mean over all rows."""
        return cls.of(cluster_bootstrap(clusters))

    @classmethod
    def difference(cls, first: Clusters, second: Clusters) -> "Estimate":
        """The difference of two means on the same questions, paired."""
        return cls.of(paired_difference(first, second))

    def __str__(self) -> str:
        value, low, high = (f"{part:.{self.places}f}" for part in (self.value, self.low, self.high))
        return f"{value} ({low} to {high})"

    @property
    def places(self) -> int:
        """Decimals to show of all three: one where the value is 10 or more, else three."""
        return 1 if abs(self.value) >= 10 else 3


Cell = Estimate | float | int | str | None


def leaves_out_zero(column: str, cell: Cell) -> bool:
    """Whether a cell is a difference, of a column `... vs ...`, whose interval leaves 0 out."""
    return isinstance(cell, Estimate) and "vs " in column and cell.low * cell.high > 0


class Line(Record):
    """One line of a table."""

    group: str = ""
    label: str
    cells: dict[str, Cell]
    """Column to value."""


Curves = dict[str, tuple[tuple[float, Estimate], ...]]
"""Name to points (x, y)."""


class StudyResult(Record):
    """A study's table, with what its plot shows and what a reader has to know."""

    made: Made
    title: str
    columns: tuple[str, ...]
    lines: tuple[Line, ...]
    notes: tuple[str, ...] = ()
    curves: Curves = Field(default_factory=dict)
    """What the plot shows; empty where the table is all there is."""
    axes: tuple[str, str] = ("", "")
    """What x and y of the curves are."""
    log_x: bool = False
    complete: bool = True
    """False when a node of a run failed, or the base model could not answer a question; the notes
    say which."""
