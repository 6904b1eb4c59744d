"""What a base's confidence is worth before training: the scale that rewards are measured on."""

from collections.abc import Callable

import numpy as np

from catts.agents.engines.transformers_engine import TransformersEngine
from catts.agents.protocol import SamplingParams
from catts.answers import is_correct
from catts.errors import CalibrationError
from catts.images import image_digest
from catts.question import Question
from catts.training.data import Source
from catts.training.rewards import Calibration, Normalisation

_TOGETHER = 64


def normalisation_of(
    engine: TransformersEngine,
    source: Source,
    kind: Calibration,
    *,
    max_new_tokens: int,
    n: int = 512,
    seed: int = 0,
    advance: Callable[[int], None] = lambda done: None,
) -> Normalisation:
    """Ask the base the first `n` training questions once each, at temperature 1.

    `brier` fits w and b by logistic regression of right on (C - mu) / sigma, so that C_norm is the
    base's probability of being right, of answers that are sampled as in training.

    Args:
        engine: the base.
        source: training questions.
        kind: of the calibration reward.
        max_new_tokens: longest answer, as in training: the answers that are cut count as wrong.
        n: questions; fewer where the source has fewer.
        seed: of the samples.
        advance: told how many more questions are done.

    Raises:
        CalibrationError: the base's confidence does not vary, or it has all questions right or all
            wrong, so that nothing can be fitted; or its right answers are not the surer ones, so
            that `brier` would reward it for being unsure where it is right.
    """
    confidences: list[float] = []
    hits: list[bool] = []
    params = SamplingParams(n=1, max_new_tokens=max_new_tokens, seed=seed)
    wanted = min(n, len(source))
    for start in range(0, wanted, _TOGETHER):
        rows = [source[index] for index in range(start, min(start + _TOGETHER, wanted))]
        asked = [
            Question(text=r.question, choices=r.choices, images=(image_digest(r.image),))
            for r in rows
        ]
        said = engine.sample_many_sync(asked, [[r.image] for r in rows], params)
        for row, question, generation in zip(rows, asked, said, strict=True):
            (sample,) = generation.samples
            if "top_k_mean" in sample.confidence:
                confidences.append(sample.confidence["top_k_mean"])
                hits.append(is_correct(sample.text, row.answer, question))
        advance(len(rows))
    c, right = np.array(confidences), np.array(hits)
    if len(c) < 2 or c.std() == 0:
        raise CalibrationError(
            f"the base's confidence does not vary over {len(c)} answers: give more questions"
        )
    mean, deviation = float(c.mean()), float(c.std())
    if kind == "linear":
        return Normalisation(mean=mean, deviation=deviation)
    if right.all() or not right.any():
        raise CalibrationError(
            f"the base had {'all' if right.all() else 'none'} of {len(right)} training questions "
            "right: nothing tells its confidence apart; give other questions, or calibration linear"
        )
    from sklearn.linear_model import LogisticRegression

    fitted = LogisticRegression(C=100).fit(((c - mean) / deviation)[:, None], right)
    if fitted.coef_[0, 0] <= 0:
        raise CalibrationError(
            f"the base's right answers are not surer than its wrong ones (slope "
            f"{fitted.coef_[0, 0]:.2f} over {len(right)} training questions): give more or other "
            "questions (normalise_on), or calibration linear"
        )
    return Normalisation(
        mean=mean,
        deviation=deviation,
        slope=float(fitted.coef_[0, 0]),
        offset=float(fitted.intercept_[0]),
    )
