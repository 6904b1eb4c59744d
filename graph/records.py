"""What a run writes down: plain, frozen data for checkpoints and traces."""

from typing import Literal

from pydantic import Field

from catts.agents.protocol import Usage
from catts.confidence import ConfidenceKind
from catts.names import WORKERS, Module, Step, Worker
from catts.perception.key_region import KeyRegion
from catts.records import Record

Rule = Literal[
    "sample",
    "no_candidates",
    "accept",
    "plan",
    "module",
    "reanswer",
    "side_by_side",
    "settled",
    "finished",
]
"""Why an edge was taken.

- `sample`: a question begins with its samples.
- `no_candidates`: no sample can vote, so there is nothing to ask about.
- `accept`: the leader's share of V_internal reached the threshold.
- `plan`: the planner is asked for the order.
- `module`: the next module in the order.
- `reanswer`: the critique is in, the base model answers under it.
- `side_by_side`: all modules at once.
- `settled`: the lead exceeds what the modules still to come can add.
- `finished`: no module is left.
"""

NoAnswer = Literal["sampler_failed", "no_readable_answer", "no_confidence"]
"""Why a run has no answer.

- `sampler_failed`: the base model produced nothing (see the failures).
- `no_readable_answer`: no sample holds an answer that could be read.
- `no_confidence`: answers were read, but none has a confidence of the voting kind.
"""


NO_ANSWER: dict[NoAnswer, str] = {
    "sampler_failed": "the base model produced nothing",
    "no_readable_answer": "no sample holds an answer that can be read",
    "no_confidence": "the answers have no confidence of the kind that votes",
}
"""Why a run has no answer, for people."""


class SampleRecord(Record):
    """One completion of the base model as it enters the vote."""

    text: str
    token_ids: tuple[int, ...] = ()
    finish_reason: Literal["stop", "length"] = "stop"
    answer: str | None
    """Key of the answer (`catts.answers.AnswerKeys`), None when none could be read."""
    said: str | None = None
    """The answer as it was written, with its unit and in its own spelling."""
    confidence: float | None = Field(allow_inf_nan=False)
    """Confidence of the voting kind, None when the engine could not compute it."""
    confidence_kind: ConfidenceKind
    """The voting kind."""
    confidences: dict[ConfidenceKind, float] = Field(default_factory=dict)
    """Every kind that the engine computed."""
    weight: float | None = Field(ge=0, allow_inf_nan=False)
    """w(C) before normalisation, None exactly when `confidence` is."""

    @property
    def votes(self) -> bool:
        """Whether it casts a ballot."""
        return self.answer is not None and self.weight is not None


class PlanRecord(Record):
    """The order in which the modules are asked."""

    order: tuple[Module, ...]
    reason: str = ""
    """The planner's words, or why the default order stands in."""
    source: Literal["planner", "default"]


class VoteRecord(Record):
    """What the voter thinks, whatever weight tau1 gives it."""

    probabilities: dict[str, float]
    """Candidate (its key) to the probability that it is right; they sum to 1."""


class CritiqueRecord(Record):
    """What the critic said."""

    text: str
    answer: str
    """The answer it criticised: the leader of V_internal."""


class NoisedImage(Record):
    """A noised image by what makes it, to be recomputed when somebody wants to see it."""

    digest: str
    """SHA-256 (hex) of the clean image."""
    t: int = Field(ge=0)
    """Diffusion step."""
    size: tuple[int, int]
    """Width and height in pixels that the clean image is scaled to first: those at which the base
    model sees it, so that t means the same for every image."""
    region: tuple[int, int, int, int] | KeyRegion | None
    """Where the noise is: the patches of a key region; left, top, right, bottom in pixels of the
    scaled image; None for all of it."""
    seed: int


class ContrastRecord(Record):
    """The self-check: what the base model answers when the noised image counts against it."""

    sample: SampleRecord
    method: Literal["lock_step", "candidate_scoring"]
    noised: tuple[NoisedImage, ...]


class NodeRun(Record):
    """What one node did and cost."""

    node: Worker
    status: Literal["ok", "failed"]
    usage: Usage
    """What its models reported, failed attempts included; of a node that was cut off, what its
    requests to the expert had cost by then, the one that it waited for counted as a call."""
    seconds: float = Field(ge=0)
    """From start to end, all attempts and the pauses between them."""
    started: float = 0.0
    """When the first attempt began: seconds since 1970, UTC, the clock of all nodes of a run."""
    ended: float = 0.0
    """When the last one ended, on the same clock."""
    attempts: int = Field(default=1, ge=1)
    """How often the node was tried; more than once where a connection failed."""
    replies: int = Field(default=0, ge=0)
    """Replies that the expert needed for one that could be read: 2 where the first was malformed; 0
    where none was read, where no expert was asked, and in traces of before this was counted."""

    @property
    def order(self) -> tuple[int, str]:
        """Sort key over the whole content."""
        return WORKERS.index(self.node), self.model_dump_json()


class Failure(Record):
    """A node that failed: a fact beside the answer, never an answer."""

    node: Worker
    error: str
    """Name of the error's type."""
    message: str

    @property
    def order(self) -> tuple[int, str]:
        """Sort key over the whole content."""
        return WORKERS.index(self.node), self.model_dump_json()


class Decision(Record):
    """One edge taken: where from, where to, why, and the numbers that decided it."""

    step: int = Field(ge=0)
    """0 for the first decision of the run."""
    after: tuple[Worker, ...]
    """The nodes that had finished since the decision before."""
    to: tuple[Step, ...]
    """The nodes chosen; more than one run side by side."""
    rule: Rule
    reason: str
    numbers: dict[str, float] = Field(default_factory=dict)
    """What the rule looked at: shares, leads, confidences and the thresholds they met."""

    @property
    def order(self) -> tuple[int, str]:
        """Sort key over the whole content."""
        return self.step, self.model_dump_json()
