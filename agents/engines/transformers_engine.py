"""The base model on transformers: every call of `Engine`, with exact confidence."""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import TypeVar

from PIL.Image import Image

from catts.agents.card import ModelCard
from catts.agents.engines.call_queue import BatchLimits, Call
from catts.agents.engines.inputs import Turn
from catts.agents.engines.loading import LoadedModel, load_model
from catts.agents.engines.picture_size import seen_size
from catts.agents.engines.served_model import ServedModel
from catts.agents.protocol import (
    Capabilities,
    Contrast,
    ContrastParams,
    Generation,
    Sample,
    SamplingParams,
    Score,
    Usage,
)
from catts.agents.spending import Account
from catts.agents.waiting import served
from catts.errors import EngineError
from catts.prompts import PromptSet
from catts.question import Question

_T = TypeVar("_T")


class TransformersEngine:
    """An image-text-to-text checkpoint of transformers as a base model.

    Implements `catts.agents.protocol.Engine`. All model work of an engine runs in one worker
    thread of its own, so calls are safe from any thread or event loop and are served in turn.
    Beside some asynchronous methods stands a synchronous one for programs without an event loop.

    Calls that wait and agree in their settings are decoded as one batch, within `limits`. Their
    tokens are those that each gives alone. Their confidences may differ from those in the last
    digits, as sums of floats do, and with them, rarely, a token whose draw falls on the border
    between two. `BatchLimits(rows=1)` serves each call by itself, bit for bit alike.
    """

    def __init__(self, loaded: LoadedModel, *, limits: BatchLimits | None = None) -> None:
        self._loaded: LoadedModel | None = loaded
        self._name, self._card, self._prompts = loaded.name, loaded.card, loaded.prompts
        self._fingerprint = loaded.fingerprint
        self._account = Account()
        self._served: ServedModel | None = ServedModel(
            loaded, limits or BatchLimits(), self._account
        )

    @classmethod
    def load(
        cls,
        spec: str | Path,
        *,
        device: str | None = None,
        dtype: str | None = None,
        attn_implementation: str | None = None,
        prompts: PromptSet | None = None,
        max_pixels: int | None = None,
        limits: BatchLimits | None = None,
    ) -> "TransformersEngine":
        """Load a checkpoint: arguments and errors of `catts.agents.engines.loading.load_model`."""
        loaded = load_model(
            spec,
            device=device,
            dtype=dtype,
            attn_implementation=attn_implementation,
            prompts=prompts,
            max_pixels=max_pixels,
        )
        return cls(loaded, limits=limits)

    @property
    def name(self) -> str:
        """The card's name, else the last part of the path or hub id."""
        return self._name

    @property
    def card(self) -> ModelCard:
        """The checkpoint's card, or the defaults when it ships none."""
        return self._card

    @property
    def prompts(self) -> PromptSet:
        """The prompt set that questions are asked with."""
        return self._prompts

    @property
    def loaded(self) -> LoadedModel:
        """The checkpoint: model, processor, vocabulary; raises EngineError once it is closed."""
        if self._loaded is None:
            raise self._closed_error()
        return self._loaded

    @property
    def fingerprint(self) -> str:
        """Hex digest of weights, tokenizer, processor and its limit, adapter, prompts and dtype."""
        return self._fingerprint

    @property
    def capabilities(self) -> Capabilities:
        """Everything the protocol knows of."""
        return Capabilities(lock_step_contrast=True, exact_token_scoring=True)

    @property
    def usage(self) -> Usage:
        """What all calls so far have cost."""
        return self._account.total

    async def seen_size(self, image: Image) -> tuple[int, int]:
        """Width and height in pixels at which the model sees `image`, scaled by its processor.

        The size of all tiles together where it is cut into tiles; its own where the processor does
        not tell.
        """
        return await asyncio.to_thread(seen_size, image, self.loaded.processor)

    async def sample(
        self, question: Question, images: Sequence[Image], params: SamplingParams
    ) -> Generation:
        """Draw `params.n` answers to `question`."""
        turns = self._asked([question], [images])
        return (await _served(self._serving.generate(turns, params)))[0]

    def sample_sync(
        self, question: Question, images: Sequence[Image], params: SamplingParams
    ) -> Generation:
        """`sample`, blocking."""
        return self.sample_many_sync([question], [images], params)[0]

    async def sample_many(
        self,
        questions: Sequence[Question],
        images: Sequence[Sequence[Image]],
        params: SamplingParams,
    ) -> list[Generation]:
        """Draw `params.n` answers to each question, all questions as one batch.

        The draws of a question depend on the seed and the question alone, not on its neighbours.
        The seconds of the batch are shared out evenly over its generations, so usages add up.
        """
        turns = self._asked(questions, images)
        return await _served(self._serving.generate(turns, params))

    def sample_many_sync(
        self,
        questions: Sequence[Question],
        images: Sequence[Sequence[Image]],
        params: SamplingParams,
    ) -> list[Generation]:
        """`sample_many`, blocking."""
        return _result(self._serving.generate(self._asked(questions, images), params))

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
        text = self.prompts.ask(
            "reanswer", question.text, question.choices, previous=previous, critique=critique
        )
        turn = Turn(text, images, f"{question.digest}\0{text}")
        return (await _served(self._serving.generate([turn], params)))[0]

    async def complete(
        self, text: str, images: Sequence[Image], params: SamplingParams
    ) -> Generation:
        """Reply to one user turn, the images first and then the text, as it stands."""
        return (await _served(self._serving.generate([Turn(text, images, text)], params)))[0]

    def complete_sync(
        self, text: str, images: Sequence[Image], params: SamplingParams
    ) -> Generation:
        """`complete`, blocking."""
        return self.complete_many_sync([text], [images], params)[0]

    def complete_many_sync(
        self, texts: Sequence[str], images: Sequence[Sequence[Image]], params: SamplingParams
    ) -> list[Generation]:
        """`complete` of many user turns as one batch, blocking; seeds as in `sample_many`."""
        turns = [Turn(text, each, text) for text, each in zip(texts, images, strict=True)]
        return _result(self._serving.generate(turns, params))

    async def contrast(
        self,
        question: Question,
        images: Sequence[Image],
        noised: Sequence[Image],
        params: ContrastParams,
        *,
        candidates: Sequence[Sample] = (),
    ) -> Contrast:
        """Decode in lock-step against the noised images; `candidates` are not needed."""
        return (await _served(self._contrast([question], [images], [noised], params)))[0]

    def contrast_many_sync(
        self,
        questions: Sequence[Question],
        images: Sequence[Sequence[Image]],
        noised: Sequence[Sequence[Image]],
        params: ContrastParams,
    ) -> list[Contrast]:
        """`contrast` of many questions as one batch, blocking."""
        return _result(self._contrast(questions, images, noised, params))

    async def score(
        self, question: Question, images: Sequence[Image], completions: Sequence[Sequence[int]]
    ) -> tuple[Score, ...]:
        """Score completions given as token ids, under these images (clean or noised)."""
        if not completions:
            return ()
        (turn,) = self._asked([question], [images])
        return await _served(self._serving.score(turn, completions))

    async def aclose(self) -> None:
        """Wait for the calls being served, and let the checkpoint go.

        Calls that wait end in an `EngineError`.
        """
        if self._served is not None:
            await asyncio.to_thread(self._served.close)
        self._loaded = self._served = None

    @property
    def _serving(self) -> ServedModel:
        if self._served is None:
            raise self._closed_error()
        return self._served

    def _closed_error(self) -> EngineError:
        return EngineError(f"the engine {self.name} is closed: load it again")

    def _asked(
        self, questions: Sequence[Question], images: Sequence[Sequence[Image]]
    ) -> list[Turn]:
        """The user turns that ask the questions."""
        return [
            Turn(
                self.prompts.ask("answer", question.text, question.choices),
                pictures,
                question.digest,
            )
            for question, pictures in zip(questions, images, strict=True)
        ]

    def _contrast(
        self,
        questions: Sequence[Question],
        images: Sequence[Sequence[Image]],
        noised: Sequence[Sequence[Image]],
        params: ContrastParams,
    ) -> Call[list[Contrast]]:
        for clean, other in zip(images, noised, strict=True):
            if len(clean) != len(other):
                raise EngineError(f"{len(clean)} images but {len(other)} noised: give one each")
        seen, blurred = self._asked(questions, images), self._asked(questions, noised)
        return self._serving.contrast(seen, blurred, params)


async def _served(call: Call[_T]) -> _T:
    return await served(call.future, lambda: call.begun is not None)


def _result(call: Call[_T]) -> _T:
    """Wait for a call; who stops waiting, as Ctrl-C does, cancels it."""
    try:
        return call.future.result()
    except BaseException:
        call.future.cancel()
        raise
