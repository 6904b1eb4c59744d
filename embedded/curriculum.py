"""The endless, seeded stream of training batches that a recipe describes."""

import random
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from PIL.Image import Image
from torch import Tensor

from catts.embedded.batches import Encoded, collate, encode, patches
from catts.embedded.drawing import COLOURS, GRID, SHAPES, cell_box
from catts.embedded.lessons import Task, lesson
from catts.embedded.recipes import Recipe
from catts.embedded.scene import CELLS, Grade
from catts.embedded.world import Example, example
from catts.perception.noise import add_noise
from catts.prompts import PromptSet

_SORTED_TOGETHER = 8
"""Batches that are drawn at once and cut by length, so that little of a batch is padding."""

VISION_START = 1_000_000_000
"""Training-stream index at which the vision stage reads, far from the lessons' indices."""


class VisionBatch(NamedTuple):
    """Pictures and what stands in each of their cells."""

    pixels: Tensor
    """(B * patches, 588)."""
    labels: Tensor
    """(B * cells,): 0 is an empty cell, then shape * colours + colour + 1."""


class Curriculum:
    """Batches of a recipe by step: the same step gives the same batch, so a run can resume."""

    def __init__(self, recipe: Recipe, tokenizer: Any, prompts: PromptSet, seed: int) -> None:
        self._recipe = recipe
        self._tokenizer = tokenizer
        self._prompts = prompts
        self._seed = seed
        self._image_token = int(tokenizer.convert_tokens_to_ids("<|image_pad|>"))
        self._group = -1
        self._batches: list[list[Encoded]] = []

    def lessons(self, step: int) -> dict[str, Tensor]:
        """Model inputs of a step of the second stage."""
        group, within = divmod(step, _SORTED_TOGETHER)
        if group != self._group:
            self._group, self._batches = group, self._draw(group)
        return collate(self._batches[within], self._image_token)

    def vision(self, step: int) -> VisionBatch:
        """Pictures and cell labels of a step of the first stage."""
        size = self._recipe.vision_batch
        pixels, labels = [], []
        for index in range(step * size, (step + 1) * size):
            rng = self._rng("vision", index)
            picture = self._example(VISION_START + index, self._recipe.vision_grades, rng)
            pixels.append(patches(self._seen(picture, rng)))
            labels.append(_cell_labels(picture))
        return VisionBatch(
            torch.from_numpy(np.concatenate(pixels)), torch.from_numpy(np.concatenate(labels))
        )

    def _draw(self, group: int) -> list[list[Encoded]]:
        count = self._recipe.batch * _SORTED_TOGETHER
        rng = self._rng("group", group)
        only = self._only(group * _SORTED_TOGETHER)
        indices = range(group * count, (group + 1) * count)
        items = [self._encode(index, only) for index in indices]
        items.sort(key=lambda item: len(item.prompt) + len(item.completion))
        batches = [items[i : i + self._recipe.batch] for i in range(0, count, self._recipe.batch)]
        rng.shuffle(batches)
        return batches

    def _only(self, step: int) -> Task | None:
        """The one task of a step of the second stage; None when all are mixed."""
        if step < self._recipe.look_steps:
            return "look"
        return "answer" if step < self._recipe.look_steps + self._recipe.answer_steps else None

    def _encode(self, index: int, only: Task | None) -> Encoded:
        rng = self._rng("lesson", index)
        task = rng.choices(list(self._recipe.tasks), list(self._recipe.tasks.values()))[0]
        task = only or task
        shown = self._example(index, self._recipe.grades, rng)
        taught = lesson(task, shown, self._prompts, rng, slips=self._recipe.slips)
        image = self._seen(taught.example, rng)
        return encode(self._tokenizer, image, taught.prompt, taught.completion)

    def _example(self, index: int, grades: dict[Grade, float], rng: random.Random) -> Example:
        grade = rng.choices(list(grades), list(grades.values()))[0]
        return example("train", index, grade=grade)

    def _seen(self, taught: Example, rng: random.Random) -> Image:
        if rng.random() >= self._recipe.noised:
            return taught.image
        cells = rng.sample(CELLS, rng.randint(1, 6))
        boxes = [cell_box(cell) for cell in cells]
        return add_noise(taught.image, rng.randint(100, 900), rng.getrandbits(32), boxes)

    def _rng(self, *key: object) -> random.Random:
        return random.Random(f"{self._seed}/{self._recipe.name}/{'/'.join(map(str, key))}")


def _cell_labels(picture: Example) -> NDArray[np.int64]:
    labels = np.zeros(GRID * GRID, dtype=np.int64)
    for cell, (shape, colour) in picture.scene.things.items():
        labels[cell] = 1 + SHAPES.index(shape) * len(COLOURS) + COLOURS.index(colour)
    return labels


CELL_CLASSES = 1 + len(SHAPES) * len(COLOURS)
