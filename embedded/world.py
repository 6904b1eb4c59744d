"""The world: three disjoint, endless streams of visual questions, each example made by its index.

>>> from catts.embedded.world import example
>>> example("test", 0).question
'How many ...?'
"""

import hashlib
import random
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from PIL import Image

from catts.embedded.ask import compose
from catts.embedded.drawing import cell_box
from catts.embedded.questions import FAMILIES, Ask, Family, Solution, solve
from catts.embedded.scene import GRADES, Grade, Scene, arrange

WORLD_VERSION = 1
"""Part of every seed: from the first release on, a change of the pictures changes this too."""

_SALT = {"train": "train", "validation": "validation", "test": "test/3"}
"""A stream's part of the seed. The third test stream: trial models were measured on the others."""

Stream = Literal["train", "validation", "test"]

BENCHMARK_SIZE = 2000
"""Questions of the benchmark `embedded`: the first ones of the test stream, in which the three
grades and the six families alternate evenly."""


@dataclass(frozen=True)
class Example:
    """One question of the world with everything known about it."""

    stream: Stream
    index: int
    grade: Grade
    ask: Ask
    scene: Scene
    solution: Solution

    @property
    def id(self) -> str:
        """`embedded/test/17`."""
        return f"embedded/{self.stream}/{self.index}"

    @property
    def question(self) -> str:
        """The question's text, without choices."""
        return self.ask.text

    @property
    def choices(self) -> tuple[str, ...]:
        """Texts of (A)-(D), empty for a free answer."""
        return self.ask.choices

    @property
    def family(self) -> Family:
        """The question's family."""
        return self.ask.family

    @property
    def answer(self) -> str:
        """The right answer; a letter for multiple choice."""
        return self.solution.answer

    @cached_property
    def image(self) -> Image.Image:
        """The clean picture, 112 x 112 RGB."""
        return self.scene.picture()

    @property
    def evidence(self) -> tuple[tuple[int, int, int, int], ...]:
        """Pixel boxes (left, top, right, bottom) of the key visual evidence; never empty."""
        return tuple(cell_box(cell) for cell in self.solution.evidence)


def example(
    stream: Stream, index: int, *, grade: Grade | None = None, family: Family | None = None
) -> Example:
    """The example of a stream at an index, the same on every machine.

    Args:
        stream: streams are seeded apart, so no picture of one appears in another.
        index: 0-based, without end.
        grade: overrides the grade that the index implies (they alternate).
        family: overrides the family that the index implies (they alternate).
    """
    if index < 0:
        raise ValueError(f"index {index} is negative; streams start at 0")
    rng = random.Random(_seed(stream, index, grade, family))
    grade = grade or GRADES[index % len(GRADES)]
    family = family or FAMILIES[index // len(GRADES) % len(FAMILIES)]
    ask, things = compose(family, rng)
    scene = arrange(things, grade, rng)
    return Example(stream, index, grade, ask, scene, solve(ask, things, rng))


def _seed(stream: Stream, index: int, grade: int | None, family: str | None) -> int:
    key = f"{WORLD_VERSION}/{_SALT[stream]}/{index}/{grade or ''}/{family or ''}"
    return int.from_bytes(hashlib.sha256(key.encode()).digest()[:8], "big")
