"""What a run is given: live models and pictures in a `Context`, numbers in a `Policy`."""

import hashlib
import json
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Literal, Self

from pydantic import Field, InstanceOf, ValidationError

from catts.agents.card import ModelCard
from catts.agents.expert import Expert
from catts.agents.protocol import ContrastParams, Engine, SamplingParams
from catts.arguments import check_types
from catts.errors import InputError
from catts.graph.observer import Observer
from catts.images import ImageStore
from catts.perception.looker import Looker
from catts.records import first_problem
from catts.tuning import Tuning

NODE_TIMEOUT = 600.0
ATTEMPTS = 3

Routing = Literal["paper", "planned", "parallel"]
"""How the modules are visited.

- `paper`: every module once, in the planner's order.
- `planned`: the planner's order, with the confidence-conditioned short cuts.
- `parallel`: all modules side by side, no planner.
"""


class Policy(Tuning):
    """Every number that decides a run. It is data: it goes into the fingerprint and the trace."""

    routing: Routing = "planned"
    samples: int = Field(default=8, ge=1)
    """Completions drawn for V_internal."""
    temperature: float = Field(default=1.0, ge=0, allow_inf_nan=False)
    """Of the samples; the paper's is 1."""
    top_p: float = Field(default=1.0, gt=0, le=1)
    """Of the samples; confidence always comes from the unfiltered distribution."""
    reanswer_temperature: float = Field(default=0.0, ge=0, allow_inf_nan=False)
    """Of the answer under the critique; 0 is greedy."""
    seed: int = Field(default=0, ge=0)
    """Of the base model's sampling."""
    expert_max_side: int = Field(default=2048, ge=32)
    """Longest side in pixels of the pictures that the expert is shown; larger ones are scaled down
    for it; the base model gets them whole. Most providers scale to this or less themselves. A chat
    model is sent PNGs, exact to the pixel, and a JPEG where the PNG would exceed a megabyte."""
    tau1: float = Field(default=0.5, ge=0, allow_inf_nan=False)
    """Votes that the voter's probabilities share between them."""
    tau2: float = Field(default=0.5, ge=0, allow_inf_nan=False)
    """Votes of the answer under the critique."""
    tau3: float = Field(default=0.5, ge=0, allow_inf_nan=False)
    """Votes of the self-check's answer."""

    @classmethod
    def from_card(cls, card: ModelCard, **settings: Any) -> Self:
        """What the checkpoint's card recommends, with `settings` on top.

        Of a card for another kind of confidence than `settings` choose, what was fitted to that
        kind is left out: mapping, vote weight and both thresholds. Without a mapping there is no
        threshold on the probability of being right.
        """
        recommended = {name: getattr(card, name) for name in Tuning.model_fields}
        if settings.get("confidence_kind", card.confidence_kind) != card.confidence_kind:
            for name in ("confidence_map", "vote_weight", "accept", "reflect_below"):
                del recommended[name]
        elif "confidence_map" in settings and settings["confidence_map"] is None:
            recommended |= {"vote_weight": "raw", "reflect_below": None}
        return cls(**(recommended | settings))

    @property
    def sampling(self) -> SamplingParams:
        """How the samples are drawn."""
        return SamplingParams(
            n=self.samples,
            temperature=self.temperature,
            top_p=self.top_p,
            max_new_tokens=self.max_new_tokens,
            seed=self.seed,
        )

    @property
    def greedy(self) -> SamplingParams:
        """How the base answers once, at its likeliest."""
        return SamplingParams(n=1, temperature=0, max_new_tokens=self.max_new_tokens)

    @property
    def reanswering(self) -> SamplingParams:
        """How the answer under the critique is drawn."""
        return SamplingParams(
            n=1,
            temperature=self.reanswer_temperature,
            max_new_tokens=self.max_new_tokens,
            seed=self.seed,
        )

    @property
    def contrast(self) -> ContrastParams:
        """How the self-check decodes."""
        return ContrastParams(
            alpha=self.contrast_alpha,
            beta=self.contrast_beta,
            max_new_tokens=self.max_new_tokens,
        )


@dataclass(frozen=True, kw_only=True)
class Context:
    """The runtime context of the graph: `graph.ainvoke(..., context=Context(...))`.

    `Context.of(engine, expert, routing="paper")` takes the policy's defaults from the engine's
    model card.
    """

    engine: Engine
    """The base model."""
    expert: Expert
    """Fills the three roles; `catts.agents.experts.panel.ExpertPanel` gives each role its own."""
    policy: InstanceOf[Policy] = field(default_factory=Policy)
    images: ImageStore = field(default_factory=ImageStore)
    """Where the questions' digests are looked up."""
    saliency: Looker | None = None
    """Finds the key region for the policy's `region="saliency"`; else it is not asked."""
    observer: Observer | None = None
    """Wraps every node, so that an application can record spans of its own."""
    node_timeout: float | None = NODE_TIMEOUT
    """Seconds that one attempt of a node may take, beside its waiting for a turn at an engine; None
    for no limit. A node that runs out of time has failed, and the run goes on without it."""
    attempts: int = ATTEMPTS
    """How often a node is tried whose failure may pass, such as a lost connection; at least 1."""

    def __post_init__(self) -> None:
        check_types(type(self), **vars(self))
        if self.policy.region == "saliency" and self.saliency is None:
            raise InputError(
                "region='saliency' needs a CLIP: give saliency, a "
                "catts.perception.saliency.Saliency, or region='whole'"
            )
        if self.attempts < 1:
            raise InputError(f"attempts is {self.attempts}: give 1 or more")
        if self.node_timeout is not None and not self.node_timeout > 0:
            raise InputError(f"node_timeout is {self.node_timeout:g} s: give more than 0, or None")

    @classmethod
    def of(
        cls,
        engine: Engine,
        expert: Expert,
        *,
        images: ImageStore | None = None,
        saliency: Looker | None = None,
        observer: Observer | None = None,
        node_timeout: float | None = NODE_TIMEOUT,
        attempts: int = ATTEMPTS,
        **settings: Any,
    ) -> Self:
        """A context whose policy follows the engine's model card; `settings` are `Policy` fields.

        Raises:
            InputError: an argument has another type, or a setting is unknown or out of range.
        """
        try:
            policy = Policy.from_card(card_of(engine), **settings)
        except ValidationError as error:
            raise InputError(first_problem(error)) from error
        return cls(
            engine=engine,
            expert=expert,
            policy=policy,
            images=ImageStore() if images is None else images,
            saliency=saliency,
            observer=observer,
            node_timeout=node_timeout,
            attempts=attempts,
        )

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 (hex) of models, prompts and policy: everything that decides an answer.

        A saliency model counts where the policy asks for it.
        """
        parts = {
            "engine": self.engine.fingerprint,
            "expert": self.expert.fingerprint,
            "policy": self.policy.model_dump(mode="json"),
        }
        if self.saliency is not None and self.policy.region == "saliency":
            parts["saliency"] = self.saliency.fingerprint
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()

    def for_one_run(self) -> Self:
        """The same context with an image store that is let go with it; a folder stays shared."""
        return replace(self, images=self.images.on_same_folder())

    async def aclose(self) -> None:
        """Free the models; calling it twice is harmless."""
        await self.engine.aclose()
        await self.expert.aclose()


def card_of(engine: Engine) -> ModelCard:
    """What is recommended for the engine's model; the defaults for one without a card."""
    card = getattr(engine, "card", None)
    return card if isinstance(card, ModelCard) else ModelCard()
