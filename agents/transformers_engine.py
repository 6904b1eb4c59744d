"""The base model on transformers: every call of `Engine`, with exact confidence."""

import asyncio
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import cached_property
from pathlib import Path
from typing import TypeVar

import torch
from PIL.Image import Image

from catts.agents.answer_span import answer_tokens
from catts.agents.card import ModelCard
from catts.agents.contrast import contrastive_decode
from catts.agents.fingerprint import fingerprint
from catts.agents.inputs import Batch, Turn, encode
from catts.agents.loading import LoadedModel, load_model
from catts.agents.prefix import Prefix
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
from catts.agents.sampling import Completion, decode
from catts.agents.scoring import score_completions
from catts.confidence import ConfidenceKind, sequence_confidences
from catts.errors import EngineError
from catts.prompts import PromptSet, format_choices
from catts.question import Question

_T = TypeVar("_T")


class TransformersEngine:
    """An image-text-to-text checkpoint of transformers as a base model.

    Implements `catts.agents.protocol.Engine`. All model work of an engine runs in one worker
    thread of its own, so calls are safe from any thread or event loop and are served in turn.
    Beside each asynchronous method stands a synchronous one for programs without an event loop.
    """

    def __init__(self, loaded: LoadedModel) -> None:
        self._loaded = loaded
        self._worker = ThreadPoolExecutor(max_workers=1, thread_name_prefix="catts-engine")
        self._usage = Usage()
        self._usage_lock = threading.Lock()
        self._closed = False

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
        return self._loaded.name

    @property
    def card(self) -> ModelCard:
        """The checkpoint's card, or the defaults when it ships none."""
        return self._loaded.card

    @property
    def prompts(self) -> PromptSet:
        """The prompt set that questions are asked with."""
        return self._loaded.prompts

    @cached_property
    def fingerprint(self) -> str:
        """Hex digest of weights, tokenizer, processor, adapter, prompts and dtype."""
        return fingerprint(self._loaded.folders, (self.prompts.hash, str(self._loaded.dtype)))

    @property
    def capabilities(self) -> Capabilities:
        """Everything the protocol knows of."""
        return Capabilities(lock_step_contrast=True, exact_token_scoring=True)

    @property
    def usage(self) -> Usage:
        """What all calls so far have cost."""
        return self._usage

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
        return await self._call(
            lambda t: self._generate(self._answer_turns(questions, images), params, t)
        )

    def sample_many_sync(
        self,
        questions: Sequence[Question],
        images: Sequence[Sequence[Image]],
        params: SamplingParams,
    ) -> list[Generation]:
        """`sample_many`, blocking."""
        return self._submit(
            lambda t: self._generate(self._answer_turns(questions, images), params, t)
        ).result()

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
        return (await self._call(lambda t: self._generate([turn], params, t)))[0]

    async def complete(
        self, text: str, images: Sequence[Image], params: SamplingParams
    ) -> Generation:
        """Reply to one user turn, the images first and then the text, as it stands."""
        turn = Turn(text, images, text)
        return (await self._call(lambda t: self._generate([turn], params, t)))[0]

    def complete_sync(
        self, text: str, images: Sequence[Image], params: SamplingParams
    ) -> Generation:
        """`complete`, blocking."""
        return self.complete_many_sync([text], [images], params)[0]

    def complete_many_sync(
        self, texts: Sequence[str], images: Sequence[Sequence[Image]], params: SamplingParams
    ) -> list[Generation]:
        """`complete` of many user turns as one batch, blocking; seeds as in `sample_many`."""
        turns = [Turn(t, pictures, t) for t, pictures in zip(texts, images, strict=True)]
        return self._submit(lambda t: self._generate(turns, params, t)).result()

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
        return await self._call(lambda t: self._contrast(question, images, noised, params, t))

    def contrast_sync(
        self,
        question: Question,
        images: Sequence[Image],
        noised: Sequence[Image],
        params: ContrastParams,
    ) -> Contrast:
        """`contrast`, blocking."""
        return self._submit(lambda t: self._contrast(question, images, noised, params, t)).result()

    async def score(
        self, question: Question, images: Sequence[Image], completions: Sequence[Sequence[int]]
    ) -> tuple[Score, ...]:
        """Score completions given as token ids, under these images (clean or noised)."""
        return await self._call(lambda t: self._score(question, images, completions, t))

    async def aclose(self) -> None:
        """Wait for the call being served, drop those that wait, and free the worker."""
        self._closed = True
        await asyncio.to_thread(self._worker.shutdown, wait=True, cancel_futures=True)

    # ---- what runs in the worker thread

    def _answer_turns(
        self, questions: Sequence[Question], images: Sequence[Sequence[Image]]
    ) -> list[Turn]:
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

    def _encode(self, turns: Sequence[Turn]) -> Batch:
        loaded = self._loaded
        batch = encode(turns, loaded.processor, loaded.vocabulary.reserved, loaded.dtype)
        inputs = {name: value.to(loaded.device) for name, value in batch.inputs.items()}
        return batch._replace(inputs=inputs)

    def _generate(
        self, turns: Sequence[Turn], params: SamplingParams, started: float
    ) -> list[Generation]:
        batch = self._encode(turns)
        vocabulary = self._loaded.vocabulary
        decoded = decode(
            Prefix.read(self._loaded.model, batch.inputs),
            params,
            [turn.key for turn in turns],
            end_ids=vocabulary.end_ids,
            suppressed=vocabulary.suppressed,
        )
        seconds = (time.perf_counter() - started) / len(turns)
        return [
            Generation(
                samples=tuple(map(self._sample, completions)),
                usage=self._spend(length, completions, seconds),
            )
            for completions, length in zip(decoded, batch.lengths, strict=True)
        ]

    def _contrast(
        self,
        question: Question,
        images: Sequence[Image],
        noised: Sequence[Image],
        params: ContrastParams,
        started: float,
    ) -> Contrast:
        if len(images) != len(noised):
            raise EngineError(f"{len(images)} images but {len(noised)} noised ones: give one each")
        batch = self._encode(self._answer_turns([question, question], [images, noised]))
        vocabulary = self._loaded.vocabulary
        completion = contrastive_decode(
            Prefix.read(self._loaded.model, batch.inputs),
            params,
            end_ids=vocabulary.end_ids,
            suppressed=vocabulary.suppressed,
        )
        seconds = time.perf_counter() - started
        return Contrast(
            sample=self._sample(completion),
            method="lock_step",
            usage=self._spend(sum(batch.lengths), [completion], seconds),
        )

    def _score(
        self,
        question: Question,
        images: Sequence[Image],
        completions: Sequence[Sequence[int]],
        started: float,
    ) -> tuple[Score, ...]:
        if not completions:
            return ()
        batch = self._encode(self._answer_turns([question], [images]))
        prefix = Prefix.read(self._loaded.model, batch.inputs)
        vocabulary = prefix.logits.shape[-1]
        if any(not 0 <= token < vocabulary for ids in completions for token in ids):
            raise EngineError(f"a token id lies outside the vocabulary of {vocabulary} tokens")
        scored = score_completions(prefix, completions, end_ids=self._loaded.vocabulary.end_ids)
        read = batch.lengths[0] + sum(map(len, completions))
        self._spend(read, (), time.perf_counter() - started)
        return tuple(
            Score(logprobs=completion.logprobs, confidence=self._confidence(completion))
            for completion in scored
        )

    def _sample(self, completion: Completion) -> Sample:
        ids = completion.token_ids
        return Sample(
            text=self._text(ids[:-1] if completion.ended else ids),
            token_ids=ids,
            confidence=self._confidence(completion),
            finish_reason="stop" if completion.ended else "length",
        )

    def _confidence(self, completion: Completion) -> dict[ConfidenceKind, float]:
        span = answer_tokens(completion.token_ids, self._text)
        return sequence_confidences(completion.confidence, completion.logprobs, span)

    def _text(self, token_ids: Sequence[int]) -> str:
        text: str = self._loaded.processor.tokenizer.decode(
            list(token_ids), skip_special_tokens=False, clean_up_tokenization_spaces=False
        )
        return text

    def _spend(self, read: int, written: Sequence[Completion], seconds: float) -> Usage:
        usage = Usage(
            calls=1,
            prompt_tokens=read,
            completion_tokens=sum(len(completion.token_ids) for completion in written),
            seconds=seconds,
        )
        with self._usage_lock:
            self._usage += usage
        return usage

    # ---- the worker thread

    async def _call(self, work: Callable[[float], _T]) -> _T:
        return await asyncio.wrap_future(self._submit(work))

    def _submit(self, work: Callable[[float], _T]) -> "Future[_T]":
        if self._closed:
            raise EngineError(f"the engine {self.name} is closed: load it again")
        return self._worker.submit(_guarded, work, time.perf_counter())


def _guarded(work: Callable[[float], _T], started: float) -> _T:
    """Run model work without gradients; what fails inside the model is an `EngineError`."""
    try:
        with torch.inference_mode():
            return work(started)
    except torch.OutOfMemoryError as error:
        raise EngineError(
            "out of GPU memory: ask for fewer samples, fewer questions at once, smaller images, "
            "or a 16-bit dtype"
        ) from error
    except (RuntimeError, ValueError, IndexError) as error:
        raise EngineError(f"the model failed: {type(error).__name__}: {error}") from error
