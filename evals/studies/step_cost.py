"""What a CDRL step costs beside a plain GRPO step with as many completions, timed in one run.

Each arm is a process of its own (`catts.training.step_arms`). They take turns, a step each, and who
begins alternates; both draw the same completions. Every CDRL step is compared with the plain one of
its own pair, so both meet the same machine.
"""

import os
import statistics
from collections.abc import Callable, Sequence

import numpy as np

from catts.arms import started
from catts.evals.metrics import FloatArray, cluster_bootstrap
from catts.evals.studies.result import Estimate
from catts.records import Record
from catts.training.step_arms import ARMS, PARTS, Arm, Part, Step, StepSetting, serve


class StepCost(Record):
    """Seconds of both arms, medians over the steps, with what they did."""

    questions_per_step: int
    completions: int
    """In a step of either arm, those of noised pictures counted."""
    plain_tokens: float
    """Mean of a completion, over all steps."""
    cdrl_tokens: float
    steps: int
    threads: int
    cpus: int
    seed: int
    plain_seconds: float
    cdrl_seconds: float
    ratio: Estimate
    """Median over the pairs of CDRL's seconds over plain GRPO's, resampled over pairs."""
    plain_parts: dict[Part, float]
    """Median seconds of each part; see `catts.training.step_arms.Part`."""
    cdrl_parts: dict[Part, float]


def run_step_cost(
    questions_per_step: int = 16,
    *,
    steps: int = 10,
    threads: int = 1,
    seed: int = 0,
    advance: Callable[[int, int], None] = lambda done, total: None,
) -> StepCost:
    """Time both arms on the shipped base with the settings of the recipe `embedded`.

    Args:
        questions_per_step: the recipe has 8; each is drawn 4 times clean and 4 times noised.
        steps: measured pairs, after one that is not.
        threads: CPU threads of each arm.
        seed: of data, noise and completions.
        advance: told after each step how many of how many are done.
    """
    setting = StepSetting(questions_per_step, steps, threads, seed)
    taken: dict[Arm, list[Step]] = {arm: [] for arm in ARMS}
    with started(ARMS, serve, setting) as pipes:
        for pair in range(steps + 1):
            for place, arm in enumerate(ARMS if pair % 2 else ARMS[::-1]):
                pipes[arm].send(True)
                taken[arm].append(pipes[arm].recv())
                advance(2 * pair + place + 1, 2 * steps + 2)
    return summary({arm: its[1:] for arm, its in taken.items()}, setting)


def summary(taken: dict[Arm, list[Step]], setting: StepSetting) -> StepCost:
    """What the steps of both arms come to, pair by pair in one order."""
    plain, cdrl = taken["plain"], taken["cdrl"]
    ratios = [[ours.total / its.total] for ours, its in zip(cdrl, plain, strict=True)]
    return StepCost(
        questions_per_step=setting.questions,
        completions=cdrl[0].completions,
        plain_tokens=_tokens(plain),
        cdrl_tokens=_tokens(cdrl),
        steps=setting.steps,
        threads=setting.threads,
        cpus=os.cpu_count() or 0,
        seed=setting.seed,
        plain_seconds=statistics.median(step.total for step in plain),
        cdrl_seconds=statistics.median(step.total for step in cdrl),
        ratio=Estimate.of(cluster_bootstrap(ratios, weighted_median)),
        plain_parts=_parts(plain),
        cdrl_parts=_parts(cdrl),
    )


def weighted_median(rows: FloatArray, weights: FloatArray) -> FloatArray:
    """The median as a `catts.evals.metrics.Statistic`; rows are (N,), weights whole numbers."""
    order = np.argsort(rows)
    upto = np.cumsum(weights[:, order], axis=1)
    count = upto[:, -1:]
    low, high = ((upto < half).sum(axis=1) for half in ((count + 1) // 2, count // 2 + 1))
    middle: FloatArray = (rows[order][low] + rows[order][high]) / 2
    return middle


def _tokens(steps: Sequence[Step]) -> float:
    return sum(step.tokens for step in steps) / sum(step.completions for step in steps)


def _parts(steps: Sequence[Step]) -> dict[Part, float]:
    return {part: statistics.median(step.seconds[part] for step in steps) for part in PARTS}
