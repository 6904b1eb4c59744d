"""Options that several commands take."""

from typing import Annotated, Literal

import typer

Routing = Literal["paper", "planned", "parallel"]

Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of an account.")]
Base = Annotated[
    str,
    typer.Option(
        help="Base model: embedded, embedded-cdrl (the same after CDRL), a checkpoint's folder, "
        "a hub id org/name, or vllm:ADDRESS#MODEL."
    ),
]
ExpertName = Annotated[
    str,
    typer.Option(
        "--expert",
        help="Expert: embedded, base (the base model itself), provider:model such as "
        "google_genai:gemini-3-pro, a checkpoint's folder, or a hub id.",
    ),
]
ExpertUrl = Annotated[
    str | None,
    typer.Option(help="Address of an OpenAI-compatible server; --expert then names its model."),
]
Samples = Annotated[int, typer.Option(min=1, help="Answers to draw from the base model.")]
Seed = Annotated[int, typer.Option(min=0, help="The same seed gives the same run.")]
Route = Annotated[
    Routing,
    typer.Option(
        help="paper: every module in the planner's order; planned: the same with short cuts where "
        "the vote is clear; parallel: all modules side by side, no planner."
    ),
]
Region = Literal["whole", "saliency"]
Where = Annotated[
    Region | None,
    typer.Option(
        "--region",
        help="Where the self-check's noise goes: over the whole picture, or where a CLIP finds the "
        "question looking [default: the base's card's].",
    ),
]
ClipName = Annotated[
    str | None,
    typer.Option(
        "--saliency",
        help="CLIP for --region saliency: a folder of open_clip's, NAME:PRETRAINED of its list, or "
        "hf-hub:org/name [default: the shipped one for the shipped base].",
    ),
]
