"""Where an axis begins and ends, and the round numbers on it."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

_ROOM = 0.04
"""Of the range, left free on both sides."""


@dataclass(frozen=True)
class Axis:
    """From data to pixels."""

    low: float
    high: float
    begin: float
    """Pixel of `low`."""
    end: float
    """Pixel of `high`."""
    ticks: tuple[tuple[float, str], ...]
    """Value and label, ascending."""
    log2: bool = False

    @classmethod
    def over(cls, values: Sequence[float], begin: float, end: float, *, log2: bool = False) -> Self:
        """An axis that holds all values; at least one, all finite, for `log2` all positive."""
        if log2:
            return cls._doubling(values, begin, end)
        low, high = min(values), max(values)
        room = (high - low) * _ROOM or abs(high) * 0.1 or 1.0
        low, high = low - room, high + room
        step = _round_step((high - low) / 7)
        decimals = max(0, -math.floor(math.log10(step) + 1e-9))
        if round(step * 10**decimals) != round(step * 10**decimals, 6):
            decimals += 1  # 0.25 and its like
        first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
        marks = [round(n * step, decimals) for n in range(first, last + 1)]
        ticks = tuple((mark, _label(mark, decimals)) for mark in marks)
        return cls(low, high, begin, end, ticks)

    @classmethod
    def _doubling(cls, values: Sequence[float], begin: float, end: float) -> Self:
        low, high = math.log2(min(values)), math.log2(max(values))
        room = (high - low) * _ROOM or 1.0
        every = max(1, math.ceil((high - low) / 8))
        marks = range(math.ceil(low - 1e-9), math.floor(high + 1e-9) + 1, every)
        ticks = tuple((2.0**mark, f"{2.0**mark:g}") for mark in marks)
        return cls(low - room, high + room, begin, end, ticks, log2=True)

    def __call__(self, value: float) -> float:
        """Pixel of a value."""
        at = math.log2(value) if self.log2 else value
        return self.begin + (at - self.low) / (self.high - self.low) * (self.end - self.begin)


def _round_step(rough: float) -> float:
    """The next of 1, 2, 2.5, 5, 10 times a power of ten."""
    power = 10.0 ** math.floor(math.log10(rough))
    return next(power * m for m in (1.0, 2.0, 2.5, 5.0, 10.0) if power * m >= rough * (1 - 1e-9))


def _label(value: float, decimals: int) -> str:
    return f"{value + 0.0:,.{decimals}f}".replace("-", "−")
