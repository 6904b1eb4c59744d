"""`catts calibrate`: fit a base model's card, and put it where every command finds it."""

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from catts.evals.studies.calibrate import Calibration


def calibrate(
    base: Annotated[str, typer.Option(help="Base model: a checkpoint's folder or a hub id.")],
    task: Annotated[str, typer.Option(help="embedded, mathvista, mathvision, mmstar or mmmu.")],
    data: Annotated[
        str | None,
        typer.Option(
            help="The benchmark's files: a file, a folder or a hub id [default: its own]."
        ),
    ] = None,
    split: Annotated[
        str | None,
        typer.Option(
            help="Split with labels [default: validation of embedded, dev of mmmu, testmini of "
            "mathvista and mathvision, val of mmstar; the last three are reported too]."
        ),
    ] = None,
    expert: Annotated[
        str, typer.Option(help="The expert that will be asked beside it; see catts ask.")
    ] = "embedded",
    expert_url: Annotated[
        str | None, typer.Option(help="Address of an OpenAI-compatible server; see catts ask.")
    ] = None,
    limit: Annotated[int | None, typer.Option(min=10, help="The first so many questions.")] = None,
    samples: Annotated[int, typer.Option(min=2, help="Answers to draw for each question.")] = 8,
    seed: Annotated[int, typer.Option(min=0)] = 0,
    max_samples: Annotated[int, typer.Option(min=1, help="Questions under way at a time.")] = 16,
    device: Annotated[str | None, typer.Option(help="cpu, cuda or auto, of local models.")] = None,
    store: Annotated[
        Path, typer.Option(help="File that keeps what models said; a killed run goes on from it.")
    ] = Path("runs/store.sqlite"),
    out: Annotated[
        Path | None,
        typer.Option(
            help="Another folder of cards, such as CATTS_CARDS names [default: beside a local "
            "checkpoint; of a hub model the user's folder of cards]."
        ),
    ] = None,
    skip_malformed: Annotated[
        bool, typer.Option(help="Leave malformed rows out, and count them.")
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")] = False,
) -> None:
    """Fit confidence, vote weight and thresholds of a base model on validation questions.

    Every command finds the card from then on: beside the checkpoint, or by the model's fingerprint
    (weights, processor, prompts, precision).
    """
    from rich.console import Console

    from catts.agents.card import CARD_NAME, write_card
    from catts.agents.commands import quiet_loading
    from catts.errors import CalibrationError
    from catts.evals.benchmarks.validation import VALIDATION
    from catts.evals.need import need_evals
    from catts.evals.studies.calibrate import calibrate as fit
    from catts.evals.studies.calibrate_show import describe
    from catts.evals.studies.card_place import card_folder, check_place
    from catts.evals.studies.lab import open_lab
    from catts.evals.studies.setting import checked_setting

    need_evals()
    known = {str(name): its for name, its in VALIDATION.items()}
    setting = checked_setting(
        task=task,
        data=data,
        split=split or known.get(task),
        limit=limit,
        base=base,
        expert=expert,
        expert_url=expert_url,
        samples=samples,
        seed=seed,
        concurrency=max_samples,
        device=device,
        store=store,
        skip_malformed=skip_malformed,
        quiet=json,
    )
    check_place(base, out)
    quiet_loading(base, expert)

    async def run() -> "tuple[Calibration, Path]":
        async with open_lab(setting) as lab:
            folder = card_folder(base, out, lab.context.engine)
            return await fit(lab), folder

    fitted, folder = asyncio.run(run())
    try:
        write_card(folder, fitted.card)
    except OSError as error:
        raise CalibrationError(
            f"cannot write {folder / CARD_NAME}: {error.strerror}; mend that and run the same "
            f"command again, which asks no model: all answers are in {store}"
        ) from error
    if json:
        typer.echo(fitted.model_dump_json())
    else:
        Console().print(*describe(fitted))
    typer.echo(f"card: {folder / CARD_NAME}", err=json)
