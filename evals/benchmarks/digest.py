"""Digests of questions: of a whole data set, and of one, to tell which of them a card has seen."""

import hashlib
from collections.abc import Iterable, Sequence

from catts.agents.card import ModelCard
from catts.evals.benchmarks.item import Item
from catts.images import image_digest


def data_digest(items: Sequence[Item]) -> str:
    """SHA-256 (hex) over what is asked and what is right; blocks while pictures are decoded.

    Raises:
        ImageError: a picture is truncated or broken; the message names file and row.
    """
    digest = hashlib.sha256()
    for item in items:
        told = (item.id, item.question, item.choices, item.answer, _pictures(item))
        digest.update(repr(told).encode())
    return digest.hexdigest()


def question_digest(item: Item) -> str:
    """Twelve hex characters over what is asked: text, choices and the pictures' pixels.

    Neither the id nor the gold answer counts, so a question is known again in another split or
    file. Blocks while pictures are decoded.

    Raises:
        ImageError: a picture is truncated or broken; the message names file and row.
    """
    told = (item.question, item.choices, _pictures(item))
    return hashlib.sha256(repr(told).encode()).hexdigest()[:12]


def overlap(card: ModelCard, items: Iterable[Item]) -> int:
    """How many of the questions are among those on which the card's numbers were chosen.

    0 for a card without such a record. Blocks while pictures are decoded, which only a card with
    one asks for.

    Raises:
        ImageError: a picture is truncated or broken; the message names file and row.
    """
    if card.chosen_on is None:
        return 0
    known = set(card.chosen_on.questions)
    return sum(question_digest(item) in known for item in items)


def _pictures(item: Item) -> list[str]:
    return [image_digest(image) for image in item.load_images()]
