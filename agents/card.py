"""`catts.json` beside a checkpoint's weights: what it was trained to read, and what was fitted."""

import json
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from catts.calibration import ConfidenceMap, VoteWeight
from catts.confidence import ConfidenceKind
from catts.errors import ModelSpecError

CARD_NAME = "catts.json"


class ModelCard(BaseModel):
    """The machine-readable part of a model card. Everything has a default: any checkpoint loads."""

    model_config = ConfigDict(frozen=True, extra="forbid", protected_namespaces=())

    name: str = ""
    """Name for people; empty for a checkpoint that ships no card."""
    prompt_set: str = "default"
    """The prompt set it was trained on, or reads."""
    prompt_hash: str | None = None
    """Hash of that set when it was trained; another wording warns."""
    max_new_tokens: int = Field(default=512, ge=1)
    """Room for its longest answer, in tokens."""
    confidence_kind: ConfidenceKind = "top_k_mean"
    """The kind that weighs its votes, chosen on validation data."""
    vote_weight: VoteWeight = "raw"
    confidence_map: ConfidenceMap | None = None
    """Mapping of `confidence_kind` to the probability of being right, fitted on validation data."""
    noise_t: int = Field(default=500, ge=0, le=1000)
    """Diffusion step of the self-check's noised image, chosen on validation data."""
    contrast_alpha: float = Field(default=1.0, ge=0)
    contrast_beta: float = Field(default=0.1, ge=0, le=1)
    accept: float = Field(default=0.9, ge=0)
    """Routing: the leader's share of V_internal from which no module is asked."""
    reflect_below: float = 0.5
    """Routing: the critic is asked only when the leader's confidence is below this. In units of the
    mapped probability when there is a mapping, else of `confidence_kind`."""


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
