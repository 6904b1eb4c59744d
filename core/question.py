"""What is asked: the text, its choices, and references to its images."""

import hashlib

from pydantic import Field, field_validator

from catts.records import Record

MAX_CHOICES = 26
"""Choices are lettered (A) to (Z)."""


class Question(Record):
    """One visual question. It holds data only: images are digests into an `ImageStore`.

    Frozen and hashable, so it can sit in a checkpointed graph state and key a cache.
    """

    text: str = Field(min_length=1)
    """The question as the user wrote it, without its choices."""

    images: tuple[str, ...] = ()
    """SHA-256 digests (hex) of the images, in the order in which the question speaks of them."""

    choices: tuple[str, ...] = ()
    """Texts of a multiple-choice question, in order; choice 0 is (A). Empty for a free answer."""

    @field_validator("text", mode="before")  # or the length of an empty one is found wrong first
    @classmethod
    def _not_blank(cls, text: object) -> object:
        if isinstance(text, str) and not text.strip():
            raise ValueError("it is blank; write a question")
        return text

    @field_validator("choices")
    @classmethod
    def _lettered(cls, choices: tuple[str, ...]) -> tuple[str, ...]:
        if len(choices) > MAX_CHOICES:
            raise ValueError(
                f"there are {len(choices)} choices; a question may have up to {MAX_CHOICES}"
            )
        return choices

    @property
    def letters(self) -> tuple[str, ...]:
        """The labels of the choices: `("A", "B", ...)`, empty for a free answer."""
        return tuple(choice_letter(i) for i in range(len(self.choices)))

    @property
    def digest(self) -> str:
        """SHA-256 (hex) of the question's content; equal questions have equal digests."""
        return hashlib.sha256(self.model_dump_json().encode()).hexdigest()


def choice_letter(index: int) -> str:
    """Label of choice `index` (0-based): A, B, ... Z; raises ValueError beyond 26 choices."""
    if not 0 <= index < MAX_CHOICES:
        raise ValueError(
            f"choice {index} has no letter: questions may have up to {MAX_CHOICES} choices"
        )
    return chr(ord("A") + index)
