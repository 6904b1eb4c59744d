"""`catts bench cdrl`: both arms do the same, and what their seconds come to."""

import json

import numpy as np
import pytest
from typer.testing import CliRunner

from catts.cli import app
from catts.evals.studies.step_cost import StepCost, run_step_cost, summary, weighted_median
from catts.evals.studies.step_cost_command import as_table, in_words
from catts.training.step_arms import PARTS, Step, StepSetting


def taken(*totals: float) -> list[Step]:
    """Steps of so many seconds, the half of them generation."""
    return [
        Step(dict.fromkeys(PARTS, 0.0) | {"generation": t / 2, "update": t / 2}, 8, 80)
        for t in totals
    ]


@pytest.mark.models
@pytest.mark.slow
def test_both_arms_draw_the_same_completions() -> None:
    told: list[tuple[int, int]] = []
    cost = run_step_cost(1, steps=2, advance=lambda done, total: told.append((done, total)))
    assert told == [(done, 6) for done in range(1, 7)]
    assert cost.completions == 8
    assert cost.plain_tokens == cost.cdrl_tokens > 8
    assert cost.plain_parts["confidences"] == 0
    assert all(cost.cdrl_parts[part] > 0 for part in PARTS)
    assert all(cost.plain_parts[part] > 0 for part in PARTS if part != "confidences")


def test_every_step_is_compared_with_its_pair() -> None:
    both = {"plain": taken(1, 2, 4, 8), "cdrl": taken(1.5, 2.2, 4.8, 8)}
    cost = summary(both, StepSetting(questions=1, steps=4, threads=1, seed=0))
    assert cost.ratio.value == pytest.approx((1.1 + 1.2) / 2)
    assert (cost.ratio.low, cost.ratio.high) == pytest.approx((1.0, 1.5))
    assert (cost.plain_seconds, cost.cdrl_seconds) == pytest.approx((3.0, 3.5))
    assert cost.plain_parts["generation"] == pytest.approx(1.5)
    assert cost.plain_tokens == 10


def test_a_weighted_median_is_that_of_the_repeated_rows() -> None:
    rng = np.random.default_rng(0)
    rows, weights = rng.normal(size=7), rng.integers(0, 4, (50, 7)).astype(float)
    weights[0] = 1
    wanted = [np.median(np.repeat(rows, drawn.astype(int))) for drawn in weights]
    np.testing.assert_allclose(weighted_median(rows, weights), wanted)


@pytest.fixture
def cost() -> StepCost:
    both = {"plain": taken(2, 2), "cdrl": taken(3, 3)}
    return summary(both, StepSetting(questions=1, steps=2, threads=1, seed=7))


def test_the_table_and_the_words(cost: StepCost) -> None:
    table = as_table(cost)
    cells = list(zip(*(column.cells for column in table.columns), strict=True))
    assert cells[1] == ("generation", "1.000", "1.500")
    assert cells[-1] == ("a step", "2.000", "3.000")
    assert "CDRL / plain GRPO: 1.500 (1.500 to 1.500), median of 2 pairs" in in_words(cost)
    assert "8 completions a step, of 10.0 (plain GRPO) and 10.0 (CDRL) tokens" in in_words(cost)


def test_the_command(cost: StepCost, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def run(questions: int, **settings: object) -> StepCost:
        asked.append((questions, settings["steps"], settings["threads"], settings["seed"]))
        return cost

    monkeypatch.setattr("catts.evals.studies.step_cost.run_step_cost", run)
    given = ["bench", "cdrl", "--steps", "2", "--questions-per-step", "1", "--seed", "7"]
    shown = CliRunner().invoke(app, given)
    assert shown.exit_code == 0, shown.output
    assert "generation" in shown.stdout and "CDRL / plain GRPO: 1.500" in shown.stdout
    printed = CliRunner().invoke(app, [*given, "--json"])
    assert StepCost.model_validate(json.loads(printed.stdout)) == cost
    assert asked == [(1, 2, 1, 7)] * 2
