"""The base model as the graph sees it: one protocol, whatever engine stands behind it.

It is written with a remote engine in mind. Every call is asynchronous and carries plain data; token
ids, not texts, identify a completion that is to be scored, because a server would re-tokenise a
text differently; a contrastive decoding names how it was made, because not every engine can decode
two branches in lock-step.
"""

from collections.abc import Sequence
from typing import Literal, Protocol, runtime_checkable

from PIL.Image import Image
from pydantic import Field

from catts.confidence import ConfidenceKind
from catts.question import Question
from catts.records import Record


class Usage(Record):
    """What a call cost. Usages add up with `+`."""

    calls: int = Field(default=0, ge=0)
    """Requests to a model."""
    prompt_tokens: int = Field(default=0, ge=0)
    """Tokens read, visual tokens among them; a prompt that n samples share counts once."""
    completion_tokens: int = Field(default=0, ge=0)
    """Tokens written, over all samples."""
    seconds: float = Field(default=0.0, ge=0)
    """Wall-clock seconds from asking to answer, waiting for the engine included."""
    queued: float = Field(default=0.0, ge=0)
    """Seconds of these before the engine began: it was serving other calls."""
    dollars: float = Field(default=0.0, ge=0)
    """What providers charge (`catts.agents.experts.prices`); 0 for models that run here."""
    unpriced: int = Field(default=0, ge=0)
    """Requests to models of others whose price is not known, so not in `dollars`."""

    def __add__(self, other: "Usage") -> "Usage":
        return Usage(
            calls=self.calls + other.calls,
            prompt_tokens=self.prompt_tokens + other.prompt_tokens,
            completion_tokens=self.completion_tokens + other.completion_tokens,
            seconds=self.seconds + other.seconds,
            queued=self.queued + other.queued,
            dollars=self.dollars + other.dollars,
            unpriced=self.unpriced + other.unpriced,
        )


class Sample(Record):
    """One completion of the base model."""

    text: str
    """The completion, without the tokens that end a turn."""
    token_ids: tuple[int, ...] = ()
    """Its token ids as they were sampled, the end-of-turn token included when there was one."""
    confidence: dict[ConfidenceKind, float] = Field(default_factory=dict)
    """Every kind of confidence that could be computed (`catts.confidence`); never mixed."""
    token_confidence: tuple[float, ...] = ()
    """c_t of each token, nats, >= 0; empty where the engine does not tell."""
    finish_reason: Literal["stop", "length"] = "stop"
    """`length` when the completion was cut: at `max_new_tokens`, or at the end of the context."""


class SamplingParams(Record):
    """How to sample. The defaults are the paper's: temperature 1 and no filter."""

    n: int = Field(default=8, ge=1)
    """Completions to draw."""
    temperature: float = Field(default=1.0, ge=0)
    """0 is greedy decoding."""
    top_p: float = Field(default=1.0, gt=0, le=1)
    """Nucleus filter; confidence is always taken from the unfiltered distribution."""
    max_new_tokens: int = Field(default=512, ge=1)
    """Longest completion, in tokens; it is cut before where the model's context ends."""
    seed: int = Field(default=0, ge=0)
    """The same seed, request and engine give the same completions. Whether a call is decoded alone
    or beside others may show in the last digits of their confidence."""


class Generation(Record):
    """The completions of one request, in order, with what they cost."""

    samples: tuple[Sample, ...]
    usage: Usage


class ContrastParams(Record):
    """Contrastive decoding against the noised image (visual contrastive decoding, VCD)."""

    alpha: float = Field(default=1.0, ge=0)
    """Strength a in (1 + a) log p(y | i, q) - a log p(y | i', q); 0 is plain greedy decoding."""
    beta: float = Field(default=0.1, ge=0, le=1)
    """Plausibility b: only tokens with log p(y | i, q) >= log b + max log p are allowed."""
    max_new_tokens: int = Field(default=512, ge=1)


class Contrast(Record):
    """The answer that survives contrast with the noised image."""

    sample: Sample
    method: Literal["lock_step", "candidate_scoring"]
    """`lock_step`: both branches extend one prefix token by token. `candidate_scoring`: the best of
    the given candidates by contrastive log-probability."""
    usage: Usage


class Score(Record):
    """How sure the model is of a given completion."""

    logprobs: tuple[float, ...]
    """Log-probability of each given token at temperature 1, nats."""
    confidence: dict[ConfidenceKind, float]


class Capabilities(Record):
    """What an engine can do, so that the graph asks for nothing else."""

    lock_step_contrast: bool
    exact_token_scoring: bool
    max_images: int | None = None
    """Most images in one question; None when there is no limit."""


@runtime_checkable
class Engine(Protocol):
    """A base model. Raises `EngineError` when it cannot produce what was asked.

    A call that waits for its turn calls `catts.agents.waiting.WAITING` (`served` does so), since
    the graph's time limits leave waiting out; one that is cancelled costs no further work.
    """

    @property
    def name(self) -> str:
        """A short name for people, such as `embedded-base`."""

    @property
    def fingerprint(self) -> str:
        """Hex digest of everything that decides its output: weights, processor, prompts, dtype."""

    @property
    def capabilities(self) -> Capabilities:
        """What this engine can do."""

    @property
    def usage(self) -> Usage:
        """What all calls so far have cost."""

    async def seen_size(self, image: Image) -> tuple[int, int]:
        """Width and height in pixels at which the model sees `image`, scaled by its processor."""

    async def sample(
        self, question: Question, images: Sequence[Image], params: SamplingParams
    ) -> Generation:
        """Draw `params.n` answers to `question`; `images` are what its digests stand for."""

    async def reanswer(
        self,
        question: Question,
        images: Sequence[Image],
        *,
        previous: str,
        critique: str,
        params: SamplingParams,
    ) -> Generation:
        """Answer again, given the completion `previous` and what a critic said of it."""

    async def contrast(
        self,
        question: Question,
        images: Sequence[Image],
        noised: Sequence[Image],
        params: ContrastParams,
        *,
        candidates: Sequence[Sample] = (),
    ) -> Contrast:
        """Decode against the noised images; `candidates` serve engines that can only score.

        They are completions that this engine sampled for the question, one for each answer.
        """

    async def score(
        self, question: Question, images: Sequence[Image], completions: Sequence[Sequence[int]]
    ) -> tuple[Score, ...]:
        """Score completions given as token ids, under these images (clean or noised)."""

    async def aclose(self) -> None:
        """Free what the engine holds; calling it twice is harmless."""
