"""What is fitted for a model on validation data: its card recommends it, a run may override it."""

from typing import Literal, Self

from pydantic import Field, model_validator

from catts.calibration import ConfidenceMap, VoteWeight, raw_weight
from catts.confidence import ConfidenceKind
from catts.records import Record

Region = Literal["whole", "saliency"]
"""Where the self-check's noise goes: over the whole picture, or where the question looks in it."""


class Tuning(Record):
    """The numbers that depend on the base model. Without a card they are the paper's."""

    max_new_tokens: int = Field(default=512, ge=1)
    """Longest completion, in tokens; a local model's is cut before where its context ends."""
    confidence_kind: ConfidenceKind = "top_k_mean"
    """The kind that weighs the samples' votes."""
    vote_weight: VoteWeight = "raw"
    """w(C): the confidence itself, or the probability of being right by `confidence_map`."""
    confidence_map: ConfidenceMap | None = None
    """Mapping of `confidence_kind` to the probability of being right, fitted on validation data."""
    noise_t: int = Field(default=500, ge=0, le=1000)
    """Diffusion step of the self-check's noised image."""
    region: Region = "whole"
    """Where its noise goes; `saliency` needs a CLIP that finds the key region."""
    region_share: float = Field(default=0.9, gt=0, le=1)
    """Share of the saliency that the key region holds; half of it left out too much of the evidence
    (`docs/embedded.md`)."""
    contrast_alpha: float = Field(default=1.0, ge=0, allow_inf_nan=False)
    contrast_beta: float = Field(default=0.1, ge=0, le=1)
    accept: float = Field(default=0.9, ge=0)
    """Routing `planned`: the leader's share of V_internal from which no module is asked; `inf` is
    never."""
    reflect_below: float | None = Field(default=None, ge=0)
    """Routing `planned`: the critic is asked only when the leader's probability of being right, by
    `confidence_map`, is below this. None asks it always; a threshold without a mapping is an error,
    since raw confidences of two models have no common scale."""

    @model_validator(mode="after")
    def _one_kind(self) -> Self:
        fitted = self.confidence_map
        if fitted is not None and fitted.kind != self.confidence_kind:
            raise ValueError(
                f"confidence_map was fitted on {fitted.kind}, not on {self.confidence_kind}; "
                "give a mapping of that kind, or none"
            )
        if fitted is None and self.vote_weight == "mapped":
            raise ValueError("vote_weight 'mapped' needs a confidence_map; fit one, or use 'raw'")
        if fitted is None and self.reflect_below is not None:
            raise ValueError(
                "reflect_below is a probability and needs a confidence_map; fit one, or leave the "
                "threshold out: the critic is then always asked"
            )
        return self

    def weight(self, confidence: float) -> float:
        """w(C) of a confidence of the voting kind."""
        if self.vote_weight == "mapped" and self.confidence_map is not None:
            return self.confidence_map(confidence)
        return raw_weight(confidence, self.confidence_kind)

    def certainty(self, confidence: float) -> float | None:
        """Probability of being right by the mapping; None where there is no mapping."""
        return self.confidence_map(confidence) if self.confidence_map else None
