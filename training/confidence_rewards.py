"""R_conf of a batch of twins, with its derivatives to the confidences."""

from dataclasses import dataclass

import torch
from torch import Tensor

from catts.training.config import CDRLConfig
from catts.training.rewards import Normalisation, calibration_reward, perception_reward


@dataclass(frozen=True)
class ConfidenceRewards:
    """Rewards of confidence of a batch, in its order; each of shape (rows,)."""

    perception: Tensor
    """0 in rows of a noised picture."""
    calibration: Tensor
    """0 in rows of a noised picture that were not drawn under it."""
    slope: Tensor
    """Derivative of the sum of R_conf to each C."""

    @property
    def total(self) -> Tensor:
        """R_conf."""
        return self.perception + self.calibration


def confidence_rewards(
    confidence: Tensor, right: Tensor, clean: Tensor, args: CDRLConfig, norm: Normalisation
) -> ConfidenceRewards:
    """R_conf of every completion, see `catts.training.rewards`.

    Args:
        confidence: C, shape (rows,): of each question a group with its picture, then one with the
            noised picture.
        right: R_output, 0 or 1, of the same shape.
        clean: whether a row is of the first kind, of the same shape.
        args: `alpha`, `perception_beta`, `calibration`, `calibration_weight`, `twin`, `group`.
        norm: of the base's confidence.
    """
    with torch.enable_grad():
        leaf = confidence.detach().clone().requires_grad_()
        seen, noised = leaf.view(-1, 2, args.group).unbind(1)
        if args.twin == "fresh":
            noised = noised.mean(1, keepdim=True).expand_as(seen)
        perception = perception_reward(
            seen, noised, alpha=args.alpha, beta=args.perception_beta, deviation=norm.deviation
        )
        calibration = args.calibration_weight * calibration_reward(
            norm(leaf), right, args.calibration
        )
        if args.twin == "rescored":  # these were not drawn under the noised picture
            calibration = calibration * clean
        (slope,) = torch.autograd.grad(perception.sum() + calibration.sum(), leaf)
    spread = torch.zeros_like(confidence)
    spread[clean] = perception.detach().flatten()
    return ConfidenceRewards(spread, calibration.detach(), slope)
