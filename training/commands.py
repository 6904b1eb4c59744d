"""`catts train`: calibrate a base model with CDRL."""

import json as json_module
from typing import Annotated

import typer


def train(
    context: typer.Context,
    recipe: Annotated[
        str, typer.Option(help="A shipped recipe (embedded, ...) or a YAML file.")
    ] = "embedded",
    json: Annotated[bool, typer.Option("--json", help="Print what was written as JSON.")] = False,
) -> None:
    """Train with CDRL; the same command resumes. Further options are TRL's: --max_steps 80."""
    from catts.agents.commands import quiet_loading
    from catts.training.need import need_training

    need_training()
    quiet_loading()
    from catts.training.arguments import parsed
    from catts.training.run import train as run

    folder = run(*parsed(recipe, context.args))
    typer.echo(json_module.dumps({"model": str(folder)}) if json else str(folder))
