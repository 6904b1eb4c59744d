"""Each term of the reward: its sign, its range, and that the sighted, sure, right answer wins."""

from itertools import product

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from catts.training.rewards import (
    Normalisation,
    calibration_reward,
    format_reward,
    perception_reward,
)

NORM = Normalisation(mean=10.0, deviation=2.0)
finite = st.floats(-50, 50)


def perception(c: float, noised: float, **changed: float) -> float:
    options = {"alpha": 0.5, "beta": 1.0, "deviation": 2.0} | changed
    return float(perception_reward(torch.tensor(c), torch.tensor(noised), **options))


def calibration(normalised: float, right: float, kind: str) -> float:
    return float(calibration_reward(torch.tensor(normalised), torch.tensor(right), kind))  # type: ignore[arg-type]


@given(finite, finite)
def test_perception_pays_for_a_fall_and_charges_for_a_rise(c: float, noised: float) -> None:
    found = perception(c, noised)
    assert -0.5 <= found <= 0.5
    assert found * (c - noised) >= 0
    assert perception(noised, c) == pytest.approx(-found)


def test_perception_by_hand() -> None:
    assert perception(12, 10) == pytest.approx(0.5 * torch.tanh(torch.tensor(1.0)).item())
    assert perception(12, 10, beta=2.0) > perception(12, 10)
    assert perception(12, 10, deviation=4.0) == perception(11, 10, deviation=2.0)


@pytest.mark.parametrize("kind", ["linear", "brier"])
def test_calibration_pays_for_sure_right_ones_and_charges_for_sure_wrong_ones(kind: str) -> None:
    assert calibration(0.9, 1, kind) > calibration(0.6, 1, kind)
    assert calibration(0.9, 0, kind) < calibration(0.6, 0, kind)
    for p in (0.0, 0.3, 1.0):
        for right in (0.0, 1.0):
            assert -1 <= calibration(p, right, kind) <= 1


@given(st.floats(0.01, 0.99))
def test_only_brier_is_best_at_the_chance_of_being_right(chance: float) -> None:
    grid = [i / 100 for i in range(101)]

    def expected(p: float, kind: str) -> float:
        return chance * calibration(p, 1, kind) + (1 - chance) * calibration(p, 0, kind)

    best = {kind: max(grid, key=lambda p: expected(p, kind)) for kind in ("brier", "linear")}
    assert best["brier"] == pytest.approx(chance, abs=0.011)
    if abs(chance - 0.5) > 0.01:
        assert best["linear"] == (1.0 if chance > 0.5 else 0.0)


@given(finite, finite)
def test_the_norm_rises_and_stays_inside(a: float, b: float) -> None:
    low, high = (float(NORM(torch.tensor(x))) for x in sorted((a, b)))
    assert 0 <= low <= high <= 1
    assert float(NORM(torch.tensor(NORM.mean))) == 0.5


@pytest.mark.parametrize("kind", ["linear", "brier"])
def test_a_right_sure_sighted_answer_beats_every_other(kind: str) -> None:
    """Sure or unsure on the clean picture, sure or unsure on the noised one, right or wrong."""
    sure, unsure = 13.0, 7.0
    totals = {}
    for c, noised, right in product((sure, unsure), (sure, unsure), (1.0, 0.0)):
        normalised = float(NORM(torch.tensor(c)))
        totals[c, noised, right] = (
            perception(c, noised) + calibration(normalised, right, kind) + right
        )
    best = max(totals, key=lambda key: totals[key])
    assert best == (sure, unsure, 1.0)
    assert sorted(totals.values())[-1] > sorted(totals.values())[-2]


@pytest.mark.parametrize(
    ("text", "given"),
    [
        ("<think>two and two</think>\\boxed{4}", 1.0),
        (" <think>x</think> so \\boxed{\\frac{\\sqrt{2}}{3}}\n", 1.0),
        ("<think></think>\\boxed{}", 1.0),
        ("\\boxed{4}", 0.0),
        ("<think>x</think>", 0.0),
        ("<think>x</think>\\boxed{4} indeed", 0.0),
        ("<think>x</think>\\boxed{4}\\boxed{4}", 0.0),
        ("<think>x</think><think>y</think>\\boxed{4}", 0.0),
        ("<think>\\boxed{4}</think>", 0.0),
        ("\\boxed{4}<think>x</think>", 0.0),
        ("</think><think>\\boxed{4}", 0.0),
        ("<think>x</think>\\boxed{4", 0.0),
        ("", 0.0),
    ],
)
def test_the_format(text: str, given: float) -> None:
    assert format_reward(text) == given
