"""Settings of a CDRL run: those of TRL's GRPO, and what CDRL adds to them."""

from dataclasses import dataclass, field
from typing import Literal

from trl.trainer.grpo_config import GRPOConfig

from catts.errors import InputError
from catts.training.rewards import Calibration

Gradient = Literal["policy", "whole"]
"""`policy`: the source's GRPO, which treats the reward as a constant. `whole`: with the gradient of
the confidence itself."""
Twin = Literal["fresh", "rescored"]
"""C' of the noised picture: the mean over completions that are drawn under it, or that of the clean
picture's completions, scored again under it."""


@dataclass
class CDRLConfig(GRPOConfig):
    """`beta` is TRL's: the weight of the KL to the base, here exact and on clean pictures only.

    A batch holds each question `2 * num_generations` times, a group with its picture and a group
    with the noised one: `per_device_train_batch_size * steps_per_generation` is a multiple of that.
    """

    # TRL has True here, under the name that transformers gives up; None tells what was asked for
    gradient_checkpointing: bool | None = field(  # type: ignore[assignment]
        default=None, metadata={"help": "Older name of activation_checkpointing."}
    )
    activation_checkpointing: bool | None = field(
        default=None,
        metadata={
            "help": "Compute activations again in the backward pass instead of keeping them: less "
            "memory, a fifth more time [default: true]."
        },
    )
    alpha: float = field(
        default=0.5,
        metadata={
            "help": "Largest perception reward. The embedded recipe has 2: a smaller one left "
            "noised answers too sure there."
        },
    )
    perception_beta: float = field(
        default=1.0, metadata={"help": "Slope of the perception reward, per standard deviation."}
    )
    calibration: Calibration = field(
        default="brier", metadata={"help": "linear (the source's) or brier (a proper score)."}
    )
    calibration_weight: float = field(
        default=1.0, metadata={"help": "Weight of the calibration reward."}
    )
    gradient: Gradient = field(
        default="whole",
        metadata={"help": "policy (the source's GRPO) or whole (with the confidence's gradient)."},
    )
    twin: Twin = field(
        default="fresh", metadata={"help": "Where C' is from: fresh rollouts or rescored ones."}
    )
    confidence_k: int = field(default=20, metadata={"help": "k of the token confidence."})

    def __post_init__(self) -> None:
        """Check what TRL does not know of.

        Raises:
            InputError: a setting cannot be used.
        """
        # recipes have the new name, so the older one is what their user says
        for asked in (self.gradient_checkpointing, self.activation_checkpointing, True):
            if asked is not None:
                self.activation_checkpointing = self.gradient_checkpointing = asked
                break
        super().__post_init__()  # type: ignore[no-untyped-call]
        choices = {
            "calibration": ("linear", "brier"),
            "gradient": ("policy", "whole"),
            "twin": ("fresh", "rescored"),
        }
        for name, known in choices.items():
            if getattr(self, name) not in known:
                raise InputError(f"{name}: give {' or '.join(known)}, not {getattr(self, name)!r}")
        if self.mask_truncated_completions:
            raise InputError(
                "mask_truncated_completions: a cut completion has a confidence, which CDRL "
                "rewards; give a larger max_completion_length instead"
            )
        if self.scale_rewards == "batch":
            raise InputError("scale_rewards: CDRL knows group and none")
        if self.multi_objective_aggregation != "sum_then_normalize":
            raise InputError("multi_objective_aggregation: CDRL knows sum_then_normalize")
        if self.reward_weights is not None and len(self.reward_weights) != 2:
            raise InputError("reward_weights: give two, of R_output and of R_format")
        local = self.per_device_train_batch_size * (self.steps_per_generation or 1)
        if local % (2 * self.group):
            raise InputError(
                f"per_device_train_batch_size x steps_per_generation is {local}, no multiple of "
                f"2 x num_generations = {2 * self.group}: a question's clean and noised "
                "group must lie on one device"
            )

    @property
    def longest(self) -> int:
        """Tokens of the longest completion."""
        return self.max_completion_length or 256

    @property
    def group(self) -> int:
        """Completions of one picture, whose rewards are compared with each other."""
        return self.num_generations or 1
