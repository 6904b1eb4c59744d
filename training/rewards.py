"""The reward of CDRL (arXiv 2603.12149), term by term: pure functions of confidence and answer.

r = R_conf + R_output + R_format, with R_conf = alpha tanh(beta (C - C') / sigma) + the calibration
term. C is a completion's confidence under the picture that it was drawn with (the mean over its
tokens of `catts.confidence.ConfidenceKind` `top_k_mean`), C' the confidence under the same picture
with its key region noised. All functions take and give tensors of one shape and are differentiable
in the confidences.
"""

from typing import Literal

import torch
from pydantic import Field
from torch import Tensor

from catts.answers.brackets import matching_braces
from catts.records import Record

Calibration = Literal["linear", "brier"]
"""`linear` is the source's; `brier` is a proper scoring rule."""

_BOX = "\\boxed{"
_MARKS = ("<think>", "</think>", _BOX)


class Normalisation(Record):
    """What makes confidences of a base model comparable: C_norm = sigmoid(w (C - mu) / sigma + b).

    The source does not define C_norm. Ours is on the scale of the base's own confidence, so alpha,
    beta and the calibration term mean the same for every model.
    """

    mean: float
    """mu: the base's mean C on clean training pictures."""
    deviation: float = Field(gt=0)
    """sigma: its standard deviation there."""
    slope: float = 1.0
    """w: 1 for `linear`; for `brier` fitted, so that C_norm is the probability of being right."""
    offset: float = 0.0
    """b: 0 for `linear`; for `brier` fitted."""

    def __call__(self, confidence: Tensor) -> Tensor:
        """C_norm, in (0, 1)."""
        return torch.sigmoid(self.slope * (confidence - self.mean) / self.deviation + self.offset)


def perception_reward(
    confidence: Tensor, noised: Tensor, *, alpha: float, beta: float, deviation: float
) -> Tensor:
    """Alpha tanh(beta (C - C') / sigma), in (-alpha, alpha): the confidence has to fall with sight.

    sigma is not in the source; it makes beta mean the same for models whose C spreads otherwise.

    Args:
        confidence: C.
        noised: C', of the same shape.
        alpha: the largest reward.
        beta: how soon it is reached, per standard deviation.
        deviation: sigma, see `Normalisation`.
    """
    return alpha * torch.tanh(beta * (confidence - noised) / deviation)


def calibration_reward(normalised: Tensor, right: Tensor, kind: Calibration) -> Tensor:
    """Whether the confidence fits the answer, in [-1, 1].

    `linear`: (2 R - 1) C_norm, the source's. It is linear in C_norm, so no proper scoring rule: its
    best C_norm is 0 or 1, whichever side of one half the chance of being right lies on.
    `brier`: 1 - 2 (C_norm - R)^2, best where C_norm is the probability of being right.

    Args:
        normalised: C_norm, in [0, 1].
        right: R_output, 1 for a right answer, else 0.
        kind: which.
    """
    if kind == "linear":
        return (2 * right - 1) * normalised
    return 1 - 2 * (normalised - right) ** 2


def format_reward(text: str) -> float:
    r"""R_format: 1.0 when one `<think>...</think>` precedes one `\boxed{}` and nothing follows."""
    opened, closed, box = (text.find(mark) for mark in _MARKS)
    if not 0 <= opened < closed < box or any(text.count(mark) != 1 for mark in _MARKS):
        return 0.0
    end = matching_braces(text[box:]).get(len(_BOX) - 1)
    return float(end is not None and not text[box + end + 1 :].strip())
