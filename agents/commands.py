"""`catts bench ...`: measure speed; and how every command keeps loading quiet."""

import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from pydantic import BaseModel

Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]

bench = typer.Typer(help="Measure speed.", no_args_is_help=True, rich_markup_mode=None)


@bench.command()
def sampler(
    repeats: Annotated[int, typer.Option(min=1, help="Measured calls of each.")] = 5,
    device: Annotated[str, typer.Option(help="cpu or cuda.")] = "cpu",
    json: Json = False,
) -> None:
    """Compare this sampler with transformers' generate: time and peak memory."""
    quiet_loading()
    from rich.console import Console

    from catts.agents.benchmarks.sampler import format_rows, run_sampler_benchmark

    with Console(stderr=True).status("timing"):
        rows = run_sampler_benchmark(repeats=repeats, device=device)
    _print_rows(rows, None if json else format_rows(rows))


@bench.command()
def questions(
    repeats: Annotated[int, typer.Option(min=1, help="Measured rounds.")] = 3,
    device: Annotated[str, typer.Option(help="cpu or cuda.")] = "cpu",
    json: Json = False,
) -> None:
    """Count questions per second, asked 1, 4 and 16 at once."""
    quiet_loading()
    from catts.agents.benchmarks.questions import format_questions, run_questions_benchmark

    with timing_bar() as advance:
        rows = run_questions_benchmark(repeats=repeats, device=device, advance=advance)
    _print_rows(rows, None if json else format_questions(rows))


@contextmanager
def timing_bar() -> Iterator[Callable[[int, int], None]]:
    """A bar on stderr for a benchmark, gone at its end; what is yielded takes done and total."""
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("timing", total=None)
        yield lambda done, total: progress.update(task, completed=done, total=total)


def quiet_loading(*specs: str) -> None:
    """Keep the loaders' progress bars for what may be downloaded; a local model loads at once."""
    if not any(spec.count("/") == 1 and not Path(spec).exists() for spec in specs):
        os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
        if "transformers" in sys.modules:  # which has read its environment already
            from catts.agents.engines.loading import hide_progress

            hide_progress()


def _print_rows(rows: "Sequence[BaseModel]", table: str | None) -> None:
    """The table, or without one a JSON object a line."""
    typer.echo(table or "\n".join(row.model_dump_json() for row in rows))
