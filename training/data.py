"""Training questions, each as two rows: with its picture, and with its key region noised."""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from datasets import Dataset
from PIL.Image import Image

from catts.errors import InputError
from catts.images import ImageSource, load_image
from catts.perception.key_region import KeyRegion
from catts.perception.noise import STEPS, Box, add_noise
from catts.prompts import PromptSet

KeyPlace = Sequence[Box] | KeyRegion | None
"""Where a picture is noised: boxes in pixels, patches with soft edges, or everywhere."""


@dataclass(frozen=True)
class TrainingRow:
    """One question with everything that its rewards need."""

    question: str
    image: Image
    answer: str
    choices: tuple[str, ...] = ()
    region: Sequence[Box] | None = None
    """The key region that the data know, in pixels."""
    twin: ImageSource | None = None
    """The noised picture, where it was made before; of the size of `image`."""


class Source(Protocol):
    """Training questions by index, always the same under one index."""

    @property
    def digest(self) -> str:
        """What tells these questions from others."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int) -> TrainingRow: ...


def own_region(row: TrainingRow) -> KeyPlace:
    """The region that comes with the data; everywhere where none does."""
    return row.region


@dataclass(frozen=True)
class Noise:
    """How twins are noised: a diffusion step drawn from `low` to `high`, by question, and where."""

    low: int = 400
    high: int = 999
    seed: int = 0
    where: Callable[[TrainingRow], KeyPlace] = own_region

    def __post_init__(self) -> None:
        """Check the steps.

        Raises:
            InputError: they are not 0 <= low <= high <= 1000.
        """
        if not 0 <= self.low <= self.high <= STEPS:
            raise InputError(
                f"noise_low {self.low}, noise_high {self.high}: diffusion steps go from 0 to "
                f"{STEPS}, the lower one first"
            )

    def __call__(self, row: TrainingRow, index: int) -> Image:
        """The noised picture of question `index`: the row's own, else made here."""
        if row.twin is not None:
            return load_image(row.twin)
        return self.noised(row.image, index, self.where(row))

    def step(self, index: int) -> int:
        """The diffusion step t of question `index`."""
        return self._drawn(index)[0]

    def noised(self, image: Image, index: int, place: KeyPlace) -> Image:
        """The picture of question `index`, noised at `place`."""
        t, seed = self._drawn(index)
        region = place.mask(*image.size) if isinstance(place, KeyRegion) else place
        return add_noise(image, t, seed, region)

    def _drawn(self, index: int) -> tuple[int, int]:
        rng = random.Random(f"{self.seed}/{index}")
        return rng.randint(self.low, self.high), rng.getrandbits(31)


def prompt_of(row: TrainingRow, prompts: PromptSet, plain: Callable[[str], str]) -> str:
    """The text that the base model is asked with, as engines ask it."""
    return plain(prompts.ask("answer", row.question, row.choices))


def twins(
    source: Source,
    prompts: PromptSet,
    plain: Callable[[str], str],
    noise: Noise,
    *,
    keep: int = 64,
) -> Dataset:
    """A dataset whose rows 2 i and 2 i + 1 are question i, clean and noised, made when asked for.

    Args:
        source: the questions.
        prompts: the base model's prompt set.
        plain: what keeps a question from spelling the model's special tokens.
        noise: of the twins.
        keep: questions whose rows are kept: a trainer asks for each as often as it is answered.
    """
    made = _Rows(source, prompts, plain, noise, keep)
    return Dataset.from_dict({"row": list(range(2 * len(source)))}).with_transform(made)


class _Rows:
    """Makes the rows of `twins`, and keeps the latest."""

    def __init__(
        self,
        source: Source,
        prompts: PromptSet,
        plain: Callable[[str], str],
        noise: Noise,
        keep: int,
    ) -> None:
        self._source, self._prompts, self._plain, self._noise = source, prompts, plain, noise
        self._most = 2 * keep
        self._kept: dict[int, dict[str, Any]] = {}

    def __call__(self, batch: dict[str, list[Any]]) -> dict[str, list[Any]]:
        columns: dict[str, list[Any]] = {}
        for place in batch["row"]:
            for name, value in self._fields(place).items():
                columns.setdefault(name, []).append(value)
        return columns

    def _fields(self, place: int) -> dict[str, Any]:
        fields = self._kept.pop(place, None)
        if fields is None:
            index, noised = divmod(place, 2)
            row = self._source[index]
            fields = {
                "prompt": [{"role": "user", "content": prompt_of(row, self._prompts, self._plain)}],
                "image": self._noise(row, index) if noised else row.image,
                "question": row.question,
                "choices": list(row.choices),
                "answer": row.answer,
            }
            while len(self._kept) >= self._most:
                del self._kept[next(iter(self._kept))]
        self._kept[place] = fields  # the latest last
        return fields
