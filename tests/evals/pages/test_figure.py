import math
import re
import xml.etree.ElementTree as ElementTree

import pytest

from catts.evals.pages.axis import Axis
from catts.evals.pages.figure import figures
from catts.evals.studies.result import Estimate


@pytest.mark.parametrize(
    ("values", "ticks"),
    [
        ((0, 1), ["0.0", "0.2", "0.4", "0.6", "0.8", "1.0"]),
        ((0.75, 1.0), ["0.75", "0.80", "0.85", "0.90", "0.95", "1.00"]),
        ((-2, 1), ["−2.0", "−1.5", "−1.0", "−0.5", "0.0", "0.5", "1.0"]),
        ((0, 15), ["0.0", "2.5", "5.0", "7.5", "10.0", "12.5", "15.0"]),
        ((0, 4000), ["0", "1,000", "2,000", "3,000", "4,000"]),
    ],
)
def test_an_axis_has_round_numbers(values, ticks):
    assert [label for _, label in Axis.over(values, 0, 100).ticks] == ticks


@pytest.mark.parametrize("values", [(0.0,), (3.0, 3.0), (-1e-9, 1e-9), (1e9, 3e9)])
def test_an_axis_holds_all_its_values(values):
    axis = Axis.over(values, 10, 90)
    assert all(10 < axis(value) < 90 for value in values)
    assert axis.ticks


def test_an_axis_of_doublings():
    axis = Axis.over((1, 2, 4, 32), 0, 100, log2=True)
    assert [label for _, label in axis.ticks] == ["1", "2", "4", "8", "16", "32"]
    assert axis(2) - axis(1) == pytest.approx(axis(32) - axis(16))


def _parsed(figure: str) -> ElementTree.Element:
    return ElementTree.fromstring(figure)  # noqa: S314


def test_curves_are_drawn_with_bands_names_and_numbers(study):
    (figure,) = figures(study())
    root = _parsed(figure)
    assert [item.text or "".join(item.itertext()) for item in root.iter("li")] == [
        "CA-TTS",
        "majority",
    ]
    titles = [title.text for title in root.iter("title")]
    assert "CA-TTS at 8: 0.900 (0.800 to 1.000)" in titles
    assert len(titles) == 3
    classes = [path.get("class") for path in root.iter("path")]
    assert "band s0" in classes
    assert "bar s1" in classes  # a point that stands alone
    texts = {text.text for text in root.iter("text")}
    assert {"samples n", "accuracy"} <= texts


def test_a_band_lies_where_the_intervals_do(study):
    (figure,) = figures(study())
    band = re.search(r'band s0" d="M([^"]+)Z', figure)
    line = re.search(r'<g class="s0"><path class="line" d="M([^"]+)"', figure)
    assert band and line
    upper = [float(place.split()[1]) for place in band[1].split("L")[:2]]
    lower = [float(place.split()[1]) for place in band[1].split("L")[2:]][::-1]
    middle = [float(place.split()[1]) for place in line[1].split("L")]
    for top, value, bottom in zip(upper, middle, lower, strict=True):
        assert top < value < bottom  # pixels grow downwards


def test_a_panel_for_each_name_before_the_colon(study):
    point = ((1.0, Estimate(value=1, low=0, high=2)),)
    curves = {"left: a": point, "left: b": point, "right: a": point}
    assert len(list(figures(study(curves=curves)))) == 2


def test_points_that_are_no_numbers_are_left_out(study):
    nan = Estimate(value=math.nan, low=math.nan, high=math.nan)
    bare = Estimate(value=0.5, low=math.nan, high=math.nan)
    (figure,) = figures(study(curves={"a": ((1.0, nan), (2.0, bare))}))
    assert "nan" not in figure.lower().replace("not a number", "")
    assert len(list(_parsed(figure).iter("title"))) == 1
    assert not list(figures(study(curves={"a": ((1.0, nan),)})))
    assert not list(figures(study(curves={"a": ((0.0, bare),)}, log_x=True)))
