"""Options that several commands take."""

import json
from typing import Annotated, Any, Literal

import typer

from catts.errors import InputError

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
        "google_genai:gemini-2.5-pro, a checkpoint's folder, or a hub id.",
    ),
]
ExpertUrl = Annotated[
    str | None,
    typer.Option(help="Address of an OpenAI-compatible server; --expert then names its model."),
]
ExpertSettings = Annotated[
    str | None,
    typer.Option(
        help="Settings of a remote expert as LangChain's class for its provider takes them, a JSON "
        "object such as '{\"thinking_budget\": 1024}'."
    ),
]
ExpertLimits = Annotated[
    str | None,
    typer.Option(
        help="Limits of the expert's roles: timeout, attempts, at_once, requests_per_minute, and "
        "the budgets calls, tokens and dollars, after which the graph goes on without them. Shared "
        "by the roles (dollars=2,at_once=4), beside them a role's own (voter.calls=100)."
    ),
]
ExpertCache = Annotated[
    str | None,
    typer.Option(help="File that keeps the expert's replies, for when it is asked the same again."),
]
PriceTable = Annotated[
    str | None,
    typer.Option(
        "--prices",
        help="TOML file of prices per million tokens, in place of the package's prices.toml.",
    ),
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


def json_object(text: str | None, option: str) -> dict[str, Any] | None:
    """The JSON object that an option was given.

    Raises:
        InputError: it is none.
    """
    if text is None:
        return None
    try:
        value = json.loads(text)
    except ValueError:
        value = None
    if not isinstance(value, dict):
        raise InputError(f'{option} takes a JSON object such as {{"thinking_budget": 1024}}')
    return value
