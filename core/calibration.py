"""From confidence to vote weight and to the probability of being right."""

import math
from typing import Literal, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pydantic import Field, model_validator

from catts.confidence import ConfidenceKind
from catts.records import Record

VoteWeight = Literal["raw", "mapped"]
"""w(C): `raw` is the paper's identity (exp for log-probability kinds, which are negative);
`mapped` is the probability of being right by the fitted mapping."""


CalibratorName = Literal["isotonic", "platt"]
"""How a mapping is fitted: a step function that never falls, or a sigmoid."""


class ConfidenceMap(Record):
    """A fitted, non-decreasing mapping of one kind of confidence to the probability of being right.

    Piecewise linear between knots, constant outside them.
    """

    kind: ConfidenceKind
    """The kind of confidence it was fitted on; applying it to another is an error."""
    x: tuple[float, ...] = Field(min_length=1)
    """Confidence at the knots, strictly increasing."""
    y: tuple[float, ...] = Field(min_length=1)
    """Probability at the knots, in [0, 1], non-decreasing."""
    fitted_on: str
    """What it was fitted on: the data's name, size and digest."""
    method: CalibratorName = "isotonic"
    """How it was fitted; whatever the method, its knots are all that it is."""

    @model_validator(mode="after")
    def _monotone(self) -> Self:
        if len(self.x) != len(self.y):
            raise ValueError("x and y differ in length")
        if any(b <= a for a, b in zip(self.x, self.x[1:], strict=False)):
            raise ValueError("x must increase strictly")
        if any(b < a for a, b in zip(self.y, self.y[1:], strict=False)):
            raise ValueError("y must not decrease")
        if not all(map(math.isfinite, self.x)) or not all(0 <= p <= 1 for p in self.y):
            raise ValueError("x must be finite and y lie in [0, 1]")
        return self

    @property
    def name(self) -> str:
        """What a number that rests on it has to name: the method, and what it was fitted on."""
        return f"{self.method} on {self.fitted_on}"

    def __call__(self, confidence: float) -> float:
        """Probability of being right at `confidence`."""
        return float(np.interp(confidence, self.x, self.y))

    def probabilities(self, confidences: ArrayLike) -> NDArray[np.float64]:
        """The same for many confidences at once, in their shape."""
        return np.interp(confidences, self.x, self.y)


def raw_weight(confidence: float, kind: ConfidenceKind) -> float:
    """The paper's vote weight: C itself, or exp(C) for kinds that are log-probabilities; >= 0."""
    return math.exp(confidence) if kind.endswith("logprob") else max(0.0, confidence)
