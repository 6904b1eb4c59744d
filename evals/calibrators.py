"""Fit the mapping of a confidence to the probability of being right, and judge it on other data.

Data by question is a sequence of arrays of shape (n_i, 2), a question's answers as rows
(confidence, 1 if right else 0); a question may have none.
"""

import hashlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from catts.calibration import CalibratorName, ConfidenceMap
from catts.confidence import ConfidenceKind
from catts.evals.metrics import FloatArray

Scored = Sequence[FloatArray]
"""Rows (confidence, right) of each question."""

LEAST, MOST = 0.01, 0.99
"""No mapping promises less or more: validation data cannot show it."""

_KNOTS = 24
_FLAT = 1e-3
"""A sigmoid that moves by less, in logits over a standard deviation of the data, is a constant."""


def fit_calibrator(
    method: CalibratorName, data: Scored, kind: ConfidenceKind, name: str
) -> ConfidenceMap:
    """A mapping of either method; see `fit_isotonic` and `fit_platt`.

    Args:
        method: `isotonic` or `platt`.
        data: validation answers by question; at least one answer.
        kind: the kind of their confidence.
        name: what the data are, for `ConfidenceMap.fitted_on`; size and hash are added.

    Raises:
        ValueError: there is no answer.
    """
    return {"isotonic": fit_isotonic, "platt": fit_platt}[method](data, kind, name)


def fit_isotonic(data: Scored, kind: ConfidenceKind, name: str) -> ConfidenceMap:
    """Isotonic regression of right on confidence (scikit-learn), thinned to a few knots.

    Raises:
        ValueError: there is no answer.
    """
    from sklearn.isotonic import IsotonicRegression

    pairs = _pairs(data)
    x, y = pairs.T
    # a knot is rounded and may lie just outside of what was seen
    fitted = IsotonicRegression(y_min=LEAST, y_max=MOST, out_of_bounds="clip")
    fitted.fit(x, y)
    knots = np.unique([float(f"{q:.5g}") for q in np.quantile(x, np.linspace(0.01, 0.99, _KNOTS))])
    values = np.maximum.accumulate(fitted.predict(knots)).round(4)
    return _map(kind, knots, values, _named(name, data), "isotonic")


def fit_platt(data: Scored, kind: ConfidenceKind, name: str) -> ConfidenceMap:
    """Platt scaling: p = 1 / (1 + exp(-(a C + b))), fitted by maximum likelihood.

    The targets are Platt's, (N+ + 1) / (N+ + 2) for right answers and 1 / (N- + 2) for wrong ones
    (Advances in Large Margin Classifiers, 1999). Where the likelihood falls with the confidence
    (a < 0), the best sigmoid that does not is the constant. The sigmoid is stored as knots at equal
    steps of its logit: between them it is at most 0.002 off.

    Raises:
        ValueError: there is no answer.
    """
    from sklearn.linear_model import LogisticRegression

    pairs = _pairs(data)
    x, y = pairs.T
    right = y.sum()
    target = np.where(y > 0, (right + 1) / (right + 2), 1 / (len(y) - right + 2))
    named = _named(name, data)
    centre, spread = float(x.mean()), float(x.std())
    slope = 0.0
    if spread > 0:
        # an answer with target t counts t times as right and 1 - t times as wrong
        model = LogisticRegression(C=np.inf, tol=1e-8, max_iter=1000)
        z = (np.concatenate([x, x])[:, None] - centre) / spread
        both = np.repeat([1, 0], len(x))
        model.fit(z, both, sample_weight=np.concatenate([target, 1 - target]))
        slope, offset = float(model.coef_[0, 0]), float(model.intercept_[0])
    if slope < _FLAT:
        rate = float(np.clip(target.mean(), LEAST, MOST))
        return _map(kind, np.array([centre]), np.array([rate]), named, "platt")
    farthest = np.log(MOST / (1 - MOST))
    logits = np.linspace(-farthest, farthest, _KNOTS + 1)
    knots = centre + spread * (logits - offset) / slope
    return _map(kind, knots, (1 / (1 + np.exp(-logits))).round(4), named, "platt")


def cross_fitted(
    method: CalibratorName, data: Scored, kind: ConfidenceKind
) -> tuple[ConfidenceMap, ConfidenceMap]:
    """Mappings for the questions of even and of odd place, each fitted on the other half.

    Raises:
        ValueError: a half has no answer.
    """
    odd, even = (fit_calibrator(method, data[i::2], kind, "half") for i in (1, 0))
    return odd, even


def cross_mapped(method: CalibratorName, data: Scored, kind: ConfidenceKind) -> list[FloatArray]:
    """Probability of each answer by a mapping that was fitted on other questions; shape (n_i,).

    Raises:
        ValueError: a half has no answer.
    """
    halves = cross_fitted(method, data, kind)
    return [halves[place % 2].probabilities(rows[:, 0]) for place, rows in enumerate(data)]


def _pairs(data: Scored) -> FloatArray:
    pairs = np.concatenate(data) if len(data) else np.zeros((0, 2))
    if not len(pairs):
        raise ValueError("no answer has a confidence of this kind: nothing can be fitted")
    return pairs


def _named(name: str, data: Scored) -> str:
    digest = hashlib.sha256(np.concatenate(data).tobytes()).hexdigest()[:12]
    return f"{name}, {len(data)} questions x {max(map(len, data))} samples, sha256 {digest}"


def _map(
    kind: ConfidenceKind,
    knots: NDArray[np.float64],
    values: NDArray[np.float64],
    fitted_on: str,
    method: CalibratorName,
) -> ConfidenceMap:
    x, first = np.unique(knots, return_index=True)
    return ConfidenceMap(
        kind=kind,
        x=tuple(float(k) for k in x),
        y=tuple(float(v) for v in values[first]),
        fitted_on=fitted_on,
        method=method,
    )
