"""A run's trace: one versioned record, stored as one JSON line, readable without any tool of ours.

Its top-level fields are also what `catts ask --json` prints.
"""

import json
import math
import os
from collections.abc import Iterable, Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Literal, Self

from pydantic import Field, ValidationError, model_validator

from catts.agents.protocol import Usage
from catts.arguments import check_types
from catts.errors import TraceError
from catts.files import whole_file
from catts.graph.context import Context, Policy
from catts.graph.ledger import Ballot, tally
from catts.graph.records import (
    NO_ANSWER,
    ContrastRecord,
    CritiqueRecord,
    Decision,
    Failure,
    NoAnswer,
    NodeRun,
    PlanRecord,
    SampleRecord,
    VoteRecord,
)
from catts.graph.state import Output
from catts.names import Worker
from catts.question import Question
from catts.records import Record, first_problem

TRACE_VERSION = 1
"""Grows with every change of the record, from the first release on."""


class Cost(Record):
    """What a run cost, in all and by node."""

    total: Usage
    """Sum over the nodes; its `seconds` are the models', waiting included."""
    expert_calls: int = Field(ge=0)
    """Requests to the expert, second attempts included."""
    seconds: float = Field(ge=0)
    """Sum of the nodes' durations; modules that ran side by side each count."""
    latency: float = Field(default=0.0, ge=0)
    """Seconds from the start of the first node to the end of the last one; of a run that was killed
    and resumed, the time between included."""
    nodes: tuple[NodeRun, ...]


class Trace(Record):
    """Everything about one run, images by digest."""

    version: Literal[1] = 1
    question: Question
    answer: str | None
    """Canonical answer, the key of its votes; None only together with `no_answer`."""
    answer_text: str | None = None
    """The same answer for people: a choice's letter and text, else as the base model wrote it."""
    no_answer: NoAnswer | None
    votes: dict[str, float]
    """Answer to weight, the most first: exactly the sum (`math.fsum`) of its ballots' weights."""
    ballots: tuple[Ballot, ...]
    samples: tuple[SampleRecord, ...]
    plan: PlanRecord | None
    vote: VoteRecord | None = None
    route: tuple[Decision, ...]
    critique: CritiqueRecord | None
    reanswer: SampleRecord | None
    self_check: ContrastRecord | None
    usage: Cost
    failed_nodes: tuple[Worker, ...]
    """Nodes that failed; `failures` says how."""
    failures: tuple[Failure, ...]
    engine: str
    """Name of the base model."""
    expert: str
    """Name of the expert."""
    policy: Policy
    context_fingerprint: str
    catts_version: str = ""
    """Version of the package that ran it."""

    @model_validator(mode="after")
    def _votes_are_ballots(self) -> Self:
        if self.votes != tally(self.ballots):
            raise ValueError("the votes are not the sum of the ballots: the record was changed")
        if (self.answer is None) != (self.no_answer is not None):
            raise ValueError("an answer, or why there is none: the record was changed")
        if self.answer is not None and self.answer not in self.votes:
            raise ValueError("the answer has no votes: the record was changed")
        return self

    @property
    def why_no_answer(self) -> str:
        """`no_answer` in words, for people; empty where there is an answer."""
        return "" if self.no_answer is None else NO_ANSWER[self.no_answer]

    @classmethod
    def of(cls, output: Output, context: Context) -> Self:
        """The record of what a run under `context` returned."""
        facts = {name: getattr(output, name) for name in Output.model_fields if name != "runs"}
        return cls(
            **facts,
            usage=_cost(output.runs),
            failed_nodes=tuple(dict.fromkeys(f.node for f in output.failures)),
            engine=context.engine.name,
            expert=context.expert.name,
            policy=context.policy,
            context_fingerprint=context.fingerprint,
            catts_version=version("catts"),
        )


def append_trace(path: str | Path, trace: Trace) -> None:
    """Add a line to `path` in one write, so that lines of several writers never mix.

    Raises:
        TraceError: the file cannot be written, or the disk is full.
        InputError: an argument has another type.
    """
    check_types(append_trace, **locals())
    line = _line(trace)
    try:
        handle = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        try:
            written = os.write(handle, line)
        finally:
            os.close(handle)
    except OSError as error:
        raise TraceError(f"cannot write {path}: {error.strerror}; choose another file") from error
    if written != len(line):
        raise TraceError(f"{path} took only part of a trace; free some space, drop its last line")


def write_traces(path: str | Path, traces: Iterable[Trace]) -> None:
    """Put `traces` in place of `path` as a whole: a reader meets the old file or the new one.

    Raises:
        TraceError: the file cannot be written.
        InputError: `path` is no path.
    """
    check_types(write_traces, path=path)
    path = Path(path)
    try:
        with whole_file(path) as file:
            file.writelines(_line(trace) for trace in traces)
    except OSError as error:
        raise TraceError(f"cannot write {path}: {error.strerror}; choose another file") from error


def read_traces(path: str | Path) -> Iterator[Trace]:
    """The traces of a JSON-lines file, in order; blank lines are passed over.

    Raises:
        TraceError: the file cannot be read, or a line is no trace of a version known here.
        InputError: `path` is no path.
    """
    check_types(read_traces, **locals())
    try:
        with Path(path).open(encoding="utf-8") as file:
            for number, line in enumerate(file, 1):
                if line.strip():
                    yield _parsed(line, f"{path} line {number}")
    except OSError as error:
        raise TraceError(f"cannot read {path}: {error.strerror}; check the path") from error
    except UnicodeDecodeError as error:
        raise TraceError(f"{path} is not text; give a file of JSON lines") from error


def trace_of(data: object, where: str) -> Trace:
    """The trace that plain JSON data hold, as `model_dump(mode="json")` gave them.

    Raises:
        TraceError: they are no trace of the version known here; `where` is what its message names.
    """
    found = data.get("version") if isinstance(data, dict) else None
    if found != TRACE_VERSION:
        raise TraceError(
            f"{where} is not a trace of version {TRACE_VERSION} but of {found!r}; "
            "read it with the catts that wrote it"
        )
    try:
        return Trace.model_validate(data)
    except ValidationError as error:
        raise TraceError(f"{where} is no whole trace: {first_problem(error)}") from error


def _parsed(line: str, where: str) -> Trace:
    try:
        data = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise TraceError(f"{where} is not JSON: cut off while it was written?") from error
    return trace_of(data, where)


def _line(trace: Trace) -> bytes:
    return trace.model_dump_json().encode() + b"\n"


def _latency(runs: tuple[NodeRun, ...]) -> float:
    timed = [run for run in runs if run.started]
    if not timed:
        return 0.0
    return max(0.0, max(run.ended for run in timed) - min(run.started for run in timed))


def _cost(runs: tuple[NodeRun, ...]) -> Cost:
    return Cost(
        total=sum((run.usage for run in runs), Usage()),
        expert_calls=sum(
            run.usage.calls for run in runs if run.node in ("planner", "voter", "critic")
        ),
        seconds=math.fsum(run.seconds for run in runs),
        latency=_latency(runs),
        nodes=runs,
    )
