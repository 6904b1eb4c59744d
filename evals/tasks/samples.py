"""Items as Inspect samples, and back again: a log holds all that grading needs."""

from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from functools import lru_cache
from typing import Any

from inspect_ai.dataset import MemoryDataset, Sample

from catts.evals.benchmarks.by_name import TaskName, load_benchmark
from catts.evals.benchmarks.item import Item
from catts.evals.benchmarks.loading import Loaded
from catts.prompts import format_choices

FACTS = "item"
"""Where a sample's metadata hold the item."""


@lru_cache(maxsize=1)
def loaded_benchmark(
    name: TaskName, data: str | None, split: str | None, first: int | None, skip_malformed: bool
) -> Loaded:
    """The questions of `catts.evals.benchmarks.by_name.load_benchmark`, read once a process."""
    return load_benchmark(name, data, split=split, limit=first, skip_malformed=skip_malformed)


def dataset(name: str, items: Sequence[Item]) -> MemoryDataset:
    """A sample for each item: the question with its choices, and its gold answer."""
    return MemoryDataset([_sample(item) for item in items], name=name)


def item_of(metadata: Mapping[str, Any]) -> Item:
    """The item of a sample, without its pictures: what graders read."""
    facts = dict(metadata[FACTS])
    facts |= {name: tuple(facts[name]) for name in ("choices", "images")}
    return Item(**facts | {"evidence": tuple(tuple(box) for box in facts["evidence"])})


def asked(item: Item) -> str:
    """The question with its choices, for people."""
    choices = format_choices(item.choices)
    return f"{item.question}\n\n{choices}" if choices else item.question


def _sample(item: Item) -> Sample:
    bare = replace(item, images=())
    facts = {field.name: getattr(bare, field.name) for field in fields(bare)}
    return Sample(
        id=item.id,
        input=asked(item),
        target=item.answer or "",
        metadata={FACTS: facts, **item.groups},
    )
