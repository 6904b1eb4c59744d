"""A study's curves as SVG: lines with their intervals, every number under the pointer."""

import math
from collections.abc import Iterator, Mapping, Sequence

from catts.evals.pages.axis import Axis
from catts.evals.pages.text import escape, number, short
from catts.evals.studies.result import Estimate, StudyResult

Points = Sequence[tuple[float, Estimate]]

COLOURS = 6
"""Series that a colour tells apart; the page's style names them s0 to s5."""

_WIDTH, _HEIGHT = 560, 340
_LEFT, _RIGHT, _TOP, _BOTTOM = 62, 14, 12, 48
_MARKS = (
    '<circle r="3.6"/>',
    '<rect x="-3.3" y="-3.3" width="6.6" height="6.6"/>',
    '<path d="M0-4.4 4.2 3.2-4.2 3.2Z"/>',
    '<path d="M0-4.8 4.8 0 0 4.8-4.8 0Z"/>',
    '<path d="M0 4.4 4.2-3.2-4.2-3.2Z"/>',
    '<path d="M-3.4-3.4 3.4 3.4M3.4-3.4-3.4 3.4" class="cross"/>',
)
"""Shapes of the points, so that colour is never all that tells two series apart."""


def figures(result: StudyResult) -> Iterator[str]:
    """A figure for each panel; a name `panel: curve` puts a curve into a panel."""
    panels: dict[str, dict[str, Points]] = {}
    for name, points in result.curves.items():
        panel, _, curve = name.rpartition(": ")
        if shown := [(x, y) for x, y in points if _can_stand(x, y, log2=result.log_x)]:
            panels.setdefault(panel, {})[curve] = shown
    for panel, curves in panels.items():
        caption = f"<figcaption>{escape(panel)}</figcaption>" if panel else ""
        yield (
            f'<figure class="plot">{caption}{_legend(curves)}'
            f"{_drawing(panel or result.title, curves, result.axes, log2=result.log_x)}</figure>"
        )


def _can_stand(x: float, y: Estimate, *, log2: bool) -> bool:
    return math.isfinite(x) and math.isfinite(y.value) and (x > 0 or not log2)


def _legend(curves: Mapping[str, Points]) -> str:
    entries = (
        f'<li><svg class="key {_style(i)}" viewBox="-14 -7 28 14" aria-hidden="true">'
        f'<path class="line" d="M-13 0H13"/><g class="mark">{_MARKS[i % COLOURS]}</g></svg>'
        f"{escape(name)}</li>"
        for i, name in enumerate(curves)
    )
    return f'<ul class="legend">{"".join(entries)}</ul>'


def _drawing(
    title: str, curves: Mapping[str, Points], labels: tuple[str, str], *, log2: bool
) -> str:
    points = [point for curve in curves.values() for point in curve]
    x = Axis.over([x for x, _ in points], _LEFT, _WIDTH - _RIGHT, log2=log2)
    ends = [end for _, y in points for end in (y.low, y.high, y.value) if math.isfinite(end)]
    y = Axis.over(ends, _HEIGHT - _BOTTOM, _TOP)
    parts = [*_frame(x, y, labels)]
    parts += (_band(curve, x, y, _style(i)) for i, curve in enumerate(curves.values()))
    parts += (_line(name, c, x, y, i) for i, (name, c) in enumerate(curves.items()))
    return (
        f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="{escape(title)}">'
        f"{''.join(parts)}</svg>"
    )


def _frame(x: Axis, y: Axis, labels: tuple[str, str]) -> Iterator[str]:
    bottom, right = _HEIGHT - _BOTTOM, _WIDTH - _RIGHT
    for value, label in y.ticks:
        at = _px(y(value))
        yield f'<path class="grid" d="M{_LEFT} {at}H{right}"/>'
        place = f'x="{_LEFT - 8}" y="{at}" dy=".32em" text-anchor="end"'
        yield f'<text class="tick" {place}>{label}</text>'
    for value, label in x.ticks:
        at = _px(x(value))
        yield f'<path class="axis" d="M{at} {bottom}v4"/>'
        yield f'<text class="tick" x="{at}" y="{bottom + 18}" text-anchor="middle">{label}</text>'
    yield f'<path class="axis" d="M{_LEFT} {bottom}H{right}"/>'
    across, down = (escape(label) for label in labels)
    place = f'x="{_px((_LEFT + right) / 2)}" y="{_HEIGHT - 8}"'
    yield f'<text class="label" {place} text-anchor="middle">{across}</text>'
    place = f'transform="translate(15 {_px((_TOP + bottom) / 2)}) rotate(-90)"'
    yield f'<text class="label" {place} text-anchor="middle">{down}</text>'


def _band(points: Points, x: Axis, y: Axis, style: str) -> str:
    """The intervals: a band between points, a bar at a point that stands alone."""
    held = [(at, e) for at, e in points if math.isfinite(e.low) and math.isfinite(e.high)]
    if not held:
        return ""
    if len(held) == 1:
        at, e = held[0]
        return f'<path class="bar {style}" d="M{_px(x(at))} {_px(y(e.low))}V{_px(y(e.high))}"/>'
    upper = [f"{_px(x(at))} {_px(y(e.high))}" for at, e in held]
    lower = [f"{_px(x(at))} {_px(y(e.low))}" for at, e in reversed(held)]
    return f'<path class="band {style}" d="M{"L".join(upper + lower)}Z"/>'


def _line(name: str, points: Points, x: Axis, y: Axis, index: int) -> str:
    places = [(_px(x(at)), _px(y(e.value))) for at, e in points]
    way = "L".join(f"{across} {down}" for across, down in places)
    marks = (
        f'<g class="point" transform="translate({across} {down})">'
        f"<title>{_told(name, at, e)}</title>"
        f'<circle class="reach" r="10"/><g class="mark">{_MARKS[index % COLOURS]}</g></g>'
        for (across, down), (at, e) in zip(places, points, strict=True)
    )
    return f'<g class="{_style(index)}"><path class="line" d="M{way}"/>{"".join(marks)}</g>'


def _told(name: str, at: float, e: Estimate) -> str:
    interval = f"({number(e.low)} to {number(e.high)})"
    return f"{escape(name)} at {short(at)}: {number(e.value)} {interval}"


def _style(index: int) -> str:
    dashed = " dashed" if index // COLOURS % 2 else ""
    return f"s{index % COLOURS}{dashed}"


def _px(value: float) -> str:
    return f"{value:.1f}"
