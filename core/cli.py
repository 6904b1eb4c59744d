"""The command line: a front door that reaches every floor, and loads each when it is asked for."""

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from catts.agents.commands import bench, quiet_loading
from catts.agents.serve_command import serve
from catts.errors import CattsError, InputError, TraceError
from catts.evals.chaos.commands import chaos, load
from catts.evals.pages.commands import report
from catts.evals.shipped.commands import embedded
from catts.evals.studies.calibrate_command import calibrate
from catts.evals.studies.commands import study
from catts.evals.studies.server_cost_command import server
from catts.evals.studies.step_cost_command import cdrl
from catts.evals.tasks.commands import evaluate, harness
from catts.options import (
    Base,
    ClipName,
    ExpertCache,
    ExpertLimits,
    ExpertName,
    ExpertSettings,
    ExpertUrl,
    Json,
    PriceTable,
    Route,
    Samples,
    Seed,
    Where,
    json_object,
)
from catts.perception.commands import saliency as show_saliency
from catts.training.commands import pairs, train

if TYPE_CHECKING:
    from pydantic import SecretStr

    from catts.graph.trace import Trace

app = typer.Typer(
    help="Answer questions about images with a model that knows when it does not know.",
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # rich would more than double the time that --help takes
)
bench.command()(harness)
bench.command()(cdrl)
bench.command()(load)
bench.command()(server)
app.add_typer(bench, name="bench")
app.add_typer(embedded, name="embedded")
app.command("eval")(evaluate)
app.command()(study)
app.command()(report)
app.command()(calibrate)
app.command()(chaos)
app.command()(serve)
app.command("saliency")(show_saliency)
app.command()(pairs)
app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})(train)


@app.command()
def ask(
    image: Annotated[str, typer.Argument(help="Image file.")],
    question: Annotated[str, typer.Argument(help="Question, without its choices.")],
    choice: Annotated[
        list[str] | None, typer.Option(help="Text of a choice, once for each: (A), (B), ...")
    ] = None,
    base: Base = "embedded",
    expert: ExpertName = "embedded",
    expert_url: ExpertUrl = None,
    samples: Samples = 8,
    routing: Route = "planned",
    seed: Seed = 0,
    max_new_tokens: Annotated[
        int | None, typer.Option(min=1, help="Longest completion in tokens [default: the card's].")
    ] = None,
    expert_key_env: Annotated[
        str | None,
        typer.Option(help="Environment variable with the expert's key [default: the provider's]."),
    ] = None,
    timeout: Annotated[
        float | None, typer.Option(min=0.1, help="Seconds for one request to the expert.")
    ] = None,
    node_timeout: Annotated[
        float | None,
        typer.Option(min=0.1, help="Seconds for one step of the run [default: 600]."),
    ] = None,
    expert_max_tokens: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Longest reply of the expert in tokens [default: 8192; from a server 4096; of a "
            "local expert --max-new-tokens, or its card's].",
        ),
    ] = None,
    expert_settings: ExpertSettings = None,
    expert_limits: ExpertLimits = None,
    expert_cache: ExpertCache = None,
    prices: PriceTable = None,
    device: Annotated[
        str | None,
        typer.Option(
            help="cpu, cuda, or auto (spread over all GPUs), of local models "
            "[default: what is there]."
        ),
    ] = None,
    dtype: Annotated[
        str | None, typer.Option(help="float32, bfloat16 or float16, of local models.")
    ] = None,
    attn_implementation: Annotated[
        str | None, typer.Option(help="eager, sdpa or flash_attention_2, of local models.")
    ] = None,
    max_pixels: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Largest picture, width times height, that the base model sees [default: the "
            "checkpoint's].",
        ),
    ] = None,
    expert_max_side: Annotated[
        int, typer.Option(min=32, help="Longest side in pixels of what the expert is shown.")
    ] = 2048,
    region: Where = None,
    saliency: ClipName = None,
    json: Json = False,
) -> None:
    """Answer one question about an image."""
    from catts.images import load_image

    picture = load_image(image)  # a bad file is told of before anything heavy is loaded
    quiet_loading(base, expert)
    from rich.console import Console

    with Console(stderr=True).status("loading langgraph") as status:
        from catts.agents.spec import SHIPPED
        from catts.embedded.drawing import FOREIGN_PICTURE, is_board
        from catts.graph.account import account
        from catts.graph.live import ask_live

        settings: dict[str, Any] = {
            "samples": samples,
            "routing": routing,
            "seed": seed,
            "expert_max_side": expert_max_side,
        }
        given = {
            "max_new_tokens": max_new_tokens,
            "node_timeout": node_timeout,
            "region": region,
            "saliency": saliency,
            "expert_settings": json_object(expert_settings, "--expert-settings"),
            "expert_limits": expert_limits,
            "expert_cache": expert_cache,
            "prices": prices,
        }
        settings |= {name: value for name, value in given.items() if value is not None}
        trace = ask_live(
            picture,
            question,
            choices=choice or (),
            tell=status.update,
            base=base,
            expert=expert,
            expert_url=expert_url,
            api_key=_key_of(expert_key_env),
            role_timeout=timeout,
            expert_max_tokens=expert_max_tokens,
            device=device,
            dtype=dtype,
            attn_implementation=attn_implementation,
            max_pixels=max_pixels,
            **settings,
        )
    note = FOREIGN_PICTURE if base in SHIPPED and not is_board(picture) else ""
    if json:
        _print_json(trace)
        if note:
            typer.echo(f"warning: {note}", err=True)
    else:
        Console().print(account(trace, title=image, note=note))
    if trace.answer is None:
        raise typer.Exit(1)


@app.command()
def demo(
    n: Annotated[int, typer.Option("-n", min=1, help="Questions to ask.")] = 6,
    out: Annotated[Path, typer.Option(help="Folder for pictures and traces.")] = Path("catts-demo"),
    base: Base = "embedded-cdrl",
    region: Where = None,
    json: Json = False,
) -> None:
    """Ask the embedded models questions of the embedded test stream, and show everything."""
    quiet_loading(base)
    from catts.evals.demo import run_demo

    settings = {} if region is None else {"region": region}
    summary = run_demo(n, out, base=base, quiet=json, **settings)
    if json:
        typer.echo(summary.model_dump_json())


@app.command()
def doctor(
    base: Annotated[
        str | None, typer.Option(help="Base model to ask for one token; see catts ask.")
    ] = None,
    expert: ExpertName = "embedded",
    expert_url: ExpertUrl = None,
    json: Json = False,
) -> None:
    """Show versions, device and models, and ask the expert (and a base) for one small reply."""
    quiet_loading(expert, base or "")
    import asyncio

    from rich.console import Console

    from catts.agents.doctor import describe, examine

    with Console(stderr=True).status("asking the models"):
        report = asyncio.run(examine(expert, url=expert_url, base=base))
    if json:
        typer.echo(report.model_dump_json())
    else:
        Console().print(describe(report))
    if not report.healthy:
        raise typer.Exit(1)


@app.command()
def trace(
    file: Annotated[Path, typer.Argument(help="File of traces, one JSON line each.")],
    json: Json = False,
) -> None:
    """Show stored traces."""
    from rich.console import Console

    from catts.graph.account import account
    from catts.graph.trace import read_traces

    console, number = Console(), 0
    for number, stored in enumerate(read_traces(file), 1):
        if json:
            _print_json(stored)
        else:
            console.print(account(stored, title=f"{file} {number}"))
    if number == 0:
        raise TraceError(f"{file} holds no traces; give a file that `catts demo` or a run wrote")


@app.command()
def graph() -> None:
    """Draw the graph as mermaid, from the compiled graph itself."""
    from catts.graph.picture import mermaid

    typer.echo(mermaid().rstrip())


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line; ends the process.

    Exit code 2 and one line on stderr for what the user gave and cannot be used, 1 for anything
    else that CA-TTS raises on purpose.
    """
    _warn_in_one_line()
    try:
        app(None if arguments is None else list(arguments))
    except CattsError as error:
        typer.echo(f"catts: {' '.join(str(error).split())}", err=True)
        sys.exit(2 if isinstance(error, InputError) else 1)


def _key_of(variable: str | None) -> "SecretStr | None":
    if variable is None:
        return None
    from pydantic import SecretStr

    if not os.environ.get(variable):
        raise InputError(f"the environment variable {variable} is not set: put the key there")
    return SecretStr(os.environ[variable])


def _print_json(trace: "Trace") -> None:
    typer.echo(trace.model_dump_json())


def _warn_in_one_line() -> None:
    import warnings

    def show(message: Warning | str, *_: object, **__: object) -> None:
        typer.echo(f"warning: {' '.join(str(message).split())}", err=True)

    warnings.showwarning = show


if __name__ == "__main__":
    main()
