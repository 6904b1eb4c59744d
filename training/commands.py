"""`catts train`: calibrate a base model with CDRL. `catts pairs`: make its pictures before it."""

import json as json_module
import warnings
from pathlib import Path
from typing import Annotated

import typer

from catts.errors import InputError
from catts.options import Region


def train(
    context: typer.Context,
    recipe: Annotated[
        str, typer.Option(help="A shipped recipe (embedded, ...) or a YAML file.")
    ] = "embedded",
    out: Annotated[
        str | None, typer.Option(help="Folder for the run; TRL's --output_dir [default: recipe's].")
    ] = None,
    settings: Annotated[
        bool, typer.Option("--settings", help="Show CDRL's own settings, and train nothing.")
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="Print what was written as JSON.")] = False,
) -> None:
    """Train with CDRL; the same command resumes.

    Further options are CDRL's (--settings shows them: --alpha 2) and TRL's: --max_steps 80.
    """
    from catts.agents.commands import quiet_loading
    from catts.training.need import need_training

    if settings:
        need_training()
        _show_settings(recipe, as_json=json)
        return
    more = list(context.args)
    if out is not None:
        if any(s.partition("=")[0] in ("--output_dir", "--output-dir") for s in more):
            raise InputError("--out and --output_dir are one setting: give one of them")
        more += ["--output_dir", out]
    need_training()
    quiet_loading()
    # TRL still uses transformers' older names, which is nothing that a user could mend
    warnings.filterwarnings("ignore", "`(is_)?gradient_checkpointing", FutureWarning)
    from catts.training.arguments import parsed
    from catts.training.run import train as run

    arguments = parsed(recipe, more)
    folder = run(*arguments)
    if arguments[1].process_index == 0:
        typer.echo(json_module.dumps({"model": str(folder)}) if json else str(folder))


def _show_settings(recipe: str, *, as_json: bool) -> None:
    from catts.training.arguments import own_settings

    told = own_settings(recipe)
    if as_json:
        typer.echo(json_module.dumps([setting._asdict() for setting in told]))
        return
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, padding=(0, 2, 0, 0))
    for head in ("setting", "default", recipe, ""):
        table.add_column(head, overflow="fold")
    for name, default, of_recipe, said in told:
        changed = "" if of_recipe == default else str(of_recipe)
        table.add_row(Text(f"--{name}"), Text(str(default)), Text(changed, "bold"), Text(said))
    Console().print(table)


def pairs(
    data: Annotated[
        str,
        typer.Option(help="Folder or hub id with the columns image, question, answer, choices."),
    ],
    out: Annotated[Path, typer.Option(help="Folder for the pairs; `catts train --data` reads it.")],
    subset: Annotated[
        str | None, typer.Option(help="Configuration of the data set, where it has several.")
    ] = None,
    split: Annotated[
        str | None,
        typer.Option(help="Its split, such as train[:1000] [default: train, or the only one]."),
    ] = None,
    region: Annotated[
        Region,
        typer.Option(help="Where the noise goes: where a CLIP finds the question, or everywhere."),
    ] = "saliency",
    clip: Annotated[
        str | None,
        typer.Option(
            help="CLIP for --region saliency: a folder of open_clip's, NAME:PRETRAINED of its list "
            "such as ViT-B-32:laion2b_s34b_b79k, or hf-hub:org/name."
        ),
    ] = None,
    region_share: Annotated[
        float, typer.Option(min=0, max=1, help="Share of the saliency that a key region holds.")
    ] = 0.9,
    noise_low: Annotated[int, typer.Option(min=0, max=1000, help="Least diffusion step.")] = 400,
    noise_high: Annotated[int, typer.Option(min=0, max=1000, help="Largest one.")] = 999,
    max_pixels: Annotated[
        int | None,
        typer.Option(min=1, help="Scale larger pictures, width times height, down to it."),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="The same seed gives the same pairs.")] = 42,
    device: Annotated[
        str | None, typer.Option(help="cpu or cuda, of the CLIP [default: what is there].")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print what was written as JSON.")] = False,
) -> None:
    """Make a data set's noised pictures before a training; the same command resumes."""
    from catts.agents.commands import quiet_loading
    from catts.training.need import need_training

    need_training()
    quiet_loading(data)
    from catts.training.pairs import make_pairs

    found = make_pairs(
        data, out, subset=subset, split=split, region=region, clip=clip,
        region_share=region_share, noise_low=noise_low, noise_high=noise_high,
        max_pixels=max_pixels, seed=seed, device=device,
    )  # fmt: skip
    said = {"out": str(out), "questions": found.questions, "made": found.made}
    if json:
        typer.echo(json_module.dumps(said))
    else:
        typer.echo(f"{found.questions} pairs in {out}, {found.made} of them made now")
