"""What a study is made with, and the record of how it came about."""

import datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

from pydantic import Field, ValidationError, field_validator

from catts.errors import InputError
from catts.evals.benchmarks.by_name import TaskName
from catts.graph.context import Policy
from catts.records import Record, first_problem

SIZES = (1, 2, 4, 8, 16, 32)


class Setting(Record):
    """What a study is made with; the same setting gives the same result."""

    task: TaskName = "embedded"
    data: str | None = None
    """Path or hub id of the benchmark's files; None for `embedded`."""
    split: str | None = None
    """None for the one that the benchmark reports."""
    limit: int | None = Field(default=None, ge=2)
    """The first so many questions; None for all."""
    base: str = "embedded"
    expert: str = "embedded"
    expert_url: str | None = None
    """Address of an OpenAI-compatible server; `expert` is then the name of its model."""
    calibrated_base: str | None = None
    """Ablation: a second base, such as one trained with CDRL."""
    samples: int = Field(default=8, ge=1)
    sizes: tuple[int, ...] = SIZES
    """Scaling: numbers of samples, at least two, rising."""
    seed: int = Field(default=0, ge=0)
    concurrency: int = Field(default=16, ge=1)
    device: str | None = None
    store: Path = Path("runs/store.sqlite")
    skip_malformed: bool = False
    quiet: bool = False

    @field_validator("sizes")
    @classmethod
    def _rising(cls, sizes: tuple[int, ...]) -> tuple[int, ...]:
        if len(sizes) < 2 or sizes[0] < 1 or any(b <= a for a, b in pairwise(sizes)):
            raise ValueError("give two or more rising whole numbers, such as 1,2,4,8")
        return sizes


def checked_setting(**values: Any) -> Setting:
    """The setting of a command's options.

    Raises:
        InputError: one of them is out of range.
    """
    try:
        return Setting(**values)
    except ValidationError as error:
        raise InputError(first_problem(error)) from error


class Made(Record):
    """How a result came about: enough to make it again."""

    study: str
    setting: Setting
    questions: int
    """Without those that the base model could not answer."""
    base: str
    base_fingerprint: str
    expert: str
    expert_fingerprint: str
    policy: Policy
    """Of the runs, before what the study varies."""
    catts_version: str
    data: str
    """SHA-256 (hex) over the questions, their pictures and gold answers."""
    date: datetime.date | None = None
    """Day (UTC) on which it was made; None in a result that does not tell."""
