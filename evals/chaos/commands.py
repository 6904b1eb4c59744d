"""`catts chaos`: the graph under faults; `catts bench load`: many questions at once."""

from typing import Annotated

import typer

from catts.agents.commands import Json

Seed = Annotated[int, typer.Option(min=0, help="The same seed gives the same faults.")]


def chaos(
    questions: Annotated[int, typer.Option(min=1, help="Questions of the test stream.")] = 500,
    at_once: Annotated[int, typer.Option(min=1, help="Questions under way at a time.")] = 32,
    seed: Seed = 0,
    json: Json = False,
) -> None:
    """Ask the embedded base under faults of every kind, and check that nothing else breaks.

    Experts are asked over HTTP on this machine, in Gemini's and OpenAI's formats; they stall,
    refuse, break off and talk nonsense, the base fails now and then, and runs are cancelled.
    Ends with exit code 1 if anything happened that must not.
    """
    from catts.agents.commands import quiet_loading

    quiet_loading()
    from rich.console import Console

    from catts.evals.chaos.report import as_table
    from catts.evals.chaos.storm import run_chaos
    from catts.evals.progress import progress_bar

    with progress_bar("asking under faults", questions) as advance:
        report = run_chaos(questions, at_once=at_once, seed=seed, advance=advance)
    if json:
        typer.echo(report.model_dump_json())
    else:
        Console().print(as_table(report))
        for words in report.found:
            typer.echo(words, err=True)
    if not report.holds:
        raise typer.Exit(1)


def load(seed: Seed = 0, json: Json = False) -> None:
    """Ask 64 questions at once and 8 at a time: memory, fairness; and an expert of 1 s a call."""
    from catts.agents.commands import quiet_loading, timing_bar

    quiet_loading()
    from rich.console import Console

    from catts.evals.chaos.load import as_table, run_load

    with timing_bar() as advance:
        report = run_load(seed=seed, advance=advance)
    if json:
        typer.echo(report.model_dump_json())
    else:
        Console().print(as_table(report))
