import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from catts.evals.shipped.items import load_items
from catts.evals.shipped.pointing import centre_prior, measure_pointing, overlap
from catts.evals.shipped.report import write_pointing
from catts.perception.clip import embedded_clip
from catts.perception.saliency import Saliency

GRIDS = st.tuples(st.integers(1, 9), st.integers(1, 9))


class Told:
    """A saliency whose maps are known: uniform over the evidence, or over everything else."""

    def __init__(self, items, grid, *, right: bool) -> None:
        self.clip = type("Clip", (), {"grid": grid, "aligned_patches": False})
        self._maps = {
            item.example.image.tobytes(): overlap(grid, (112, 112), item.example.evidence)
            for item in items
        }
        self._right = right

    def maps(self, images, texts):
        inside = [self._maps[image.tobytes()] for image in images]
        return [i if self._right else 1 - i for i in inside]


@given(GRIDS, st.integers(5, 60), st.integers(5, 60), st.data())
def test_the_overlap_is_the_area_of_the_boxes(grid, width, height, data) -> None:
    x0, x1 = sorted(data.draw(st.tuples(st.integers(0, width), st.integers(0, width))))
    y0, y1 = sorted(data.draw(st.tuples(st.integers(0, height), st.integers(0, height))))
    share = overlap(grid, (width, height), [(x0, y0, x1, y1)])
    assert share.min() >= 0
    assert share.max() <= 1 + 1e-9
    patch = width * height / (grid[0] * grid[1])
    assert share.sum() * patch == pytest.approx((x1 - x0) * (y1 - y0), abs=1e-6)


def test_the_centre_prior_is_a_distribution_with_its_peak_in_the_middle() -> None:
    prior = centre_prior((5, 7))
    assert prior.sum() == pytest.approx(1)
    assert np.unravel_index(prior.argmax(), prior.shape) == (2, 3)


@pytest.mark.parametrize("right", [True, False])
def test_a_map_of_the_evidence_scores_one_and_of_the_rest_nothing(right, tmp_path) -> None:
    items = load_items("test", 36)
    rows = measure_pointing(Told(items, (8, 8), right=right), items, quiet=True)
    found = {(r.group, r.measure): r.value for r in rows}
    area = np.mean([overlap((8, 8), (112, 112), i.example.evidence).mean() for i in items])
    for group in ("pointing game", "mass inside the evidence"):
        assert found[group, "saliency"] == pytest.approx(float(right))
        assert found[group, "uniform"] == pytest.approx(area)
        assert found[group, "choice"] == pytest.approx(float(right))
    half = "key region, 50% of the saliency"
    if right:
        assert found[half, "share of the evidence covered"] >= 0.5
        assert found[half, "share of the picture covered"] < area
    else:
        assert found[half, "share of the evidence covered"] == 0
    record = write_pointing(rows, tmp_path, tmp_path / "out", n=36)
    assert record["n"] == 36
    written = {p.name for p in (tmp_path / "out").iterdir()}
    assert written == {"saliency.json", "saliency.md"}, "a card only where there is a recipe"


@pytest.mark.models
def test_the_shipped_clip_finds_the_evidence_and_is_small() -> None:
    folder = embedded_clip()
    assert sum(path.stat().st_size for path in folder.iterdir()) < 12_000_000
    items = load_items("test", 72, start=100_000)
    rows = measure_pointing(Saliency.load("embedded", device="cpu"), items, quiet=True)
    found = {(r.group, r.measure): r for r in rows}
    assert found["pointing game", "saliency"].value > 0.85
    assert found["mass inside the evidence", "saliency"].value > 0.8
    assert found["pointing game", "attention roll-out"].value > 0.65
    # so few questions do not tell the two ways of looking apart
    judged = [r for r in rows if r.met is not None and not r.measure.endswith("roll-out")]
    assert all(row.met for row in judged)
