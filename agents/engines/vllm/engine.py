"""The base model on a vLLM server: every call of `Engine`, over HTTP, with exact confidence."""

import asyncio
import hashlib
import json
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import uuid4

from PIL.Image import Image

from catts.agents.card import ModelCard, fitted_card, has_card, read_card
from catts.agents.engines.vllm.address import read_address
from catts.agents.engines.vllm.contrast import best_of
from catts.agents.engines.vllm.pairs import ROLES, Half
from catts.agents.engines.vllm.replicas import Replicas
from catts.agents.engines.vllm.server import Served, api_key, look_at
from catts.agents.engines.vllm.wire import (
    CHAT,
    GENERATE,
    RENDER,
    half_request,
    read_pair,
    read_rendered,
    read_samples,
    read_score,
    read_usage,
    render_request,
    sampling_request,
    scoring_request,
    tokens_request,
    user_turn,
)
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
from catts.errors import EngineError
from catts.prompts import PromptSet, load_prompts
from catts.question import Question


class VLLMEngine:
    """A model on one or several vLLM servers as a base model.

    Implements `catts.agents.protocol.Engine`. Calls are safe from any event loop; vLLM batches
    what is asked at the same time. What the server does with a picture and what its checkpoint's
    template makes of a turn are the server's; this engine sends pictures and texts.
    """

    def __init__(
        self,
        served: Served,
        *,
        prompts: PromptSet | None = None,
        replicas: Replicas | None = None,
    ) -> None:
        """Use the servers that `look_at` has found; `replicas` sends to them, by default its own.

        The card is the one beside the checkpoint where its folder can be read from here, else the
        one that was fitted for this engine's fingerprint, else the defaults.
        """
        self._served = served
        folder = served.folder
        card = ModelCard() if folder is None else read_card(folder)
        self._prompts = prompts or load_prompts(card.prompt_set)
        told = ["vllm", served.model, served.root, served.context, self._prompts.hash]
        self._fingerprint = hashlib.sha256(json.dumps(told).encode()).hexdigest()
        if folder is None or not has_card([folder]):
            card = fitted_card(self._fingerprint)
        self._card = card
        self._replicas = replicas or Replicas(served.urls, api_key())
        self._replicas.copies = served.engines
        self._account = Account()

    @classmethod
    def load(cls, spec: str, *, prompts: PromptSet | None = None) -> "VLLMEngine":
        """Look at the servers that `spec` names, `vllm:ADDRESS[,ADDRESS...][#MODEL]`.

        Raises:
            ModelSpecError: a server does not answer, does not serve the model, or serves another
                checkpoint or context than its replicas; or the package openai is missing.
        """
        return cls(look_at(read_address(spec)), prompts=prompts)

    @property
    def name(self) -> str:
        """The card's name, else the model's on the server."""
        return self._card.name or self._served.model

    @property
    def card(self) -> ModelCard:
        """The model's card, or the defaults when it has none."""
        return self._card

    @property
    def prompts(self) -> PromptSet:
        """The prompt set that questions are asked with."""
        return self._prompts

    @property
    def served(self) -> Served:
        """What the servers said of themselves."""
        return self._served

    @property
    def fingerprint(self) -> str:
        """Hex digest of the model's name and folder on the server, its context, and the prompts.

        A server does not tell its weights: other weights under the same name are the same here.
        """
        return self._fingerprint

    @property
    def capabilities(self) -> Capabilities:
        """What the servers offer."""
        return Capabilities(
            lock_step_contrast=self._served.lock_step,
            exact_token_scoring=self._served.scores_tokens,
        )

    @property
    def usage(self) -> Usage:
        """What all calls so far have cost."""
        return self._account.total

    async def seen_size(self, image: Image) -> tuple[int, int]:
        """The picture's own size: what the server's processor makes of it, it does not tell."""
        return image.size

    async def sample(
        self, question: Question, images: Sequence[Image], params: SamplingParams
    ) -> Generation:
        """Draw `params.n` answers to `question`."""
        return await self.complete(self._asked(question), images, params)

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
        text = self._prompts.ask(
            "reanswer", question.text, question.choices, previous=previous, critique=critique
        )
        return await self.complete(text, images, params)

    async def complete(
        self, text: str, images: Sequence[Image], params: SamplingParams
    ) -> Generation:
        """Reply to one user turn, the images first and then the text, as it stands."""
        turn = await asyncio.to_thread(user_turn, text, images)
        reply, usage = await self._post(sampling_request(self._served.model, turn, params))
        samples = read_samples(reply)
        if params.temperature == 0:
            samples *= params.n
        if len(samples) != params.n:
            raise EngineError(f"the server drew {len(samples)} completions of {params.n}")
        return Generation(samples=samples, usage=usage)

    def complete_sync(
        self, text: str, images: Sequence[Image], params: SamplingParams
    ) -> Generation:
        """`complete`, blocking; also beside an event loop that runs in this thread."""

        async def alone() -> Generation:
            try:
                return await self.complete(text, images, params)
            finally:
                await self._replicas.let_go()

        with ThreadPoolExecutor(1) as thread:
            return thread.submit(lambda: asyncio.run(alone())).result()

    async def contrast(
        self,
        question: Question,
        images: Sequence[Image],
        noised: Sequence[Image],
        params: ContrastParams,
        *,
        candidates: Sequence[Sample] = (),
    ) -> Contrast:
        """Decode against the noised images in lock-step where the server has our plugin for it.

        Elsewhere, and where the server could not keep the two together, the result is the candidate
        that survives contrast; `method` says which it was.

        Raises:
            EngineError: there is no candidate to score, or the server failed.
        """
        if len(images) != len(noised):
            raise EngineError(f"{len(images)} images but {len(noised)} noised: give one each")
        if self._served.lock_step:
            found = await self._lock_step(question, images, noised, params)
            if found is not None:
                return found
        if not candidates:
            raise EngineError("this server can only score answers, and none was given to it")
        start = time.perf_counter()
        clean, other = await asyncio.gather(
            self._scores(question, images, candidates), self._scores(question, noised, candidates)
        )
        usage = sum((used for _, used in (*clean, *other)), Usage())
        usage = usage.model_copy(update={"seconds": time.perf_counter() - start})
        seen, blurred = [score for score, _ in clean], [score for score, _ in other]
        chosen = candidates[best_of(seen, blurred, params)]
        return Contrast(sample=chosen, method="candidate_scoring", usage=usage)

    async def _lock_step(
        self,
        question: Question,
        images: Sequence[Image],
        noised: Sequence[Image],
        params: ContrastParams,
    ) -> Contrast | None:
        """The contrastive completion; None where the server could not keep both together."""
        start = time.perf_counter()
        prompts = await asyncio.gather(
            self._rendered(question, images), self._rendered(question, noised)
        )
        tokens, pair = prompts[0]["token_ids"], uuid4().hex
        halves = [
            # a prompt's first token opens a turn, and is in no completion
            Half(pair, role, params.alpha, params.beta, first=tokens[-1], broken=tokens[0])
            for role in ROLES
        ]
        bodies = [
            half_request(prompt, half, params.max_new_tokens)
            for prompt, half in zip(prompts, halves, strict=True)
        ]
        clean, other = await self._replicas.post_together(GENERATE, bodies, int(pair, 16))
        usage = read_usage(clean, 0.0) + read_usage(other, time.perf_counter() - start)
        self._account.add(usage)
        sample = read_pair(clean, other, halves[0])
        if sample is None:
            return None
        return Contrast(sample=sample, method="lock_step", usage=usage)

    async def _rendered(self, question: Question, images: Sequence[Image]) -> Mapping[str, Any]:
        turn = await asyncio.to_thread(user_turn, self._asked(question), images)
        body = render_request(self._served.model, turn)
        return read_rendered(await self._replicas.post(RENDER, body))

    async def score(
        self, question: Question, images: Sequence[Image], completions: Sequence[Sequence[int]]
    ) -> tuple[Score, ...]:
        """Score completions given as token ids, under these images (clean or noised)."""
        if not self._served.scores_tokens:
            raise EngineError(
                "this server scores texts, not tokens: start vLLM with --enable-scale-out"
            )
        rendered = await self._rendered(question, images)

        async def one(ids: Sequence[int]) -> Score:
            start = time.perf_counter()
            body = tokens_request(rendered, ids)
            reply = await self._replicas.post(GENERATE, body)
            self._account.add(read_usage(reply, time.perf_counter() - start))
            return read_score(reply, ids)

        return tuple(await asyncio.gather(*map(one, completions)))

    async def aclose(self) -> None:
        """Close the connections."""
        await self._replicas.aclose()

    def _asked(self, question: Question) -> str:
        return self._prompts.ask("answer", question.text, question.choices)

    async def _scores(
        self, question: Question, images: Sequence[Image], completions: Sequence[Sample]
    ) -> list[tuple[Score, Usage]]:
        turn = await asyncio.to_thread(user_turn, self._asked(question), images)

        async def one(sample: Sample) -> tuple[Score, Usage]:
            body = scoring_request(self._served.model, turn, sample.text)
            reply, usage = await self._post(body)
            # the text goes on: what ended the turn is not read
            ids = sample.token_ids[:-1] if sample.finish_reason == "stop" else sample.token_ids
            return read_score(reply, ids), usage

        return list(await asyncio.gather(*map(one, completions)))

    async def _post(self, body: Mapping[str, Any]) -> tuple[Mapping[str, Any], Usage]:
        start = time.perf_counter()
        reply = await self._replicas.post(CHAT, body)
        usage = read_usage(reply, time.perf_counter() - start)
        self._account.add(usage)
        return reply, usage
