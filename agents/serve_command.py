"""`catts serve`: a vLLM server for a base model, with all that CA-TTS asks of one."""

import json as json_module
import os
from typing import Annotated

import typer

from catts.errors import ModelSpecError


def serve(
    checkpoint: Annotated[
        str,
        typer.Argument(help="embedded, embedded-cdrl, a checkpoint's folder, or a hub id."),
    ],
    more: Annotated[
        list[str] | None,
        typer.Argument(metavar="[-- VLLM'S OWN]", help="Further arguments for vLLM, behind --."),
    ] = None,
    run: Annotated[bool, typer.Option("--run", help="Start it, in place of this process.")] = False,
    host: Annotated[
        str, typer.Option(help="Where to listen; 0.0.0.0 for other machines.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65535)] = 8000,
    tensor_parallel_size: Annotated[
        int, typer.Option(min=1, help="GPUs to split one copy of the model over.")
    ] = 1,
    data_parallel_size: Annotated[
        int, typer.Option(min=1, help="Copies of the model, behind one address.")
    ] = 1,
    lock_step: Annotated[
        bool, typer.Option(help="Load the plugin for the self-check token by token.")
    ] = True,
    python: Annotated[
        str | None,
        typer.Option(
            help="Python of the environment that vLLM is in [default: this one, or that of the "
            "vllm on the PATH]."
        ),
    ] = None,
    json: Annotated[
        bool, typer.Option("--json", help="Print command and environment as JSON.")
    ] = False,
) -> None:
    """Print the command that starts vLLM on a checkpoint, and the --base that names it then."""
    from catts.agents.engines.vllm.address import names_server
    from catts.agents.engines.vllm.installation import INSTALL, MADE_FOR, Installed, find_vllm
    from catts.agents.engines.vllm.launch import check_servable, launch
    from catts.agents.local_spec import checkpoint_folder
    from catts.agents.spec import SHIPPED, shipped_folder

    if names_server(checkpoint):
        raise ModelSpecError(f"{checkpoint} is served already: give a checkpoint")
    shipped = checkpoint in SHIPPED
    folder = shipped_folder(checkpoint, "base") if shipped else checkpoint_folder(checkpoint)
    vllm = find_vllm(python)
    if vllm is None:
        if run:
            raise ModelSpecError(
                f"there is no vLLM in this environment, and none on the PATH: install it ({INSTALL}"
                "), or give the Python of an environment that has it as --python"
            )
        _say(f"no vLLM here: the command is for a machine with a GPU and vLLM {MADE_FOR}")
        vllm = Installed("python", MADE_FOR, cpu=False, plugin=True)
    if folder is not None:
        check_servable(folder, checkpoint, vllm)
    if lock_step and not vllm.plugin:
        raise ModelSpecError(
            f"the environment of {vllm.python} has no catts, and so not the plugin for the "
            "self-check: pip install --no-deps catts there, or give --no-lock-step"
        )
    if lock_step and not f"{vllm.version}.".startswith(f"{MADE_FOR}."):
        _say(
            f"the plugin is made for vLLM {MADE_FOR}, and this is {vllm.version}: where it does "
            "not start, give --no-lock-step"
        )
    started = launch(
        checkpoint if folder is None else str(folder),
        checkpoint if shipped or folder is None else folder.name,
        vllm,
        host=host,
        port=port,
        tensor_parallel_size=tensor_parallel_size,
        data_parallel_size=data_parallel_size,
        lock_step=lock_step,
        more=more or (),
    )
    if json:
        told = {"command": started.command, "environment": started.environment}
        typer.echo(json_module.dumps({**told, "base": started.base}))
    else:
        typer.echo(started.line)
    _say(f"when it has started: --base '{started.base}'")
    if run:
        try:
            # replaced, so that signals and the exit status are vLLM's
            os.execvpe(started.command[0], started.command, os.environ | started.environment)  # noqa: S606
        except OSError as error:
            raise ModelSpecError(
                f"{started.command[0]} cannot be started ({error.strerror}): install vLLM there "
                f"anew, or give the Python beside a vllm as --python"
            ) from error


def _say(line: str) -> None:
    typer.echo(line, err=True)
