"""Fit what a base model's card recommends on the validation questions of any benchmark."""

import asyncio
import warnings
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from math import isnan
from pathlib import Path
from typing import Any, NamedTuple, get_args

import numpy as np

from catts.agents.card import ChosenOn, ModelCard
from catts.calibration import CalibratorName, ConfidenceMap, VoteWeight
from catts.confidence import ConfidenceKind
from catts.errors import CalibrationError, EngineError
from catts.evals import choosing
from catts.evals.benchmarks.digest import question_digest
from catts.evals.benchmarks.validation import overlap
from catts.evals.calibration_metrics import brier_score
from catts.evals.calibrators import Scored, cross_fitted, cross_mapped, fit_calibrator
from catts.evals.choosing import KindScore, best_acceptance, best_kind, best_reflection
from catts.evals.measured import Beliefs, CalibrationMetric, calibration
from catts.evals.studies.lab import Lab
from catts.evals.studies.setting import Made, Setting
from catts.evals.studies.telling import card_of, counts
from catts.evals.studies.votes import Voted
from catts.names import Worker
from catts.records import Record
from catts.tuning import Tuning

METHODS: tuple[CalibratorName, ...] = get_args(CalibratorName)
CONTRAST_QUESTIONS = 300
"""The first so many questions choose the self-check's noise step and strength."""

_MORE = "take more questions, or others"


class OverlapWarning(UserWarning):
    """The validation questions are among those that the benchmark reports."""


class KindFit(Record):
    """How well a kind of confidence tells right from wrong."""

    kind: ConfidenceKind
    pooled: float
    """AUROC over all samples."""
    within: float | None
    """Mean AUROC within one question; None where no question has right and wrong samples."""


class Calibration(Record):
    """A fitted card with what it was chosen from."""

    made: Made
    """How it came about; `policy` is the one before the fit."""
    card: ModelCard
    kinds: tuple[KindFit, ...]
    brier: dict[CalibratorName, float]
    """Brier score of each mapping of the chosen kind, cross-fitted; the lower one was taken."""
    vote_accuracy: dict[VoteWeight, float]
    """Accuracy of the samples' vote by w(C), the mapping cross-fitted."""
    contrast_accuracy: dict[str, float]
    """Accuracy of the self-check alone by noise step and strength."""
    metrics: tuple[CalibrationMetric, ...]
    """Of the chosen confidence and mapping, cross-fitted: no answer's own question was fitted on.
    The choice of kind and method was made on the same answers."""
    unusable: dict[Worker, int]
    """Node to the runs that chose the thresholds in which its model replied, malformed twice or
    with a refusal: that is the model's doing, and counts as a ballot that it did not cast."""
    left_out: dict[str, str]
    """Id of each question that the base model could not answer to what it said; nothing was
    chosen on these."""


class _Chosen(NamedTuple):
    """What the samples alone decide."""

    kinds: list[KindScore]
    kind: ConfidenceKind
    brier: dict[CalibratorName, float]
    mapping: ConfidenceMap
    votes: dict[VoteWeight, float]
    weight: VoteWeight
    metrics: tuple[CalibrationMetric, ...]


async def calibrate(lab: Lab) -> Calibration:
    """Choose everything that the base's card recommends.

    - the kind of confidence, see `catts.evals.choosing.best_kind`;
    - its mapping to the probability of being right, isotonic or Platt: the lower Brier score, each
      half of the questions mapped by what was fitted on the other half;
    - raw or mapped weights: the better vote of the samples, the mapping cross-fitted in that way;
    - the self-check's noise step and strength: the best accuracy on the first questions;
    - `reflect_below`: where the critic's net share turned right is largest, None for every leader;
    - `accept`: the smallest share at which skipping every module costs no accuracy, or never.

    Answers are graded by the strict grader. All that is asked is kept in the lab's store, so a run
    that was killed goes on where it stopped. The expert is asked for votes and critiques only: no
    plan changes a ballot.

    Raises:
        CalibrationError: all answers are right or all are wrong, or none has a confidence; or a
            node got no reply, so that a card would be chosen without it.
    """
    setting = lab.setting
    part, why = _questions(setting)
    if why is not None:
        warnings.warn(
            f"{why}: with this card, a score on those questions is not one on new questions",
            OverlapWarning,
            stacklevel=2,
        )
    try:
        lab = await lab.answerable(lab.context.policy.sampling, "samples")
    except EngineError as error:
        raise CalibrationError(
            f"the base model gave no answer to any question, the first time with {error}"
        ) from error
    # accepted at any share: the samples are there, and no module is asked
    drawn = await _replied(lab, "votes of the samples", routing="planned", accept=0.0)
    name = f"{setting.task}/{part} (questions sha256 {lab.data[:12]})"
    chosen = await asyncio.to_thread(_choose, drawn, name)
    fitted: dict[str, Any] = {
        "confidence_kind": chosen.kind,
        "confidence_map": chosen.mapping,
        "vote_weight": chosen.weight,
    }
    contrasts = await _contrasts(lab, fitted)
    t, alpha = max(contrasts, key=lambda pair: contrasts[pair])
    fitted |= {"noise_t": t, "contrast_alpha": alpha}
    runs = await _replied(lab, "all modules", routing="parallel", **fitted)
    fitted |= await asyncio.to_thread(
        lambda: {"reflect_below": best_reflection(runs), "accept": best_acceptance(runs)}
    )
    fitted["chosen_on"] = await asyncio.to_thread(_chosen_on, lab, part)
    unusable = Counter(node for run in runs for node in run.trace.failed_nodes)
    return Calibration(
        made=lab.made("calibrate"),
        card=_card(lab, fitted),
        kinds=tuple(
            KindFit(kind=k.kind, pooled=k.pooled, within=None if isnan(k.within) else k.within)
            for k in chosen.kinds
        ),
        brier=chosen.brier,
        vote_accuracy=chosen.votes,
        contrast_accuracy={f"t {t}, alpha {a:g}": v for (t, a), v in contrasts.items()},
        metrics=chosen.metrics,
        unusable=dict(unusable),
        left_out=dict(lab.left_out),
    )


async def _replied(lab: Lab, title: str, **policy: Any) -> list[Voted]:
    """The graph on every question, where every node that was asked had its reply."""
    before = lab.failed.copy()
    runs = await lab.run(title, **policy)
    missing = lab.failed - before
    if missing:
        first = next(f for run in runs for f in run.trace.failures if f.node in missing)
        raise CalibrationError(
            f"nodes failed ({counts(missing)}), the first time with {first.error}: "
            f"{first.message.rstrip('.')}. Nothing is chosen without them: mend that and run the "
            "same command again, which asks only what failed"
        )
    return runs


def _chosen_on(lab: Lab, part: str) -> ChosenOn:
    """What the card is chosen on; blocks while pictures are decoded."""
    return ChosenOn(
        task=lab.setting.task,
        split=part,
        expert=lab.context.expert.name,
        questions=tuple(map(question_digest, lab.items)),
    )


def _questions(setting: Setting) -> tuple[str, str | None]:
    """Name of the split or file, and why its questions are reported too, where they are.

    A file is read whatever the split, so nothing is known of what it shares with which.
    """
    file = Path(setting.data or "").expanduser()
    if file.is_file():
        return file.name, None
    split = setting.split or ""
    return split, overlap(setting.task, split)


def _choose(drawn: Sequence[Voted], name: str) -> _Chosen:
    """From the samples alone; blocks while answers are graded and intervals drawn."""
    confidences = [[s.confidences for s in vote.trace.samples] for vote in drawn]
    hits = [vote.hits for vote in drawn]
    _check(drawn, confidences, hits)
    try:
        kinds = choosing.score_kinds(confidences, hits)
        kind = best_kind(kinds, confidences)
        data = choosing.scored(confidences, hits, kind)
        sure = {method: cross_mapped(method, data, kind) for method in METHODS}
    except ValueError as error:
        raise CalibrationError(f"too few answers to calibrate: {error}; {_MORE}") from error
    right = np.concatenate([rows[:, 1] for rows in data])
    brier = {method: brier_score(np.concatenate(p), right) for method, p in sure.items()}
    method = min(METHODS, key=lambda m: brier[m])
    mapping = fit_calibrator(method, data, kind, name)
    raw = Tuning(confidence_kind=kind)
    votes: dict[VoteWeight, float] = {
        "raw": float(np.mean([vote.reweighed(raw) for vote in drawn])),
        "mapped": _mapped_accuracy(drawn, data, method, kind),
    }
    beliefs = Beliefs(
        [rows[:, 0] for rows in data],
        [rows[:, 1] for rows in data],
        kind,
        sure[method],
        f"{method}, cross-fitted on {name}",
    )
    return _Chosen(
        kinds,
        kind,
        brier,
        mapping,
        votes,
        "mapped" if votes["mapped"] > votes["raw"] else "raw",
        calibration(beliefs),
    )


def _check(drawn: Sequence[Voted], confidences: choosing.Confidences, hits: choosing.Hits) -> None:
    answers = [hit for row in hits for hit in row]
    if len(set(answers)) == 1:
        every = "right" if answers[0] else "wrong"
        raise CalibrationError(
            f"all {len(answers)} answers to {len(drawn)} questions are {every}, so nothing tells "
            f"right from wrong; {_MORE}"
        )
    if not any(kinds for row in confidences for kinds in row):
        raise CalibrationError(
            "no answer has a confidence of any kind: calibrate a base model whose engine tells the "
            "probabilities of its tokens"
        )


def _mapped_accuracy(
    drawn: Sequence[Voted], data: Scored, method: CalibratorName, kind: ConfidenceKind
) -> float:
    """Accuracy of the samples' vote weighed by a mapping that was fitted on other questions."""
    halves = [
        Tuning(confidence_kind=kind, confidence_map=mapping, vote_weight="mapped")
        for mapping in cross_fitted(method, data, kind)
    ]
    return float(np.mean([vote.reweighed(halves[i % 2]) for i, vote in enumerate(drawn)]))


async def _contrasts(lab: Lab, fitted: dict[str, Any]) -> dict[tuple[int, float], float]:
    """Accuracy of the self-check alone by noise step and strength.

    The graph runs as a whole, because its voter and critic will be asked the same in any case.
    """
    first = replace(lab, asking=replace(lab.asking, items=lab.items[:CONTRAST_QUESTIONS]))
    found: dict[tuple[int, float], float] = {}
    for t, alpha in choosing.CONTRASTS:
        runs = await _replied(
            first,
            f"self-check t {t} alpha {alpha:g}",
            routing="parallel",
            **fitted,
            noise_t=t,
            contrast_alpha=alpha,
        )
        found[t, alpha] = await asyncio.to_thread(_self_check_accuracy, runs)
    return found


def _self_check_accuracy(runs: Sequence[Voted]) -> float:
    checks = [(run, run.trace.self_check) for run in runs]
    return float(np.mean([run.right(c.sample.answer) if c else 0.0 for run, c in checks]))


def _card(lab: Lab, fitted: dict[str, Any]) -> ModelCard:
    known = card_of(lab.context)
    name = known.name or lab.context.engine.name
    return ModelCard.model_validate({**dict(known), "name": name, **fitted})
