"""The fitted mapping, the paper's weight, and what they refuse."""

import math

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from catts.calibration import ConfidenceMap, raw_weight
from catts.confidence import CONFIDENCE_KINDS

MAP = ConfidenceMap(
    kind="top_k_mean", x=(1.0, 2.0, 4.0), y=(0.2, 0.4, 1.0), fitted_on="hand-made, 3 points"
)
maps = (
    st.lists(
        st.tuples(st.floats(-100, 100), st.floats(0, 1)),
        min_size=1,
        max_size=8,
        unique_by=lambda knot: knot[0],
    )
    .map(lambda knots: (sorted(x for x, _ in knots), sorted(y for _, y in knots)))
    .map(lambda xy: ConfidenceMap(kind="top_k_mean", x=tuple(xy[0]), y=tuple(xy[1]), fitted_on="h"))
)


@pytest.mark.parametrize(
    ("confidence", "probability"),
    [(-9, 0.2), (1, 0.2), (1.5, 0.3), (2, 0.4), (3, 0.7), (4, 1.0), (99, 1.0), (math.inf, 1.0)],
)
def test_linear_between_knots_and_constant_outside(confidence: float, probability: float) -> None:
    assert MAP(confidence) == pytest.approx(probability)


def test_one_knot_is_a_constant() -> None:
    flat = ConfidenceMap(kind="mean_logprob", x=(0.0,), y=(0.3,), fitted_on="one")
    assert {flat(-1.0), flat(0.0), flat(1.0)} == {0.3}


@settings(deadline=None)
@given(maps, st.floats(-200, 200), st.floats(-200, 200))
def test_more_confidence_never_maps_to_less(fitted: ConfidenceMap, a: float, b: float) -> None:
    low, high = fitted(min(a, b)), fitted(max(a, b))
    assert 0 <= low <= high + 1e-12
    assert high <= 1 + 1e-12


NEIGHBOURS = ConfidenceMap(kind="top_k_mean", x=(0.0, 5e-324), y=(0.0, 0.5), fitted_on="h")
"""Knots so close that a product with their distance is 0."""


@settings(deadline=None)
@given(maps)
@example(NEIGHBOURS)
def test_knots_are_met_and_records_survive_json(fitted: ConfidenceMap) -> None:
    assert [fitted(x) for x in fitted.x] == pytest.approx(list(fitted.y))
    assert ConfidenceMap.model_validate_json(fitted.model_dump_json()) == fitted


@pytest.mark.parametrize(
    ("x", "y"),
    [
        ((), ()),
        ((1.0, 2.0), (0.5,)),
        ((2.0, 1.0), (0.1, 0.2)),
        ((1.0, 1.0), (0.1, 0.2)),
        ((1.0, 2.0), (0.2, 0.1)),
        ((1.0, 2.0), (0.2, 1.1)),
        ((1.0,), (-0.1,)),
        ((math.inf,), (0.5,)),
        ((math.nan,), (0.5,)),
        ((1.0,), (math.nan,)),
    ],
)
def test_what_is_no_mapping_is_refused(x: tuple[float, ...], y: tuple[float, ...]) -> None:
    with pytest.raises(ValidationError):
        ConfidenceMap(kind="top_k_mean", x=x, y=y, fitted_on="nothing")


def test_the_papers_weight_is_the_confidence_itself() -> None:
    assert raw_weight(3.25, "top_k_mean") == 3.25
    assert raw_weight(-0.5, "top_k_min_window") == 0.0
    assert raw_weight(math.log(0.25), "answer_logprob") == pytest.approx(0.25)


@settings(deadline=None)
@given(st.sampled_from(CONFIDENCE_KINDS), st.floats(-50, 50), st.floats(-50, 50))
def test_weights_are_non_negative_and_grow(kind: str, a: float, b: float) -> None:
    low, high = raw_weight(min(a, b), kind), raw_weight(max(a, b), kind)  # type: ignore[arg-type]
    assert 0 <= low <= high
