"""`catts bench cdrl`: what a CDRL step costs."""

from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from rich.table import Table

    from catts.evals.studies.step_cost import StepCost


def cdrl(
    steps: Annotated[int, typer.Option(min=1, help="Measured pairs of steps.")] = 10,
    questions_per_step: Annotated[
        int, typer.Option(min=1, help="Drawn 4 times clean and 4 times noised; the recipe has 8.")
    ] = 16,
    threads: Annotated[int, typer.Option(min=1, help="CPU threads.")] = 1,
    seed: Annotated[int, typer.Option(min=0)] = 0,
    json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
) -> None:
    """Compare a CDRL step with a plain GRPO step of as many completions, on the shipped base."""
    from catts.agents.commands import quiet_loading, timing_bar
    from catts.training.need import need_training

    need_training()
    quiet_loading()
    from rich.console import Console

    from catts.evals.studies.step_cost import run_step_cost

    with timing_bar() as advance:
        cost = run_step_cost(
            questions_per_step, steps=steps, threads=threads, seed=seed, advance=advance
        )
    if json:
        typer.echo(cost.model_dump_json())
    else:
        Console().print(as_table(cost))
        typer.echo(in_words(cost))


def as_table(cost: "StepCost") -> "Table":
    """Seconds of each part and of the whole step, side by side."""
    from rich.table import Table

    table = Table()
    table.add_column("median seconds of")
    for arm in ("plain GRPO", "CDRL"):
        table.add_column(arm, justify="right")
    for part, seconds in cost.plain_parts.items():
        table.add_row(part, f"{seconds:.3f}", f"{cost.cdrl_parts[part]:.3f}")
    table.add_section()
    table.add_row("a step", f"{cost.plain_seconds:.3f}", f"{cost.cdrl_seconds:.3f}")
    return table


def in_words(cost: "StepCost") -> str:
    """The ratio, and what it was measured on."""
    return (
        f"CDRL / plain GRPO: {cost.ratio}, median of {cost.steps} pairs and its 95 % interval\n"
        f"{cost.completions} completions a step, of {cost.plain_tokens:.1f} (plain GRPO) and "
        f"{cost.cdrl_tokens:.1f} (CDRL) tokens; {cost.threads} of {cost.cpus} CPUs, "
        f"seed {cost.seed}"
    )
