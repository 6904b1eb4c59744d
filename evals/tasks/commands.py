"""`catts eval`: a benchmark through Inspect, killed and resumed without loss."""

import json as json_module
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from catts.options import (
    ClipName,
    ExpertCache,
    ExpertLimits,
    ExpertSettings,
    PriceTable,
    Where,
    json_object,
)

if TYPE_CHECKING:
    from catts.evals.tasks.outcome import Outcome

Routing = Literal["paper", "planned", "parallel"]


def evaluate(
    task: Annotated[str, typer.Argument(help="embedded, mathvista, mathvision, mmstar or mmmu.")],
    data: Annotated[
        str | None,
        typer.Option(help="The benchmark's files: file, folder or hub id [default: its own]."),
    ] = None,
    split: Annotated[
        str | None, typer.Option(help="Split of the benchmark [default: the one it reports].")
    ] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="The first so many questions.")] = None,
    epochs: Annotated[
        int, typer.Option(min=1, help="Runs of each question; each draws with a seed of its own.")
    ] = 1,
    seed: Annotated[int, typer.Option(min=0)] = 0,
    max_samples: Annotated[int, typer.Option(min=1, help="Questions under way at a time.")] = 16,
    base: Annotated[str, typer.Option(help="Base model; see catts ask.")] = "embedded",
    expert: Annotated[str, typer.Option(help="Expert; see catts ask.")] = "embedded",
    expert_url: Annotated[
        str | None, typer.Option(help="Address of an OpenAI-compatible server; see catts ask.")
    ] = None,
    expert_settings: ExpertSettings = None,
    expert_limits: ExpertLimits = None,
    expert_cache: ExpertCache = None,
    prices: PriceTable = None,
    routing: Annotated[Routing, typer.Option(help="See catts ask.")] = "planned",
    samples: Annotated[int, typer.Option(min=1, help="Answers to draw for each question.")] = 8,
    device: Annotated[str | None, typer.Option(help="cpu, cuda or auto, of local models.")] = None,
    region: Where = None,
    saliency: ClipName = None,
    log_dir: Annotated[
        Path | None,
        typer.Option(
            help="Folder of the log; the same command goes on from what is there "
            "[default: a folder of runs/evals named by the settings]."
        ),
    ] = None,
    skip_malformed: Annotated[
        bool, typer.Option(help="Leave malformed rows out, and count them.")
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
) -> None:
    """Evaluate a benchmark; the same command resumes one that was killed. See it: inspect view."""
    from catts.agents.commands import quiet_loading
    from catts.evals.need import need_evals

    need_evals("inspect_ai")
    quiet_loading(base, expert)
    from rich.console import Console

    from catts.evals.tasks.outcome import as_table
    from catts.evals.tasks.running import run_task

    settings: dict[str, Any] = {
        "base": base,
        "expert": expert,
        "routing": routing,
        "samples": samples,
        "seed": seed,
        "expert_url": expert_url,
        "device": device,
        "region": region,
        "saliency": saliency,
        "expert_settings": json_object(expert_settings, "--expert-settings"),
        "expert_limits": expert_limits,
        "expert_cache": expert_cache,
        "prices": prices,
    }
    outcome: Outcome = run_task(
        task,
        data=data,
        split=split,
        limit=limit,
        epochs=epochs,
        max_samples=max_samples,
        skip_malformed=skip_malformed,
        log_dir=log_dir,
        quiet=json,
        settings={name: value for name, value in settings.items() if value is not None},
    )
    if json:
        typer.echo(json_module.dumps(outcome.plain()))
    else:
        Console().print(as_table(outcome))
    if not outcome.complete:
        raise typer.Exit(1)


def harness(
    questions: Annotated[int, typer.Option(min=1, help="Questions of each arm.")] = 200,
    repeats: Annotated[int, typer.Option(min=1, help="Measured rounds.")] = 3,
    max_samples: Annotated[int, typer.Option(min=1, help="Questions under way at a time.")] = 16,
    seed: Annotated[int, typer.Option(min=0)] = 0,
    json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
) -> None:
    """Compare `catts eval embedded` with a plain loop over the graph: what Inspect costs."""
    from catts.agents.commands import quiet_loading, timing_bar
    from catts.evals.need import need_evals

    need_evals("inspect_ai")
    quiet_loading()
    from catts.evals.tasks.benchmark import format_harness, run_harness_benchmark

    with timing_bar() as advance:
        row = run_harness_benchmark(
            questions, repeats=repeats, at_once=max_samples, seed=seed, advance=advance
        )
    typer.echo(row.model_dump_json() if json else format_harness(row))
