"""Training questions, each as two rows: with its picture, and with its key region noised."""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from datasets import Dataset
from PIL.Image import Image

from catts.perception.noise import Box, add_noise
from catts.prompts import PromptSet, format_choices


@dataclass(frozen=True)
class TrainingRow:
    """One question with everything that its rewards need."""

    question: str
    image: Image
    answer: str
    choices: tuple[str, ...] = ()
    region: Sequence[Box] | None = None
    """The key region, in pixels; None noises the whole picture."""


class Source(Protocol):
    """Training questions by index, always the same under one index."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int) -> TrainingRow: ...


@dataclass(frozen=True)
class Noise:
    """How twins are noised: a diffusion step drawn from `low` to `high`, by question."""

    low: int = 400
    high: int = 999
    seed: int = 0

    def __call__(self, row: TrainingRow, index: int) -> Image:
        """The noised picture of question `index`."""
        rng = random.Random(f"{self.seed}/{index}")
        t = rng.randint(self.low, self.high)
        return add_noise(row.image, t, rng.getrandbits(31), row.region)


def prompt_of(row: TrainingRow, prompts: PromptSet, plain: Callable[[str], str]) -> str:
    """The text that the base model is asked with, as engines ask it."""
    choices = format_choices(row.choices)
    return plain(prompts.render("answer", question=row.question, choices=choices))


def twins(source: Source, prompts: PromptSet, plain: Callable[[str], str], noise: Noise) -> Dataset:
    """A dataset whose rows 2 i and 2 i + 1 are question i, clean and noised, made when asked for.

    Args:
        source: the questions.
        prompts: the base model's prompt set.
        plain: what keeps a question from spelling the model's special tokens.
        noise: of the twins.
    """

    def rows(batch: dict[str, list[Any]]) -> dict[str, list[Any]]:
        columns: dict[str, list[Any]] = {}
        for place in batch["row"]:
            index, noised = divmod(place, 2)
            row = source[index]
            fields = {
                "prompt": [{"role": "user", "content": prompt_of(row, prompts, plain)}],
                "image": noise(row, index) if noised else row.image,
                "question": row.question,
                "choices": list(row.choices),
                "answer": row.answer,
            }
            for name, value in fields.items():
                columns.setdefault(name, []).append(value)
        return columns

    return Dataset.from_dict({"row": list(range(2 * len(source)))}).with_transform(rows)
