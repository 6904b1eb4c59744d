"""`catts embedded ...`: train, fit and measure the embedded models."""

import json as json_module
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from catts.agents.commands import Json
from catts.evals.need import need_evals, need_saliency

if TYPE_CHECKING:
    from catts.agents.engines.transformers_engine import TransformersEngine

embedded = typer.Typer(
    help="Train, fit and measure the embedded models.", no_args_is_help=True, rich_markup_mode=None
)

Out = Annotated[Path, typer.Option(help="Folder of the run; a killed run resumes from it.")]
Spec = Annotated[str, typer.Option(help="embedded, or a checkpoint's folder.")]
Base = Annotated[str, typer.Option(help="embedded, embedded-cdrl, or a checkpoint's folder.")]
Seed = Annotated[int, typer.Option(min=0)]


class Which(StrEnum):
    """The models."""

    BASE = "base"
    EXPERT = "expert"
    CLIP = "clip"


@embedded.command()
def train(
    which: Annotated[
        Which, typer.Argument(help="The base model, the expert, or the CLIP that saliency is from.")
    ],
    out: Annotated[
        Path | None, typer.Option(help="Folder of the run [default: runs/embedded-WHICH].")
    ] = None,
    seed: Seed = 0,
    device: Annotated[str, typer.Option(help="cpu or cuda.")] = "cpu",
    threads: Annotated[int | None, typer.Option(min=1, help="CPU threads.")] = None,
) -> None:
    """Train a model from nothing; OUT/model is the checkpoint. A killed run resumes."""
    from catts.agents.engines.loading import find_device

    find_device(device)
    out = out or Path("runs") / f"embedded-{which.value}"
    if which is Which.CLIP:
        need_saliency()
        from catts.embedded.clip_train import train_clip

        typer.echo(str(train_clip(out, seed=seed, device=device, threads=threads)))
        return
    from catts.embedded.recipes import RECIPES
    from catts.embedded.train import train as run

    recipe = RECIPES[which.value]
    typer.echo(str(run(recipe, out, seed=seed, device=device, threads=threads)))


@embedded.command()
def fit(
    base: Annotated[Path, typer.Argument(help="Checkpoint folder of the base; gets its card.")],
    expert: Spec = "embedded",
    out: Out = Path("runs/quality"),
    n: Annotated[int, typer.Option("-n", min=100, help="Validation questions.")] = 1000,
    seed: Seed = 0,
    json: Json = False,
) -> None:
    """Choose confidence, mapping, noise and thresholds on validation data; write BASE's card."""
    need_evals()
    from catts.agents.card import write_card
    from catts.evals.shipped.fitting import fit_card

    fitted = fit_card(_load(str(base)), _load(expert, "expert"), out, n=n, seed=seed, quiet=json)
    write_card(_folder(str(base), "base"), fitted.card)
    if json:
        record = {
            **fitted._asdict(),
            "card": fitted.card.model_dump(),
            "kinds": [score._asdict() for score in fitted.kinds],
        }
        typer.echo(json_module.dumps(record))
        return
    for kind, pooled, within in fitted.kinds:
        typer.echo(f"{kind:22} AUROC pooled {pooled:.3f}, within a question {within:.3f}")
    typer.echo(f"vote accuracy by weight: {fitted.vote_accuracy}")
    typer.echo(f"self-check accuracy: {fitted.contrast_accuracy}")
    chosen = fitted.card.model_dump(exclude={"confidence_map", "name", "prompt_hash"})
    typer.echo(f"card of {base}: {chosen}")


@embedded.command()
def measure(
    base: Base = "embedded",
    expert: Spec = "embedded",
    out: Out = Path("runs/quality"),
    n: Annotated[int, typer.Option("-n", min=36, help="Questions of the benchmark.")] = 2000,
    seed: Seed = 0,
    json: Json = False,
) -> None:
    """Measure the models against their bars on the test stream.

    OUT gets the table (quality.md; bars.md holds the rows with a bar), the plot (noise.png),
    everything as JSON (quality.json), and a model card for each checkpoint (base.md, expert.md).
    """
    need_evals()
    from rich.console import Console

    from catts.evals.shipped.presentation import quality_table
    from catts.evals.shipped.quality import Measurement
    from catts.evals.shipped.report import write_report

    quality = Measurement(
        _load(base), _load(expert, "expert"), out, n=n, seed=seed, quiet=json
    ).run()
    folders = {"base": _folder(base, "base"), "expert": _folder(expert, "expert")}
    record = write_report(quality, folders, out, n=n, seed=seed)
    if json:
        typer.echo(json_module.dumps(record))
    else:
        Console().print(quality_table(quality))


@embedded.command()
def order(
    base: Base = "embedded",
    expert: Spec = "embedded",
    out: Out = Path("runs/quality"),
    n: Annotated[int, typer.Option("-n", min=100, help="Questions of the training stream.")] = 600,
    seed: Seed = 0,
    json: Json = False,
) -> None:
    """Measure which module raises the right answer's margin most: what a planner is taught."""
    from catts.evals.shipped.planning import measure_order

    models = _load(base), _load(expert, "expert")
    gains = measure_order(*models, out, n=n, seed=seed, quiet=json)
    if json:
        record = {
            group: [{"module": g.module, **g.gain._asdict()} for g in modules]
            for group, modules in gains.items()
        }
        typer.echo(json_module.dumps(record))
        return
    for group, modules in gains.items():
        typer.echo(group)
        for module, gain in modules:
            typer.echo(f"  {module:10} {gain.estimate:+.3f} ({gain.low:+.3f} to {gain.high:+.3f})")


@embedded.command()
def saliency(
    model: Annotated[
        str, typer.Option(help="CLIP: embedded, or what `catts saliency --model` takes.")
    ] = "embedded",
    out: Annotated[Path, typer.Option(help="Folder for the results.")] = Path("runs/quality"),
    n: Annotated[int, typer.Option("-n", min=2, help="Questions of the test stream.")] = 2000,
    device: Annotated[str | None, typer.Option(help="cpu or cuda.")] = None,
    json: Json = False,
) -> None:
    """Measure whether saliency finds the evidence: pointing game, mass inside, key regions.

    OUT gets the table (saliency.md), everything as JSON (saliency.json), and the CLIP's model card
    (clip.md).
    """
    need_saliency()
    from rich.console import Console

    from catts.evals.shipped.items import load_items
    from catts.evals.shipped.pointing import measure_pointing
    from catts.evals.shipped.presentation import rows_table
    from catts.evals.shipped.report import write_pointing
    from catts.perception.clip import embedded_clip
    from catts.perception.saliency import Saliency

    looking = Saliency.load(model, device=device)
    rows = measure_pointing(looking, load_items("test", n), quiet=json)
    folder = embedded_clip() if model == "embedded" else Path(model)
    record = write_pointing(rows, folder, out, n=n)
    if json:
        typer.echo(json_module.dumps(record))
    else:
        Console().print(rows_table(rows, f"saliency of {looking.clip.name}"))


@embedded.command()
def region(
    base: Base = "embedded",
    expert: Spec = "embedded",
    model: Annotated[
        str, typer.Option(help="CLIP: embedded, or what `catts saliency --model` takes.")
    ] = "embedded",
    out: Out = Path("runs/quality"),
    n: Annotated[int, typer.Option("-n", min=36, help="Validation questions.")] = 400,
    seed: Seed = 0,
    json: Json = False,
) -> None:
    """Compare the self-check's noise on the whole picture with noise in the key region."""
    need_saliency()
    from rich.console import Console

    from catts.evals.shipped.presentation import rows_table
    from catts.evals.shipped.regions import measure_regions
    from catts.perception.saliency import Saliency

    models = _load(base), _load(expert, "expert")
    rows = measure_regions(*models, Saliency.load(model), out, n=n, seed=seed, quiet=json)
    if json:
        typer.echo(json_module.dumps({"n": n, "rows": [row._asdict() for row in rows]}))
    else:
        Console().print(rows_table(rows, "where the self-check's noise goes"))


def _load(spec: str, which: Literal["base", "expert"] = "base") -> "TransformersEngine":
    from catts.agents.engines.transformers_engine import TransformersEngine

    return TransformersEngine.load(_folder(spec, which))


def _folder(spec: str, which: Literal["base", "expert"]) -> Path:
    from catts.agents.spec import SHIPPED, shipped_folder

    return shipped_folder(spec, which) if spec in SHIPPED else Path(spec)
