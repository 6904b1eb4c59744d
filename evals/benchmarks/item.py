"""One question of a benchmark, with everything that asking and grading it needs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal

from PIL import Image

from catts.errors import ImageError
from catts.images import ImageSource, load_image
from catts.perception.noise import Box
from catts.question import Question

QuestionType = Literal["multiple-choice", "free-form"]

Json = None | bool | int | float | str | Sequence["Json"] | Mapping[str, "Json"]
"""What a distributed row holds besides pictures."""


@dataclass(frozen=True)
class Item:
    """A question as it is asked, its gold answer, and what its official grader looks at."""

    id: str
    """The benchmark's own id; unique in its split, so that a run can be resumed by it."""
    question: str
    """The text as it is asked, without its choices where they can be told apart."""
    choices: tuple[str, ...]
    """Texts of (A), (B), ... in order; empty for a free answer."""
    images: tuple[ImageSource, ...]
    """Paths or encoded bytes, not decoded yet; in the order in which the question shows them."""
    answer: str | None
    """The gold answer as distributed, None where the split has no labels."""
    question_type: QuestionType
    answer_letter: str | None = None
    """Letter of the right choice; benchmarks write their gold as a letter or as a text."""
    groups: Mapping[str, str] = field(default_factory=dict)
    """Category, subject, level and the like: what tables by group divide by."""
    fields: Mapping[str, Json] = field(default_factory=dict)
    """What the official grader or the official prompt needs: precision, unit, query, ..."""
    evidence: tuple[Box, ...] = ()
    """Boxes of the key visual evidence in the first image; empty where nobody knows them."""
    origin: str = ""
    """File and row that the item was read from, for messages."""

    def load_images(self) -> tuple[Image.Image, ...]:
        """Decode the images, each as upright RGB (see `catts.images.load_image`).

        Raises:
            ImageError: one of them is truncated or broken; the message names file and row.
        """
        loaded = []
        for number, source in enumerate(self.images, start=1):
            try:
                loaded.append(load_image(source))
            except ImageError as error:
                raise ImageError(f"{self.origin or self.id}, image {number}: {error}") from error
        return tuple(loaded)

    @cached_property
    def text_question(self) -> Question:
        """The question without its images, as reading and comparing answers need it."""
        return Question(text=self.question, choices=self.choices)
