"""Choose on validation data what a base's card recommends: confidence, mapping, thresholds."""

import hashlib
import math
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from catts.agents.card import ModelCard
from catts.agents.protocol import ContrastParams, SamplingParams
from catts.agents.transformers_engine import TransformersEngine
from catts.calibration import ConfidenceMap
from catts.confidence import CONFIDENCE_KINDS, ConfidenceKind
from catts.evals.collect import Collection, Samples
from catts.evals.items import Item, load_items
from catts.evals.metrics import auroc, within_cluster_aurocs
from catts.evals.modules import full_verdicts
from catts.evals.verdicts import Verdict, accuracy_of, read_rows, right, turned_right
from catts.graph.context import Policy

SAMPLES = 8
_KNOTS = 24


class KindScore(NamedTuple):
    """How well a kind of confidence tells right from wrong on validation data."""

    kind: ConfidenceKind
    pooled: float
    """AUROC over all samples."""
    within: float
    """Mean AUROC within one question."""


def score_kinds(items: Sequence[Item], rows: Sequence[Samples]) -> list[KindScore]:
    """AUROC of every kind; a completion without the kind is left out."""
    hits = accuracy_of(items, rows)
    scores = []
    for kind in CONFIDENCE_KINDS:
        kept = [
            ([s.confidence[kind] for s in row if kind in s.confidence],
             [h for s, h in zip(row, hit, strict=True) if kind in s.confidence])
            for row, hit in zip(rows, hits, strict=True)
        ]  # fmt: skip
        if not any(v for v, _ in kept):
            continue
        values = [v for v, _ in kept]
        truth = [h for _, h in kept]
        pooled = auroc(np.concatenate(values), np.concatenate(truth))
        scores.append(KindScore(kind, pooled, float(within_cluster_aurocs(values, truth).mean())))
    return scores


def fit_map(
    items: Sequence[Item], rows: Sequence[Samples], kind: ConfidenceKind, name: str
) -> ConfidenceMap:
    """Isotonic regression of right on confidence, over all samples, thinned to a few knots."""
    from sklearn.isotonic import IsotonicRegression

    pairs = [
        (s.confidence[kind], float(right(item, s)))
        for item, row in zip(items, rows, strict=True)
        for s in row
        if kind in s.confidence
    ]
    x, y = np.array(pairs).T
    # a knot is rounded and may lie just outside of what was seen
    fitted = IsotonicRegression(y_min=0.01, y_max=0.99, out_of_bounds="clip").fit(x, y)
    knots = np.unique([float(f"{q:.5g}") for q in np.quantile(x, np.linspace(0.01, 0.99, _KNOTS))])
    values = np.maximum.accumulate(fitted.predict(knots)).round(4)
    digest = hashlib.sha256(np.array(pairs).tobytes()).hexdigest()[:12]
    return ConfidenceMap(
        kind=kind,
        x=tuple(float(k) for k in knots),
        y=tuple(float(v) for v in values),
        fitted_on=f"{name}, {len(items)} questions x {len(rows[0])} samples, sha256 {digest}",
    )


class Fit(NamedTuple):
    """A fitted card with what it was chosen from."""

    card: ModelCard
    kinds: list[KindScore]
    vote_accuracy: dict[str, float]
    """Validation accuracy of the weighted vote, by w(C)."""
    contrast_accuracy: dict[str, float]
    """Validation accuracy of the self-check, by `t/alpha`."""


def fit_card(
    base: TransformersEngine,
    expert: TransformersEngine,
    folder: Path,
    *,
    n: int = 1000,
    seed: int = 0,
    quiet: bool = False,
) -> Fit:
    """Choose everything that the base's card recommends on the first `n` validation questions.

    - the kind of confidence: the best AUROC within one question among those that every completion
      has and whose pooled AUROC is at least 0.65, because a vote weight has to tell the samples of
      one question apart;
    - raw or mapped weights: the better weighted vote, the mapping for each half of the questions
      fitted on the other half;
    - the self-check's noise step and strength: the best accuracy on 300 questions;
    - `reflect_below`: where the critic's net share turned right is largest, None for every leader;
    - `accept`: the smallest share at which skipping every module costs no accuracy, or never.
    """
    items = load_items("validation", n)
    data = Collection(folder, items, quiet=quiet)
    params = SamplingParams(n=SAMPLES, max_new_tokens=base.card.max_new_tokens, seed=seed)
    rows = data.answers(base, params, title="validation samples")
    kinds = score_kinds(items, rows)
    everywhere = [k for k in kinds if all(k.kind in s.confidence for row in rows for s in row)]
    eligible = [k for k in everywhere if k.pooled >= 0.65] or everywhere
    kind = max(eligible, key=lambda k: k.within).kind
    mapping = fit_map(items, rows, kind, "embedded/validation")

    votes = {
        "raw": _accuracy(read_rows(items, rows, _policy(base, kind, mapping, "raw"))),
        "mapped": mapped_accuracy(base, items, rows, kind),
    }
    weight = max(votes, key=lambda w: votes[w])
    t, alpha, contrasts = _best_contrast(base, Collection(folder, items[:300], quiet=quiet))
    policy = _policy(base, kind, mapping, weight).model_copy(
        update={"noise_t": t, "contrast_alpha": alpha}
    )
    verdicts = full_verdicts(data, base, expert, rows, policy)
    card = base.card.model_copy(
        update={
            "confidence_kind": kind,
            "confidence_map": mapping,
            "vote_weight": weight,
            "noise_t": t,
            "contrast_alpha": alpha,
            "reflect_below": best_reflection(verdicts),
            "accept": best_acceptance(verdicts),
        }
    )
    return Fit(card, kinds, votes, contrasts)


def best_reflection(verdicts: Sequence[Verdict]) -> float | None:
    """The certainty below which the critic's net share turned right is largest.

    None, which asks the critic always, where that is best; 0, which never asks it, where no
    threshold turns more right than wrong. Without a mapping there are no certainties, and the
    critic is always asked. Leaders of equal certainty fall on one side together.
    """
    gains: dict[float, int] = {}
    for v in verdicts:
        if v.certainty is not None:
            gains[v.certainty] = gains.get(v.certainty, 0) + turned_right(v)
    levels = sorted(gains)
    net = np.cumsum([0, *(gains[level] for level in levels)])
    best = int(np.argmax(net))
    if best == len(levels):
        return None
    return levels[best] if best else 0.0


def best_acceptance(verdicts: Sequence[Verdict]) -> float:
    """The smallest leader's share from which accepting at once is as accurate as all modules.

    Infinite, which never accepts at once, where even unanimous samples gain by being checked.
    """
    full = [v.won("sample", "voter", "critic", "self_check") for v in verdicts]
    alone = [v.won("sample") for v in verdicts]
    shares = [v.field[0].share if v.field else 0.0 for v in verdicts]
    best = math.inf
    for threshold in np.arange(1.0, 0.45, -0.05).round(2):
        loss = sum(f - a for f, a, s in zip(full, alone, shares, strict=True) if s >= threshold)
        if loss > 0.002 * len(verdicts):
            break
        best = float(threshold)
    return best


def _best_contrast(
    base: TransformersEngine, data: Collection
) -> tuple[int, float, dict[str, float]]:
    card = base.card
    scores: dict[tuple[int, float], float] = {}
    for t in (500, 800):
        for alpha in (0.5, 1.0):
            params = ContrastParams(
                alpha=alpha, beta=card.contrast_beta, max_new_tokens=card.max_new_tokens
            )
            rows = data.contrasts(base, params, t, title=f"self-check t {t} alpha {alpha}")
            scores[t, alpha] = float(np.mean(accuracy_of(data.items, rows)))
    (t, alpha) = max(scores, key=lambda k: scores[k])
    return t, alpha, {f"t {k[0]}, alpha {k[1]}": v for k, v in scores.items()}


def _policy(
    base: TransformersEngine, kind: ConfidenceKind, mapping: ConfidenceMap, weight: str
) -> Policy:
    return Policy.model_validate(
        {
            "samples": SAMPLES,
            "confidence_kind": kind,
            "confidence_map": mapping,
            "vote_weight": weight,
            "max_new_tokens": base.card.max_new_tokens,
            "contrast_beta": base.card.contrast_beta,
        }
    )


def cross_fitted(
    items: Sequence[Item], rows: Sequence[Samples], kind: ConfidenceKind
) -> tuple[ConfidenceMap, ConfidenceMap]:
    """Mappings for the questions of even and of odd place, each fitted on the other half."""
    odd, even = (fit_map(items[i::2], rows[i::2], kind, "half") for i in (1, 0))
    return odd, even


def mapped_accuracy(
    base: TransformersEngine, items: Sequence[Item], rows: Sequence[Samples], kind: ConfidenceKind
) -> float:
    """Accuracy of the vote weighted by a mapping that was fitted on other questions."""
    won = []
    for half, mapping in enumerate(cross_fitted(items, rows, kind)):
        policy = _policy(base, kind, mapping, "mapped")
        won += [v.won("sample") for v in read_rows(items[half::2], rows[half::2], policy)]
    return float(np.mean(won))


def _accuracy(verdicts: Sequence[Verdict]) -> float:
    return float(np.mean([v.won("sample") for v in verdicts]))
