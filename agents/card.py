"""`catts.json` beside a checkpoint's weights: what it was trained to read, and what was fitted."""

import json
from pathlib import Path

from pydantic import ValidationError

from catts.errors import ModelSpecError
from catts.tuning import Tuning

CARD_NAME = "catts.json"


class ModelCard(Tuning):
    """The machine-readable part of a model card. Everything has a default: any checkpoint loads."""

    name: str = ""
    """Name for people; empty for a checkpoint that ships no card."""
    prompt_set: str = "default"
    """The prompt set it was trained on, or reads."""
    prompt_hash: str | None = None
    """Hash of that set when it was trained; another wording warns."""


def write_card(folder: Path, card: ModelCard) -> None:
    """Write the card into `folder`, atomically."""
    part = folder / f"{CARD_NAME}.part"
    part.write_text(f"{card.model_dump_json(indent=2)}\n", "utf-8")
    part.replace(folder / CARD_NAME)


def read_card(folder: Path) -> ModelCard:
    """The card in `folder`, or the defaults when there is none.

    Raises:
        ModelSpecError: the card is there and cannot be read.
    """
    path = folder / CARD_NAME
    if not path.is_file():
        return ModelCard()
    try:
        return ModelCard.model_validate(json.loads(path.read_text("utf-8")))
    except (OSError, ValueError, ValidationError) as error:
        raise ModelSpecError(f"{path} is not a readable model card: {error}") from error
