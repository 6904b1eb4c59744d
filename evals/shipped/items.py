"""The questions of a measurement: examples of the embedded world, ready to be asked."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from PIL.Image import Image

from catts.embedded.scene import Grade
from catts.embedded.world import Example, Stream, example
from catts.images import image_digest
from catts.perception.key_region import KeyRegion
from catts.perception.noise import add_noise, noise_seed
from catts.question import Question


@dataclass(frozen=True)
class Item:
    """One example as the engines take it."""

    example: Example

    @cached_property
    def question(self) -> Question:
        """The question, its image by digest."""
        return Question(
            text=self.example.question,
            images=(image_digest(self.example.image),),
            choices=self.example.choices,
        )

    def noised(self, t: int, *, key_region: bool) -> Image:
        """The picture at diffusion step `t`, noised in the evidence boxes or everywhere.

        The seed comes from the picture, so every measurement sees the same noise.
        """
        image = self.example.image
        seed = noise_seed(self.question.images[0], t)
        return add_noise(image, t, seed, self.example.evidence if key_region else None)

    def noised_in(self, t: int, region: KeyRegion | None) -> Image:
        """The picture at diffusion step `t`, noised in a key region or everywhere; same noise."""
        image = self.example.image
        seed = noise_seed(self.question.images[0], t)
        return add_noise(image, t, seed, None if region is None else region.mask(*image.size))


def load_items(stream: Stream, n: int, *, start: int = 0, grade: Grade | None = None) -> list[Item]:
    """`n` questions of a stream from index `start`; all of one grade, or all grades in turn."""
    return [Item(example(stream, start + i, grade=grade)) for i in range(n)]


def shuffled(items: Sequence[Item]) -> list[Image]:
    """For each question the picture of another one of the same family and grade.

    The honest blind baseline: the picture is of the right kind and says nothing of the answer. A
    question that is the only one of its kind gets any other's picture.

    Raises:
        ValueError: there are fewer than two questions.
    """
    if len(items) < 2:
        raise ValueError("a shuffled control needs at least two questions")
    kinds: dict[tuple[str, int], list[int]] = {}
    for i, item in enumerate(items):
        kinds.setdefault((item.example.family, item.example.grade), []).append(i)
    pictures = [items[i - 1].example.image for i in range(len(items))]
    for members in kinds.values():
        if len(members) > 1:
            shift = len(members) // 2
            for place, i in enumerate(members):
                other = members[(place + shift) % len(members)]
                pictures[i] = items[other].example.image
    return pictures
