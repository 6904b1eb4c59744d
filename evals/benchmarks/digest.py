"""What a benchmark's questions are, as a hash: the same questions, the same number."""

import hashlib
from collections.abc import Sequence

from catts.evals.benchmarks.item import Item
from catts.images import image_digest


def data_digest(items: Sequence[Item]) -> str:
    """SHA-256 (hex) over what is asked and what is right; blocks while pictures are decoded."""
    digest = hashlib.sha256()
    for item in items:
        pictures = [image_digest(image) for image in item.load_images()]
        told = (item.id, item.question, item.choices, item.answer, pictures)
        digest.update(repr(told).encode())
    return digest.hexdigest()
