"""Progress events: what a run tells while it runs, through LangGraph's `custom` stream.

`graph.astream(input, stream_mode="custom", context=context)` yields one dict an event, as does
`answer(..., on_event=...)` with the parsed record. Schema (version 1; fields are only ever added):

| `event` | when | fields beside `v`, `question`, `node` |
|---|---|---|
| `started` | an attempt of a node begins | `attempt` |
| `sampled` | the samples are in | `answers`, `confidences`, `confidence_kind` |
| `planned` | the order is known | `order`, `source`, `reason` |
| `criticised` | the critique is in | `answer`, `text` |
| `ballot` | a ballot is cast | `source`, `answer`, `weight`, `reason` |
| `routed` | an edge is taken | `to`, `rule`, `reason`, `numbers` |
| `failed` | a node has failed for good | `error`, `message` |
| `finished` | a node is done | `seconds`, `usage` |
| `answered` | the run is over | `answer`, `answer_text`, `no_answer`, `votes` |
"""

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from catts.agents.protocol import Usage
from catts.confidence import ConfidenceKind
from catts.graph.records import NoAnswer, Rule
from catts.names import Module, Source, Step


class _Event(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")

    v: Literal[1] = 1
    question: str
    """`Question.digest`: tells the events of concurrent questions apart."""
    node: str


class Started(_Event):
    """An attempt of a node begins."""

    event: Literal["started"] = "started"
    attempt: int


class Sampled(_Event):
    """The samples are in, in the order in which they were drawn."""

    event: Literal["sampled"] = "sampled"
    answers: tuple[str | None, ...]
    confidences: tuple[float | None, ...]
    confidence_kind: ConfidenceKind


class Planned(_Event):
    """The order of the modules is known."""

    event: Literal["planned"] = "planned"
    order: tuple[Module, ...]
    source: Literal["planner", "default"]
    reason: str


class Criticised(_Event):
    """The critic has spoken."""

    event: Literal["criticised"] = "criticised"
    answer: str
    text: str


class BallotCast(_Event):
    """A ballot enters the voting dictionary."""

    event: Literal["ballot"] = "ballot"
    source: Source
    answer: str
    weight: float
    reason: str


class Routed(_Event):
    """An edge is taken."""

    event: Literal["routed"] = "routed"
    to: tuple[Step, ...]
    rule: Rule
    reason: str
    numbers: dict[str, float]


class Failed(_Event):
    """A node has failed for good; the run goes on without it."""

    event: Literal["failed"] = "failed"
    error: str
    message: str


class Finished(_Event):
    """A node is done."""

    event: Literal["finished"] = "finished"
    seconds: float
    usage: Usage


class Answered(_Event):
    """The run is over."""

    event: Literal["answered"] = "answered"
    answer: str | None
    answer_text: str | None = None
    no_answer: NoAnswer | None
    votes: dict[str, float]


Event = Annotated[
    Started | Sampled | Planned | Criticised | BallotCast | Routed | Failed | Finished | Answered,
    Field(discriminator="event"),
]

_EVENT: TypeAdapter[Event] = TypeAdapter(Event)


def parse_event(data: object) -> Event:
    """The record of a streamed dict; raises `pydantic.ValidationError` for anything else."""
    return _EVENT.validate_python(data)


def events_of(node: str, question: str, update: Mapping[str, Any]) -> Iterator[Event]:
    """The events that follow from what a node changes in the state."""
    told = {"question": question, "node": node}
    if samples := update.get("samples"):
        yield Sampled(
            **told,
            answers=tuple(s.answer for s in samples),
            confidences=tuple(s.confidence for s in samples),
            confidence_kind=samples[0].confidence_kind,
        )
    if (plan := update.get("plan")) is not None:
        yield Planned(**told, **plan.model_dump())
    if (critique := update.get("critique")) is not None:
        yield Criticised(**told, **critique.model_dump())
    for ballot in update.get("ballots", ()):
        yield BallotCast(**told, **ballot.model_dump())
    for failure in update.get("failures", ()):
        yield Failed(**told, **failure.model_dump(exclude={"node"}))
    for run in update.get("runs", ()):
        if run.status == "ok":
            yield Finished(**told, seconds=run.seconds, usage=run.usage)
    for decision in update.get("route", ()):
        yield Routed(**told, **decision.model_dump(exclude={"step", "after"}))
    if "votes" in update and node == "decide":
        yield Answered(
            **told,
            answer=update["answer"],
            answer_text=update["answer_text"],
            no_answer=update["no_answer"],
            votes=update["votes"],
        )
