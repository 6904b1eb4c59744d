"""The expert as the graph sees it: three roles that read pictures and answer in plain records."""

from collections.abc import Sequence
from typing import Generic, Protocol, TypeVar, runtime_checkable

from PIL.Image import Image
from pydantic import Field

from catts.agents.protocol import Usage
from catts.names import Module
from catts.question import Question
from catts.records import Record


class Candidate(Record):
    """One distinct answer among the samples, as the expert is told of it."""

    answer: str
    """Key of the answer (`catts.answers.AnswerKeys`)."""
    count: int = Field(ge=1)
    """Samples with this answer."""
    confidence: float
    """Mean confidence of those samples, of the base model's voting kind."""
    share: float = Field(ge=0, le=1)
    """Its share of V_internal."""


class Plan(Record):
    """The planner's order of the modules: a permutation of all of them."""

    order: tuple[Module, ...]
    reason: str = ""


class Vote(Record):
    """The voter's probabilities: one per candidate, in the order given, finite, summing to 1."""

    probabilities: tuple[float, ...]


class Critique(Record):
    """What the critic says of the leading answer; never empty."""

    text: str


Reply = TypeVar("Reply", Plan, Vote, Critique, covariant=True)


class RoleResult(Record, Generic[Reply]):
    """A role's reply with what it cost; `attempts` is 2 when the first reply was malformed."""

    reply: Reply
    usage: Usage
    attempts: int = Field(ge=1)


@runtime_checkable
class Expert(Protocol):
    """The three roles. A role that fails raises `RoleError`, which carries its role and usage.

    A role that makes several requests puts each on a `catts.agents.spending.Bill`, so that a time
    limit between them loses none.
    """

    @property
    def name(self) -> str:
        """A short name for people, such as `embedded-expert` or `google_genai:gemini-2.5-pro`."""

    @property
    def fingerprint(self) -> str:
        """Hex digest of models and prompts; holds no key."""

    async def plan(
        self, question: Question, images: Sequence[Image], candidates: Sequence[Candidate]
    ) -> RoleResult[Plan]:
        """Order the modules."""

    async def vote(
        self, question: Question, images: Sequence[Image], candidates: Sequence[Candidate]
    ) -> RoleResult[Vote]:
        """Give each candidate a probability of being right."""

    async def criticise(
        self, question: Question, images: Sequence[Image], answer: str, reasoning: str
    ) -> RoleResult[Critique]:
        """Criticise the leading answer and the completion that led to it."""

    async def aclose(self) -> None:
        """Free what the expert holds; calling it twice is harmless."""
