import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image
from pydantic import ValidationError

from catts.perception.key_region import EDGE, KeyRegion, key_region
from catts.perception.noise import add_noise

MAPS = arrays(
    np.float32, st.tuples(st.integers(1, 6), st.integers(1, 6)), elements=st.integers(0, 9)
).filter(lambda m: m.sum() > 0)
SHARES = st.floats(0, 1)


@given(MAPS, SHARES)
def test_it_holds_the_share_and_one_patch_less_does_not(saliency, share) -> None:
    region = key_region(saliency, share)
    held = saliency.ravel()[list(region.patches)]
    total = saliency.sum(dtype=np.float64)
    assert held.sum() / total >= share - 1e-9
    if region.patches:
        assert (held.sum() - held.min()) / total < share


@given(MAPS, SHARES)
def test_no_other_patch_is_more_salient(saliency, share) -> None:
    region = key_region(saliency, share)
    inside = np.zeros(saliency.size, dtype=bool)
    inside[list(region.patches)] = True
    flat = saliency.ravel()
    if inside.any() and not inside.all():
        assert flat[inside].min() >= flat[~inside].max()
    assert region.covered == pytest.approx(inside.mean())


@given(MAPS, SHARES, st.integers(2, 9))
def test_the_scale_of_a_map_does_not_matter(saliency, share, factor) -> None:
    assert key_region(saliency * 2.0**factor, share) == key_region(saliency, share)


@given(MAPS, SHARES, SHARES)
def test_regions_are_nested(saliency, one, other) -> None:
    small, large = (set(key_region(saliency, s).patches) for s in sorted((one, other)))
    assert small <= large


def test_no_share_is_no_patch_and_all_of_it_leaves_out_only_what_has_none() -> None:
    saliency = np.array([[0.5, 0.0], [0.2, 0.3]])
    assert key_region(saliency, 0).patches == ()
    assert key_region(saliency, 1).patches == (0, 2, 3)


@given(MAPS, SHARES, st.integers(6, 40), st.integers(6, 40))
def test_the_mask_is_one_in_the_patches_and_soft_around(saliency, share, width, height) -> None:
    region = key_region(saliency, share)
    mask = region.mask(width, height)
    assert mask.shape == (height, width)
    assert mask.min() >= 0
    assert mask.max() <= 1
    rows, columns = region.grid
    for patch in region.patches:
        row, column = divmod(patch, columns)
        y, x = (row + 0.5) * height / rows, (column + 0.5) * width / columns
        assert mask[int(y), int(x)] == 1
    add_noise(Image.new("RGB", (width, height)), 500, 0, mask)


def test_the_edge_of_a_patch_is_half_a_patch_wide_and_linear() -> None:
    mask = KeyRegion(grid=(5, 5), patches=(12,)).mask(100, 100)
    assert (mask[40:60, 40:60] == 1).all()
    along = mask[50, 60:75]
    assert along[:10] == pytest.approx(1 - (np.arange(10) + 0.5) / (EDGE * 20))
    assert (along[10:] == 0).all()
    assert mask[62, 62] == pytest.approx(mask[50, 62] * mask[62, 50])
    assert (mask == mask.T).all()


def test_a_region_survives_being_stored() -> None:
    region = KeyRegion(grid=(2, 3), patches=(0, 5))
    assert KeyRegion.model_validate_json(region.model_dump_json()) == region
    assert region.heat() is None
    looked = region.with_saliency(np.array([[3.0, 0, 0], [0, 0, 1]]))
    assert KeyRegion.model_validate_json(looked.model_dump_json()) == looked
    np.testing.assert_allclose(looked.heat(), [[0.75, 0, 0], [0, 0, 0.25]])
    with pytest.raises(ValueError, match="has 6 shares of the saliency"):
        KeyRegion(grid=(2, 3), patches=(0, 5), saliency=(0.5, 0.5))


@pytest.mark.parametrize("patches", [(6,), (-1,), (1, 0), (1, 1)])
def test_patches_that_are_not_there_or_not_in_order_are_refused(patches) -> None:
    with pytest.raises(ValidationError):
        KeyRegion(grid=(2, 3), patches=patches)


@pytest.mark.parametrize("share", [-0.1, 1.1, float("nan")])
def test_a_share_lies_between_nothing_and_all(share) -> None:
    with pytest.raises(ValueError, match="from 0 to 1"):
        key_region(np.ones((2, 2)), share)


@pytest.mark.parametrize(
    "saliency", [np.zeros((2, 2)), -np.ones((2, 2)), np.ones(4), np.full((2, 2), np.nan)]
)
def test_a_map_of_nothing_is_refused(saliency) -> None:
    with pytest.raises(ValueError, match="saliency map"):
        key_region(saliency, 0.5)
