"""The lines of the quality table."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from catts.evals.metrics import Interval, cluster_bootstrap


class Row(NamedTuple):
    """One line of the table."""

    group: str
    measure: str
    value: float | None
    """None where there was nothing to measure."""
    low: float | None = None
    high: float | None = None
    n: int | None = None
    """Questions measured."""
    bar: str = ""
    met: bool | None = None
    """None where the row has no bar."""


def row(
    group: str,
    measure: str,
    clusters: Sequence[Sequence[float]],
    bar: str = "",
    met: Callable[[Interval], bool] | None = None,
) -> Row:
    """A mean with its interval, clustered by question; `met` judges it against the bar."""
    interval = cluster_bootstrap(clusters)
    return row_of(group, measure, interval, len(clusters), bar, met(interval) if met else None)


def row_of(
    group: str, measure: str, interval: Interval, n: int, bar: str = "", met: bool | None = None
) -> Row:
    """An interval that was found elsewhere, over `n` questions."""
    return Row(group, measure, *interval, n, bar, met)
