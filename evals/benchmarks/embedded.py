"""The package's own drawn world as a benchmark: endless, disjoint streams with evidence boxes."""

import io

from catts.embedded.world import BENCHMARK_SIZE, Stream, example
from catts.evals.benchmarks.item import Item
from catts.evals.benchmarks.loading import Loaded


def load_embedded(stream: Stream = "test", n: int = BENCHMARK_SIZE, *, start: int = 0) -> Loaded:
    """`n` questions of a stream from index `start`; groups: grade, family.

    The benchmark `embedded` is the default: the first 2,000 of the test stream. Pictures are drawn
    here, about a millisecond and 2 kB each.

    Raises:
        ValueError: `n` or `start` is negative.
    """
    if n < 0:
        raise ValueError(f"{n} questions cannot be drawn")
    return Loaded(tuple(_item(stream, index) for index in range(start, start + n)))


def _item(stream: Stream, index: int) -> Item:
    drawn = example(stream, index)
    png = io.BytesIO()
    drawn.image.save(png, format="PNG", compress_level=1)
    return Item(
        id=drawn.id,
        question=drawn.question,
        choices=drawn.choices,
        images=(png.getvalue(),),
        answer=drawn.answer,
        question_type="multiple-choice" if drawn.choices else "free-form",
        answer_letter=drawn.answer if drawn.choices else None,
        groups={"grade": str(drawn.grade), "family": drawn.family},
        evidence=drawn.evidence,
        origin=drawn.id,
    )
