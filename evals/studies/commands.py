"""`catts study ...`: the experiments as commands, each a table, a plot and a JSON file."""

import asyncio
from collections.abc import Awaitable, Callable
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from catts.agents.commands import quiet_loading

if TYPE_CHECKING:
    from catts.evals.studies.lab import Lab
    from catts.evals.studies.result import StudyResult


class Name(StrEnum):
    """The studies."""

    ABLATION = "ablation"
    SCALING = "scaling"
    PROBING = "probing"
    WEIGHTS = "weights"
    PEERS = "peers"
    COST = "cost"
    CALIBRATION = "calibration"
    CDRL = "cdrl"
    LADDER = "ladder"


def study(
    name: Annotated[
        Name,
        typer.Argument(
            help="ablation: what each module's ballots add. scaling: accuracy against the number "
            "of samples. probing: accuracy and confidence as the picture is noised. weights: a "
            "grid of tau1, tau2, tau3. peers: other ways to spend the same samples. cost: tokens, "
            "expert calls and seconds of each routing. calibration: whether its confidence can be "
            "believed, on clean and on noised pictures. cdrl: what training has changed of it. "
            "ladder: one answer, majority, CA-TTS, before and after training."
        ),
    ],
    task: Annotated[
        str, typer.Option(help="embedded, mathvista, mathvision, mmstar or mmmu.")
    ] = "embedded",
    data: Annotated[
        str | None,
        typer.Option(
            help="The benchmark's files: a file, a folder or a hub id [default: its own]."
        ),
    ] = None,
    split: Annotated[
        str | None, typer.Option(help="Split of the benchmark [default: the one it reports].")
    ] = None,
    limit: Annotated[int | None, typer.Option(min=2, help="The first so many questions.")] = None,
    base: Annotated[str, typer.Option(help="Base model; see catts ask.")] = "embedded",
    expert: Annotated[str, typer.Option(help="Expert; see catts ask.")] = "embedded",
    expert_url: Annotated[
        str | None, typer.Option(help="Address of an OpenAI-compatible server; see catts ask.")
    ] = None,
    calibrated_base: Annotated[
        list[str] | None,
        typer.Option(
            help="Ablation, probing, calibration, cdrl, ladder: a further base, such as one "
            "trained with CDRL. May be given again; as LABEL=SPEC those of one label are seeds of "
            "one training to cdrl and ladder, which compare the first label with the others."
        ),
    ] = None,
    t: Annotated[int, typer.Option("--t", min=1, max=999, help="Cdrl: the noise step.")] = 700,
    samples: Annotated[
        int, typer.Option(min=1, help="Answers to draw for each question; not of scaling.")
    ] = 8,
    sizes: Annotated[
        str, typer.Option(help="Scaling: numbers of samples, with commas between them.")
    ] = "1,2,4,8,16,32",
    seed: Annotated[int, typer.Option(min=0)] = 0,
    max_samples: Annotated[int, typer.Option(min=1, help="Questions under way at a time.")] = 16,
    device: Annotated[str | None, typer.Option(help="cpu, cuda or auto, of local models.")] = None,
    store: Annotated[
        Path,
        typer.Option(help="File that keeps what models said; a second run asks only what is new."),
    ] = Path("runs/store.sqlite"),
    out: Annotated[Path, typer.Option(help="Folder for the JSON, markdown and plot.")] = Path(
        "runs/studies"
    ),
    skip_malformed: Annotated[
        bool, typer.Option(help="Leave malformed rows out, and count them.")
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
) -> None:
    """Measure the method: a table with intervals, written as JSON, markdown and plot."""
    from catts.evals.need import need_evals
    from catts.evals.studies import make, make_trained
    from catts.evals.studies.setting import by_label

    need_evals()
    bases = tuple(calibrated_base or ())
    specs = [spec for several in by_label(bases).values() for spec in several]
    quiet_loading(base, expert, *specs)
    makers: dict[Name, Callable[[Lab], Awaitable[StudyResult]]] = {
        Name.ABLATION: make.make_ablation,
        Name.SCALING: make.make_scaling,
        Name.PROBING: make.make_probing,
        Name.WEIGHTS: make.make_weights,
        Name.PEERS: make.make_peers,
        Name.COST: make.make_cost,
        Name.CALIBRATION: make.make_calibration,
        Name.CDRL: make_trained.make_cdrl,
        Name.LADDER: make_trained.make_ladder,
    }
    _run(
        makers[name],
        out,
        json,
        task=task,
        data=data,
        split=split,
        limit=limit,
        base=base,
        expert=expert,
        expert_url=expert_url,
        calibrated_bases=bases,
        t=t,
        samples=samples,
        sizes=_sizes(sizes),
        seed=seed,
        concurrency=max_samples,
        device=device,
        store=store,
        skip_malformed=skip_malformed,
        quiet=json,
    )


def _sizes(text: str) -> tuple[int, ...]:
    from catts.errors import InputError

    try:
        sizes = sorted({int(part) for part in text.split(",")})
    except ValueError:
        sizes = []
    if len(sizes) < 2 or sizes[0] < 1:
        raise InputError(f"--sizes {text}: give two or more whole numbers, such as 1,2,4,8")
    return tuple(sizes)


def _run(
    make: Callable[["Lab"], Awaitable["StudyResult"]],
    out: Path,
    json: bool,
    **setting: Any,
) -> None:
    from rich.console import Console

    from catts.evals.studies.lab import open_lab
    from catts.evals.studies.setting import checked_setting
    from catts.evals.studies.show import as_table, make_folder, write

    chosen = checked_setting(**setting)
    make_folder(out)  # before hours of asking rather than behind them

    async def run() -> "StudyResult":
        async with open_lab(chosen) as lab:
            return await make(lab)

    result = asyncio.run(run())
    write(result, out)
    if json:
        typer.echo(result.model_dump_json())
    else:
        Console().print(as_table(result))
    if not result.complete:
        raise typer.Exit(1)
