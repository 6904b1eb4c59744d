"""`catts saliency`: where a question looks, as numbers and as a picture."""

from pathlib import Path
from typing import Annotated

import typer


def saliency(
    image: Annotated[str, typer.Argument(help="Image file.")],
    question: Annotated[str, typer.Argument(help="Question, without its choices.")],
    choice: Annotated[
        list[str] | None, typer.Option(help="Text of a choice, once for each.")
    ] = None,
    model: Annotated[
        str,
        typer.Option(
            help="CLIP: embedded, a folder of open_clip's, NAME:PRETRAINED of its list such as "
            "ViT-B-32:laion2b_s34b_b79k, or hf-hub:org/name."
        ),
    ] = "embedded",
    share: Annotated[
        float, typer.Option(min=0, max=1, help="Share of the saliency that the key region holds.")
    ] = 0.9,
    t: Annotated[int, typer.Option(min=0, max=1000, help="Diffusion step of the noise.")] = 500,
    out: Annotated[Path, typer.Option(help="PNG file for the panels.")] = Path("saliency.png"),
    device: Annotated[
        str | None, typer.Option(help="cpu or cuda [default: what is there].")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print JSON instead of an account.")] = False,
) -> None:
    """Show where a question looks: picture, heat map, key region, and noise in it, side by side."""
    from catts.images import load_image

    picture = load_image(image)  # a bad file is told of before anything heavy is loaded
    from rich.console import Console

    with Console(stderr=True).status("loading the CLIP"):
        from catts.perception.looked import account_of, look
        from catts.perception.saliency import Saliency

        looking = Saliency.load(model, device=device)
        looked = look(looking, picture, question, choice or (), share=share, t=t, out=out)
    typer.echo(looked.model_dump_json() if json else account_of(looked))
