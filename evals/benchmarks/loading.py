"""From files to items: every row is checked, a malformed one stops the run or is told of."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from catts.errors import BenchmarkError
from catts.evals.benchmarks.files import find_files, read_rows
from catts.evals.benchmarks.item import Item
from catts.evals.benchmarks.rows import MalformedFieldError, Row


class Skipped(NamedTuple):
    """A malformed row that was left out."""

    file: str
    row: int
    """1-based, within the file."""
    field: str
    reason: str

    def __str__(self) -> str:
        return f"{self.file}, row {self.row}, field {self.field}: {self.reason}"


@dataclass(frozen=True)
class Loaded:
    """What a reader returns."""

    items: tuple[Item, ...]
    skipped: tuple[Skipped, ...] = ()
    """Rows that were left out; part of the result, so it is told beside every score."""


def load_items(
    source: str | Path,
    stems: Sequence[str],
    parse: Callable[[Row], Item],
    *,
    columns: Sequence[str],
    optional: Sequence[str] = (),
    skip_malformed: bool,
) -> Loaded:
    """The items of a split.

    Args:
        source: a file, a folder or a hub id; see `catts.evals.benchmarks.files.find_files`.
        stems: names of the split's files.
        parse: an item from a row; raises `MalformedFieldError`.
        columns: the columns that the schema has.
        optional: further ones that are read where they are there.
        skip_malformed: leave malformed rows out and say so, instead of stopping at the first.

    Raises:
        BenchmarkError: see `find_files` and `read_rows`; a row is malformed, or repeats an id, and
            was not to be skipped; or no row is left.
    """
    items: dict[str, Item] = {}
    skipped: list[Skipped] = []
    for file in find_files(source, stems):
        for row in read_rows(file, (*columns, *optional), columns):
            try:
                if row.broken:
                    raise MalformedFieldError("(all)", row.broken)
                item = parse(row)
                if item.id in items:
                    known = items[item.id].origin
                    raise MalformedFieldError("id", f"{item.id} is taken already by {known}")
            except MalformedFieldError as error:
                fault = Skipped(str(row.file), row.number, error.field, error.reason)
                if not skip_malformed:
                    raise BenchmarkError(
                        f"{fault}; mend the row, or leave such rows out (skip_malformed)"
                    ) from error
                skipped.append(fault)
            else:
                items[item.id] = item
    if not items:
        first = f"; the first: {skipped[0]}" if skipped else ""
        raise BenchmarkError(f"{source} holds no row that can be asked{first}")
    return Loaded(tuple(items.values()), tuple(skipped))
