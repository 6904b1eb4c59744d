"""`catts.json`: what a checkpoint was trained to read, and what was fitted for it.

It lies beside the weights. For a checkpoint that has none there, such as one of the Hugging Face
hub, it may lie in the user's folder of cards, under the model's fingerprint.
"""

import json
import os
from collections.abc import Sequence
from pathlib import Path

from pydantic import ValidationError

from catts.errors import ModelSpecError
from catts.files import write_whole
from catts.records import Record
from catts.tuning import Tuning

CARD_NAME = "catts.json"

CARDS_VARIABLE = "CATTS_CARDS"
"""Environment variable with another folder of cards."""


class ChosenOn(Record):
    """On what a card's numbers were chosen: a score on the same questions is too good."""

    task: str
    """Name of the benchmark."""
    split: str
    """Its split, or the name of the file."""
    expert: str
    """Name of the expert beside which `accept` and `reflect_below` were chosen."""
    questions: tuple[str, ...]
    """A digest of each question, 12 hex characters; see
    `catts.evals.benchmarks.digest.question_digest`."""


class ModelCard(Tuning):
    """The machine-readable part of a model card. Everything has a default: any checkpoint loads."""

    name: str = ""
    """Name for people; empty for a checkpoint that ships no card."""
    prompt_set: str = "default"
    """The prompt set it was trained on, or reads."""
    prompt_hash: str | None = None
    """Hash of that set when it was trained; another wording warns."""
    chosen_on: ChosenOn | None = None
    """Where `catts calibrate` chose the numbers; None where nothing was fitted, or elsewhere."""


def write_card(folder: Path, card: ModelCard) -> None:
    """Write the card into `folder`, which is made where it is missing, atomically."""
    folder.mkdir(parents=True, exist_ok=True)
    write_whole(folder / CARD_NAME, f"{card.model_dump_json(indent=2)}\n")


def cards_folder() -> Path:
    """The user's folder of cards: FINGERPRINT/catts.json for each model.

    `$CATTS_CARDS`, else `$XDG_DATA_HOME/catts/cards`, else `~/.local/share/catts/cards`.
    """
    if chosen := os.environ.get(CARDS_VARIABLE):
        return Path(chosen).expanduser()
    data = os.environ.get("XDG_DATA_HOME") or "~/.local/share"
    return Path(data).expanduser() / "catts" / "cards"


def has_card(folders: Sequence[Path]) -> bool:
    """Whether a card lies beside the weights; the user's folder of cards then counts for nothing.

    Args:
        folders: the checkpoint's, and its adapter's where there is one.
    """
    return any((folder / CARD_NAME).is_file() for folder in folders)


def fitted_card(fingerprint: str) -> ModelCard:
    """The card in the user's folder for this model, or the defaults when there is none.

    Raises:
        ModelSpecError: the card is there and cannot be read.
    """
    return read_card(cards_folder() / fingerprint)


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
