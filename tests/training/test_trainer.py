"""The trainer's gradient is the whole gradient, however its batch is cut."""

import copy
from itertools import islice
from typing import Any

import pytest
import torch
from trl.trainer.utils import RepeatSampler

from catts.errors import InputError
from catts.training.rewards import calibration_reward, perception_reward
from catts.training.trainer import CDRLTrainer
from catts.training.twin_sampler import TwinSampler

pytestmark = [pytest.mark.models, pytest.mark.slow]


def batch(trainer: CDRLTrainer) -> dict[str, Any]:
    """One generation batch, scored, in the dataset's order."""
    rows = next(iter(trainer.get_train_dataloader()))
    trainer.current_gradient_accumulation_steps = trainer.args.gradient_accumulation_steps
    trainer.model.train()
    return trainer._generate_and_score_completions(rows)


def gradients(model: Any) -> dict[str, torch.Tensor]:
    found = {n: p.grad.clone() for n, p in model.named_parameters() if p.grad is not None}
    model.zero_grad()
    return found


def directly(
    trainer: CDRLTrainer, inputs: dict[str, Any], reference: Any
) -> dict[str, torch.Tensor]:
    """The objective written down in one piece, all logits held: its gradients."""
    args, norm, model = trainer.args, trainer._normalisation, trainer.model
    ids = torch.cat([inputs["prompt_ids"], inputs["completion_ids"]], 1)
    attention = torch.cat([inputs["prompt_mask"], inputs["completion_mask"]], 1)
    given = {name: inputs[name] for name in ("pixel_values", "image_grid_thw", "mm_token_type_ids")}
    keep, mask = inputs["completion_ids"].size(1), inputs["completion_mask"].float()

    def logs(of: Any) -> torch.Tensor:
        out = of(input_ids=ids, attention_mask=attention, **given).logits
        return out[:, -keep - 1 : -1].float().log_softmax(-1)

    log_p = logs(model)
    with torch.no_grad():
        log_q = logs(reference)
    tokens = -log_p.topk(20, -1).values.mean(-1)
    c = (tokens * mask).sum(-1) / mask.sum(-1)
    group = args.num_generations
    clean = torch.arange(len(c)) // group % 2 == 0
    right = trainer._given[:, 0]
    if args.twin == "fresh":
        prime = c[~clean].view(-1, group).mean(1).repeat_interleave(group)
    else:
        prime = c[~clean]
    reward = perception_reward(
        c[clean], prime, alpha=args.alpha, beta=args.perception_beta, deviation=norm.deviation
    ).sum()
    calibrated = args.calibration_weight * calibration_reward(norm(c), right, args.calibration)
    reward = reward + (calibrated if args.twin == "fresh" else calibrated[clean]).sum()
    chosen = log_p.gather(-1, inputs["completion_ids"][..., None]).squeeze(-1)
    policy = -(inputs["advantages"][:, None] * chosen * mask).sum() / mask.sum()
    kl = ((log_p.exp() * (log_p - log_q)).sum(-1) * mask)[clean].sum() / mask[clean].sum()
    loss = policy + trainer._anchor * kl
    if args.gradient == "whole":
        completions = len(c) if args.twin == "fresh" else clean.sum()
        loss = loss - reward / completions
    loss.backward()
    return gradients(model)


@pytest.mark.parametrize("twin", ["fresh", "rescored"])
@pytest.mark.parametrize(("gradient", "calibration"), [("whole", "brier"), ("whole", "linear"),
                                                       ("policy", "brier")])  # fmt: skip
def test_the_gradient_is_the_objectives(make, loaded, twin, gradient, calibration) -> None:
    trainer = make(twin=twin, gradient=gradient, calibration=calibration)
    # a model that differs from its reference, so that KL has a gradient
    with torch.no_grad():
        for p in trainer.model.parameters():
            p.add_(0.01 * p.std().nan_to_num() * torch.randn_like(p))
    inputs = batch(trainer)
    trainer._compute_loss(trainer.model, inputs).backward()
    ours = gradients(trainer.model)
    wanted = directly(trainer, inputs, trainer.ref_model)
    assert ours.keys() == wanted.keys()
    for name, value in wanted.items():
        torch.testing.assert_close(ours[name], value, rtol=2e-3, atol=2e-5, msg=name)


def test_cutting_and_shuffling_a_batch_change_nothing(make) -> None:
    whole = make()
    inputs = batch(whole)
    with torch.no_grad():
        # away from the reference, or KL would have no gradient
        for parameter in whole.model.parameters():
            parameter.mul_(1.01)
    whole._compute_loss(whole.model, inputs).backward()
    wanted = gradients(whole.model)
    whole.args.per_device_train_batch_size, whole.args.gradient_accumulation_steps = 2, 4
    whole.args.steps_per_generation = whole.current_gradient_accumulation_steps = 4
    order = torch.tensor([5, 2, 7, 0, 1, 6, 3, 4])
    patches = inputs["image_grid_thw"].prod(-1).tolist()
    pixels = torch.split(inputs["pixel_values"], patches)
    for part in order.split(2):
        piece = {
            name: value[part] if isinstance(value, torch.Tensor) and value.ndim else value
            for name, value in inputs.items()
            if name != "pixel_values"
        }
        piece |= {"pixel_values": torch.cat([pixels[i] for i in part]), "num_images": [1, 1]}
        whole._compute_loss(whole.model, piece).backward()
    for name, value in gradients(whole.model).items():
        torch.testing.assert_close(value, wanted[name], rtol=2e-3, atol=2e-5, msg=name)


def test_advantages_are_each_groups_own(make) -> None:
    inputs = batch(make())
    groups = inputs["advantages"].view(-1, 2)
    torch.testing.assert_close(groups.sum(1), torch.zeros(4), atol=1e-4, rtol=0)
    assert inputs["clean"].tolist() == [True, True, False, False] * 2


def test_rescored_twins_hold_the_clean_completions(make) -> None:
    inputs = batch(make(twin="rescored"))
    ids = inputs["completion_ids"].view(2, 2, 2, -1)
    assert (ids[:, 0] == ids[:, 1]).all()
    pixels = inputs["pixel_values"].view(2, 2, 2, -1)
    assert (pixels[:, 0] != pixels[:, 1]).any()
    assert (inputs["advantages"][~inputs["clean"]] == 0).all()


def test_a_step_moves_the_weights_and_is_logged(make) -> None:
    trainer = make(max_steps=2)
    before = copy.deepcopy(trainer.model.state_dict())
    trainer.train()
    assert any((before[n] != p).any() for n, p in trainer.model.state_dict().items())
    told = [entry for entry in trainer.state.log_history if "loss" in entry]
    assert len(told) == 2
    reward = sum(
        told[0][f"rewards/{term}/mean"]
        for term in ("output_of", "format_of", "perception", "calibration")
    )
    noised = told[0]["rewards/perception/mean"] / 2  # those rows have none
    assert told[0]["reward"] == pytest.approx(reward - noised, rel=1e-4)
    assert told[0]["frac_reward_zero_std"] == told[0]["frac_groups_without_signal"]
    for name in (
        "rewards/output_of/mean", "rewards/format_of/mean", "rewards/perception/mean",
        "rewards/calibration/mean", "confidence/clean", "confidence/noised", "confidence/fall",
        "accuracy/clean", "accuracy/noised", "entropy", "kl", "frac_groups_without_signal",
    ):  # fmt: skip
        assert name in told[0], name
    assert abs(told[0]["kl"]) < 1e-5, "the base is its own reference at first"
    assert told[1]["kl"] > 0


def test_logged_completions_have_the_confidences_and_the_advantages_in_use(make) -> None:
    trainer = make(log_completions=True, num_completions_to_print=0)
    inputs = batch(trainer)
    told = {name: list(values) for name, values in trainer._logs["extra"].items()}
    assert told.keys() == {"confidence", "perception", "calibration"}
    assert all(len(values) == 8 and any(values) for values in told.values())
    assert list(trainer._logs["advantages"]) == inputs["advantages"].tolist()
    assert not any(
        v for v, clean in zip(told["perception"], inputs["clean"], strict=True) if not clean
    )


def test_twins_follow_their_clean_rows() -> None:
    inner = RepeatSampler(range(5), mini_repeat_count=4, batch_size=2, shuffle=False)
    rows = list(islice(TwinSampler(inner, 2), 16))
    assert rows == [0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7]
    assert len(TwinSampler(inner, 2)) == len(inner)


def test_every_epoch_has_an_order_that_a_run_which_goes_on_has_too() -> None:
    def sampler() -> TwinSampler:
        return TwinSampler(RepeatSampler(range(8), 4, batch_size=2, shuffle=True, seed=3), 2)

    through, orders = sampler(), []
    for epoch in range(3):
        through.set_epoch(epoch)
        orders.append(list(through))
    assert orders[0] == list(sampler()) and orders[0] != orders[1] != orders[2]
    later = sampler()
    later.set_epoch(2)
    assert list(later) == orders[2]


def test_pairs_that_are_torn_apart_are_refused(make) -> None:
    with pytest.raises(InputError, match="no multiple of 2 x num_generations = 4"):
        make(per_device_train_batch_size=6, num_generations=2)
