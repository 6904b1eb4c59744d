"""Scenes: what stands where, how hard it is to see, and how a reader may misread it."""

import random
from dataclasses import dataclass
from typing import Literal, get_args

from PIL import Image

from catts.embedded.drawing import CELL, COLOURS, GRID, SHAPES, SIDE, Colour, Look, Shape, draw

Grade = Literal[1, 2, 3]
"""Perceptual difficulty: 1 clear, 2 dim, 3 hard to make out."""
GRADES: tuple[Grade, ...] = get_args(Grade)

Thing = tuple[Shape, Colour]
Things = dict[int, Thing]
"""Cell index to what stands in it."""

LOOKALIKE: dict[Shape, Shape] = {
    "circle": "hexagon",
    "hexagon": "circle",
    "square": "diamond",
    "diamond": "square",
    "triangle": "star",
    "star": "triangle",
}
"""The shape that each is most easily taken for."""


def neighbours(colour: Colour) -> tuple[Colour, Colour]:
    """The two colours that a colour is most easily taken for, on the colour circle."""
    i = COLOURS.index(colour)
    return COLOURS[i - 1], COLOURS[(i + 1) % len(COLOURS)]


@dataclass(frozen=True, slots=True)
class Range:
    """Bounds of a uniform draw."""

    low: float
    high: float

    def draw(self, rng: random.Random) -> float:
        """One number of the range."""
        return rng.uniform(self.low, self.high)


@dataclass(frozen=True, slots=True)
class Difficulty:
    """What a grade draws its objects' looks from; units as in `Look`."""

    radius: Range
    contrast: Range
    softness: Range
    tint: float
    """Standard deviation of the tint."""
    covered: float
    """Probability that an object is partly covered."""
    specks: int
    """Most distracting dots on the board."""


DIFFICULTY: dict[Grade, Difficulty] = {
    1: Difficulty(Range(9, 12), Range(0.85, 1.0), Range(0.5, 0.8), 6, 0.0, 0),
    2: Difficulty(Range(7.5, 10), Range(0.5, 0.8), Range(0.7, 1.4), 8, 0.15, 3),
    3: Difficulty(Range(6, 8), Range(0.35, 0.55), Range(1, 2), 8, 0.3, 6),
}


@dataclass(frozen=True, slots=True)
class Scene:
    """Everything that decides a picture."""

    things: Things
    looks: dict[int, Look]
    background: float
    specks: tuple[tuple[float, float, float, float], ...]

    def picture(self) -> Image.Image:
        """The picture, 112 x 112 RGB."""
        objects = {c: (*thing, self.looks[c]) for c, thing in self.things.items()}
        return draw(objects, self.background, list(self.specks))


def arrange(things: Things, grade: Grade, rng: random.Random) -> Scene:
    """Give each thing a look of the grade."""
    level = DIFFICULTY[grade]
    background = rng.uniform(222, 252)
    looks = {cell: _look(level, rng) for cell in sorted(things)}
    specks = tuple(
        (rng.uniform(2, SIDE - 2), rng.uniform(2, SIDE - 2), rng.uniform(0.7, 1.8),
         background - rng.uniform(15, 70))
        for _ in range(rng.randint(level.specks // 2, level.specks))
    )  # fmt: skip
    return Scene(things, looks, background, specks)


def misread(things: Things, rate: float, rng: random.Random) -> Things:
    """What a careless reader might see: each thing is mistaken with probability `rate`.

    A mistake is a look-alike shape, a neighbouring colour, or (rarely) an overlooked thing.
    """
    seen: Things = {}
    for cell, (shape, colour) in sorted(things.items()):
        if rng.random() >= rate:
            seen[cell] = (shape, colour)
            continue
        kind = rng.random()
        if kind < 0.45:
            seen[cell] = (LOOKALIKE[shape], colour)
        elif kind < 0.9:
            seen[cell] = (shape, rng.choice(neighbours(colour)))
        elif kind < 0.95:
            seen[cell] = (rng.choice(SHAPES), rng.choice(COLOURS))
    return seen


def _look(level: Difficulty, rng: random.Random) -> Look:
    radius = level.radius.draw(rng)
    slack = CELL / 2 - radius
    return Look(
        radius=radius,
        contrast=level.contrast.draw(rng),
        softness=level.softness.draw(rng),
        dx=rng.uniform(-1, 1) * min(2.5, slack),
        dy=rng.uniform(-1, 1) * min(2.5, slack),
        tint=(rng.gauss(0, level.tint), rng.gauss(0, level.tint), rng.gauss(0, level.tint)),
        cover=rng.uniform(0.15, 0.4) if rng.random() < level.covered else 0.0,
        cover_angle=rng.uniform(0, 6.283185307),
    )


CELLS = tuple(range(GRID * GRID))
