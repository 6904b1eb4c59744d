"""The base model on transformers: every call of `Engine`, with exact confidence."""

import asyncio
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import cached_property, partial
from pathlib import Path
from typing import TypeVar

import torch
from PIL.Image import Image

from catts.agents.card import ModelCard
from catts.agents.fingerprint import fingerprint
from catts.agents.inputs import Turn
from catts.agents.loading import LoadedModel, load_model
from catts.agents.local_model import LocalModel
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
from catts.errors import EngineError
from catts.prompts import PromptSet, format_choices
from catts.question import Question

_T = TypeVar("_T")


class TransformersEngine:
    """An image-text-to-text checkpoint of transformers as a base model.

    Implements `catts.agents.protocol.Engine`. All model work of an engine runs in one worker
    thread of its own, so calls are safe from any thread or event loop and are served in turn.
    Beside some asynchronous methods stands a synchronous one for programs without an event loop.
    """

    def __init__(self, loaded: LoadedModel) -> None:
        self._loaded: LoadedModel | None = loaded
        self._name, self._card, self._prompts = loaded.name, loaded.card, loaded.prompts
        self._folders, self._dtype = loaded.folders, str(loaded.dtype)
        self._worker = ThreadPoolExecutor(max_workers=1, thread_name_prefix="catts-engine")
        self._usage = Usage()
        self._usage_lock = threading.Lock()

    @classmethod
    def load(
        cls,
        spec: str | Path,
        *,
        device: str | None = None,
        dtype: str | None = None,
        prompts: PromptSet | None = None,
    ) -> "TransformersEngine":
        """Load a checkpoint; see `catts.agents.loading.load_model` for arguments and errors."""
        return cls(load_model(spec, device=device, dtype=dtype, prompts=prompts))

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
            raise EngineError(f"the engine {self.name} is closed: load it again")
        return self._loaded

    @cached_property
    def fingerprint(self) -> str:
        """Hex digest of weights, tokenizer, processor, adapter, prompts and dtype."""
        return fingerprint(self._folders, (self._prompts.hash, self._dtype))

    @property
    def capabilities(self) -> Capabilities:
        """Everything the protocol knows of."""
        return Capabilities(lock_step_contrast=True, exact_token_scoring=True)

    @property
    def usage(self) -> Usage:
        """What all calls so far have cost."""
        return self._usage

    async def seen_size(self, image: Image) -> tuple[int, int]:
        """Width and height in pixels at which the model sees `image`, scaled by its processor.

        Its own size where the processor does not tell (it makes no `image_grid_thw`).
        """
        work = self._submit(lambda model, _: model.seen_size(image))
        return await asyncio.wrap_future(work)

    async def sample(
        self, question: Question, images: Sequence[Image], params: SamplingParams
    ) -> Generation:
        """Draw `params.n` answers to `question`."""
        return (await self.sample_many([question], [images], params))[0]

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
        return await asyncio.wrap_future(self._generate(self._asked(questions, images), params))

    def sample_many_sync(
        self,
        questions: Sequence[Question],
        images: Sequence[Sequence[Image]],
        params: SamplingParams,
    ) -> list[Generation]:
        """`sample_many`, blocking."""
        return self._generate(self._asked(questions, images), params).result()

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
        text = self.prompts.render(
            "reanswer",
            question=question.text,
            choices=format_choices(question.choices),
            previous=previous,
            critique=critique,
        )
        turn = Turn(text, images, f"{question.digest}\0{text}")
        return (await asyncio.wrap_future(self._generate([turn], params)))[0]

    async def complete(
        self, text: str, images: Sequence[Image], params: SamplingParams
    ) -> Generation:
        """Reply to one user turn, the images first and then the text, as it stands."""
        future = self._generate([Turn(text, images, text)], params)
        return (await asyncio.wrap_future(future))[0]

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
        return self._generate(turns, params).result()

    async def contrast(
        self,
        question: Question,
        images: Sequence[Image],
        noised: Sequence[Image],
        params: ContrastParams,
        *,
        candidates: Sequence[str] = (),
    ) -> Contrast:
        """Decode in lock-step against the noised images; `candidates` are not needed."""
        future = self._contrast([question], [images], [noised], params)
        return (await asyncio.wrap_future(future))[0]

    def contrast_many_sync(
        self,
        questions: Sequence[Question],
        images: Sequence[Sequence[Image]],
        noised: Sequence[Sequence[Image]],
        params: ContrastParams,
    ) -> list[Contrast]:
        """`contrast` of many questions as one batch, blocking."""
        return self._contrast(questions, images, noised, params).result()

    def _contrast(
        self,
        questions: Sequence[Question],
        images: Sequence[Sequence[Image]],
        noised: Sequence[Sequence[Image]],
        params: ContrastParams,
    ) -> "Future[list[Contrast]]":
        for clean, other in zip(images, noised, strict=True):
            if len(clean) != len(other):
                raise EngineError(f"{len(clean)} images but {len(other)} noised: give one each")
        seen, blurred = self._asked(questions, images), self._asked(questions, noised)

        def work(model: LocalModel, started: float) -> list[Contrast]:
            drawn = model.contrast(seen, blurred, params)
            seconds = (time.perf_counter() - started) / max(1, len(drawn))
            return [
                Contrast(
                    sample=each.samples[0],
                    method="lock_step",
                    usage=self._spend(each.prompt_tokens, each.samples, seconds),
                )
                for each in drawn
            ]

        return self._submit(work)

    async def score(
        self, question: Question, images: Sequence[Image], completions: Sequence[Sequence[int]]
    ) -> tuple[Score, ...]:
        """Score completions given as token ids, under these images (clean or noised)."""
        if not completions:
            return ()
        (turn,) = self._asked([question], [images])

        def work(model: LocalModel, started: float) -> tuple[Score, ...]:
            scores, read = model.score(turn, completions)
            self._spend(read, (), time.perf_counter() - started)
            return scores

        return await asyncio.wrap_future(self._submit(work))

    async def aclose(self) -> None:
        """Wait for the call being served, drop those that wait, and let the checkpoint go."""
        await asyncio.to_thread(self._worker.shutdown, wait=True, cancel_futures=True)
        self._loaded = None

    def _asked(
        self, questions: Sequence[Question], images: Sequence[Sequence[Image]]
    ) -> list[Turn]:
        """The user turns that ask the questions."""
        return [
            Turn(
                self.prompts.render(
                    "answer", question=question.text, choices=format_choices(question.choices)
                ),
                pictures,
                question.digest,
            )
            for question, pictures in zip(questions, images, strict=True)
        ]

    def _generate(
        self, turns: Sequence[Turn], params: SamplingParams
    ) -> "Future[list[Generation]]":
        def work(model: LocalModel, started: float) -> list[Generation]:
            drawn = model.sample(turns, params)
            seconds = (time.perf_counter() - started) / max(1, len(turns))
            return [
                Generation(
                    samples=each.samples,
                    usage=self._spend(each.prompt_tokens, each.samples, seconds),
                )
                for each in drawn
            ]

        return self._submit(work)

    def _spend(self, read: int, written: Iterable[Sample], seconds: float) -> Usage:
        usage = Usage(
            calls=1,
            prompt_tokens=read,
            completion_tokens=sum(len(sample.token_ids) for sample in written),
            seconds=seconds,
        )
        with self._usage_lock:
            self._usage += usage
        return usage

    def _submit(self, work: Callable[[LocalModel, float], _T]) -> "Future[_T]":
        """Hand work to the worker thread; it is told when it was asked for."""
        model = LocalModel(self.loaded)
        try:
            return self._worker.submit(_guarded, partial(work, model, time.perf_counter()))
        except RuntimeError as error:
            raise EngineError(f"the engine {self.name} is closing: load it again") from error


def _guarded(work: Callable[[], _T]) -> _T:
    """Run model work; what fails inside the model is an `EngineError`."""
    try:
        return work()
    except torch.OutOfMemoryError as error:
        raise EngineError(
            "out of GPU memory: ask for fewer samples, fewer questions at once, smaller images, "
            "or a 16-bit dtype"
        ) from error
    except (RuntimeError, ValueError, IndexError) as error:
        raise EngineError(f"the model failed: {type(error).__name__}: {error}") from error
