"""The numbers that depend on a model: the paper's by default, their ranges, and what they weigh."""

import math

import pytest
from pydantic import ValidationError

from catts.calibration import ConfidenceMap
from catts.tuning import Tuning

FITTED = ConfidenceMap(kind="top_k_mean", x=(0.0, 4.0), y=(0.0, 1.0), fitted_on="test")


def test_without_a_card_the_numbers_are_these() -> None:
    assert Tuning().model_dump() == {
        "max_new_tokens": 512,
        "confidence_kind": "top_k_mean",
        "vote_weight": "raw",
        "confidence_map": None,
        "noise_t": 500,
        "region": "whole",
        "region_share": 0.9,
        "contrast_alpha": 1.0,
        "contrast_beta": 0.1,
        "accept": 0.9,
        "reflect_below": None,
    }


@pytest.mark.parametrize(
    ("name", "allowed", "refused"),
    [
        ("max_new_tokens", (1, 10_000), (0, -1)),
        ("noise_t", (0, 1000), (-1, 1001)),
        ("region", ("whole", "saliency"), ("box",)),
        ("region_share", (0.1, 1.0), (0.0, 1.1)),
        ("contrast_alpha", (0.0, 3.0), (-0.01,)),
        ("contrast_beta", (0.0, 1.0), (-0.01, 1.01)),
        ("accept", (0.0, math.inf), (-0.01,)),
        ("reflect_below", (0.0, 1.0, None), (-0.01,)),
    ],
)
def test_ranges(name: str, allowed: tuple[object, ...], refused: tuple[object, ...]) -> None:
    for value in allowed:
        assert getattr(Tuning(confidence_map=FITTED, **{name: value}), name) == value
    for value in refused:
        with pytest.raises(ValidationError, match=name):
            Tuning(confidence_map=FITTED, **{name: value})


def test_a_mapping_weighs_the_votes_only_where_it_is_told_to() -> None:
    raw, mapped = (Tuning(confidence_map=FITTED, vote_weight=w) for w in ("raw", "mapped"))
    assert (raw.weight(3.0), mapped.weight(3.0)) == (3.0, 0.75)
    assert raw.certainty(3.0) == mapped.certainty(3.0) == 0.75
    assert Tuning().weight(3.0) == 3.0
    assert Tuning().certainty(3.0) is None
    logprob = Tuning(confidence_kind="mean_logprob")
    assert logprob.weight(-1.0) == pytest.approx(math.exp(-1))


def test_what_cannot_work_together_is_refused_with_what_to_do() -> None:
    with pytest.raises(ValidationError, match="fitted on top_k_mean, not on min_logprob; give"):
        Tuning(confidence_kind="min_logprob", confidence_map=FITTED)
    with pytest.raises(ValidationError, match="needs a confidence_map; fit one, or use 'raw'"):
        Tuning(vote_weight="mapped")
    with pytest.raises(ValidationError, match="needs a confidence_map; fit one, or leave"):
        Tuning(reflect_below=0.5)
