"""What a study is made with, and the record of how it came about."""

import datetime
import re
from collections.abc import Sequence
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
    calibrated_bases: tuple[str, ...] = ()
    """Ablation, probing, calibration, cdrl, ladder: further bases, such as ones trained with
    CDRL, each as SPEC or LABEL=SPEC."""
    t: int = Field(default=700, ge=1, le=999)
    """Cdrl: the noise step."""
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


def by_label(bases: Sequence[str]) -> dict[str, list[str]]:
    """Label to the models under it, in order; `calibrated` where none is given.

    Args:
        bases: each as SPEC or LABEL=SPEC, a label being letters, digits, spaces and hyphens.
    """
    found: dict[str, list[str]] = {}
    for base in bases:
        label, given, spec = base.partition("=")
        if given and re.fullmatch(r"\w[\w -]*", label):
            found.setdefault(label, []).append(spec)
        else:
            found.setdefault("calibrated", []).append(base)
    return found


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
