"""The graph's schemas: what goes in, what travels, what comes out.

Everything is data. Images are digests into the context's `ImageStore`; a checkpoint therefore stays
small whatever the images' size. Four channels are written by several nodes, and their reducer
commutes: the state does not depend on which module finished first.
"""

from collections.abc import Iterable
from typing import Annotated, Any, Protocol, TypeVar

from langgraph.types import Overwrite
from pydantic import BaseModel, ConfigDict, Field

from catts.graph.ledger import Ballot
from catts.graph.records import (
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
from catts.question import Question

CHECKPOINT_TYPES: tuple[type[BaseModel], ...] = (
    Question,
    SampleRecord,
    Ballot,
    PlanRecord,
    VoteRecord,
    CritiqueRecord,
    ContrastRecord,
    NodeRun,
    Failure,
    Decision,
)
"""The types that a checkpoint holds, for a serializer's allow-list."""

Update = dict[str, Any]
"""Channel to new value, as a node returns it."""


class _Ordered(Protocol):
    @property
    def order(self) -> tuple[int, str]: ...


_Item = TypeVar("_Item", bound=_Ordered)


def gather(left: Iterable[_Item], right: Iterable[_Item]) -> tuple[_Item, ...]:
    """All items of both, sorted by their whole content: a commutative, associative reducer."""
    return tuple(sorted((*left, *right), key=lambda item: item.order))


class Input(BaseModel):
    """What a caller gives: `graph.ainvoke({"question": question}, context=context)`."""

    model_config = ConfigDict(extra="forbid")

    question: Question


class Output(Input):
    """What a run returns. `Trace.of` makes the stored record of it."""

    answer: str | None = None
    """Canonical answer with the most votes; None only together with `no_answer`."""
    answer_text: str | None = None
    """The same answer for people: a choice's letter and text, else as the base model wrote it."""
    no_answer: NoAnswer | None = None
    votes: dict[str, float] = Field(default_factory=dict)
    """V_final, the most first."""
    samples: tuple[SampleRecord, ...] = ()
    plan: PlanRecord | None = None
    vote: VoteRecord | None = None
    critique: CritiqueRecord | None = None
    reanswer: SampleRecord | None = None
    self_check: ContrastRecord | None = None
    ballots: Annotated[tuple[Ballot, ...], gather] = ()
    route: Annotated[tuple[Decision, ...], gather] = ()
    runs: Annotated[tuple[NodeRun, ...], gather] = ()
    failures: Annotated[tuple[Failure, ...], gather] = ()


class State(Output):
    """What travels through the graph and into checkpoints."""

    context_fingerprint: str = ""
    """`Context.fingerprint` of the run; another context cannot continue it."""


def fresh(fingerprint: str) -> Update:
    """A whole new state but for the question, over whatever the thread holds."""
    update: Update = {
        name: field.get_default(call_default_factory=True)
        for name, field in State.model_fields.items()
        if name != "question"
    }
    gathered = {name: Overwrite(()) for name in ("ballots", "route", "runs", "failures")}
    return update | gathered | {"context_fingerprint": fingerprint}
