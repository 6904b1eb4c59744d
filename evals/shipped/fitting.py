"""Choose on validation data what a base's card recommends: confidence, mapping, thresholds."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from catts.agents.card import ModelCard
from catts.agents.engines.transformers_engine import TransformersEngine
from catts.agents.protocol import ContrastParams, SamplingParams
from catts.calibration import ConfidenceMap
from catts.confidence import ConfidenceKind
from catts.evals import calibrators, choosing
from catts.evals.calibrators import Scored, fit_isotonic
from catts.evals.choosing import KindScore, best_acceptance, best_kind, best_reflection
from catts.evals.shipped.collect import Collection, Samples
from catts.evals.shipped.items import Item, load_items
from catts.evals.shipped.modules import full_verdicts
from catts.evals.shipped.verdicts import Verdict, accuracy_of, read_rows
from catts.graph.context import Policy

SAMPLES = 8


def score_kinds(items: Sequence[Item], rows: Sequence[Samples]) -> list[KindScore]:
    """AUROC of every kind; a completion without the kind is left out."""
    return choosing.score_kinds(_confidences(rows), accuracy_of(items, rows))


def fit_map(
    items: Sequence[Item], rows: Sequence[Samples], kind: ConfidenceKind, name: str
) -> ConfidenceMap:
    """Isotonic regression of right on confidence, over all samples, thinned to a few knots."""
    return fit_isotonic(_scored(items, rows, kind), kind, name)


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

    - the kind of confidence, see `catts.evals.choosing.best_kind`;
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
    kind = best_kind(kinds, _confidences(rows))
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


def _best_contrast(
    base: TransformersEngine, data: Collection
) -> tuple[int, float, dict[str, float]]:
    card = base.card
    scores: dict[tuple[int, float], float] = {}
    for t, alpha in choosing.CONTRASTS:
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
    """Isotonic mappings for the questions of even and of odd place, fitted on the other half."""
    return calibrators.cross_fitted("isotonic", _scored(items, rows, kind), kind)


def mapped_accuracy(
    base: TransformersEngine, items: Sequence[Item], rows: Sequence[Samples], kind: ConfidenceKind
) -> float:
    """Accuracy of the vote weighted by a mapping that was fitted on other questions."""
    won = []
    for half, mapping in enumerate(cross_fitted(items, rows, kind)):
        policy = _policy(base, kind, mapping, "mapped")
        won += [v.won("sample") for v in read_rows(items[half::2], rows[half::2], policy)]
    return float(np.mean(won))


def _confidences(rows: Sequence[Samples]) -> choosing.Confidences:
    return [[sample.confidence for sample in row] for row in rows]


def _scored(items: Sequence[Item], rows: Sequence[Samples], kind: ConfidenceKind) -> Scored:
    return choosing.scored(_confidences(rows), accuracy_of(items, rows), kind)


def _accuracy(verdicts: Sequence[Verdict]) -> float:
    return float(np.mean([v.won("sample") for v in verdicts]))
