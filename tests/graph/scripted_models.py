"""An engine and an expert that follow a script: for logic that no model decides."""

import asyncio
import hashlib
from collections.abc import Mapping, Sequence

from PIL.Image import Image

from catts.agents.expert import Candidate, Critique, Plan, RoleResult, Vote
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
from catts.confidence import ConfidenceKind
from catts.names import MODULES, Module
from catts.question import Question

Said = tuple[str, float]
"""What a completion answers, and its confidence; an empty answer cannot be read."""

ONE_CALL = Usage(calls=1, prompt_tokens=10, completion_tokens=5, seconds=0.01)


def completion(said: Said, kind: ConfidenceKind = "top_k_mean") -> Sample:
    answer, confidence = said
    text = f"<think>look</think>\\boxed{{{answer}}}" if answer else "<think>I cannot"
    return Sample(text=text, token_ids=(1, 2, 3), confidence={kind: confidence})


class ScriptedEngine:
    """Says what it is told; `fail` maps a method to the error it raises, `slow` to seconds."""

    def __init__(
        self,
        samples: Sequence[Said] = (("3", 2.0), ("3", 2.5), ("4", 3.0), ("", 9.0)),
        *,
        reanswer: str = "4",
        contrast: str = "3",
        fail: Mapping[str, Exception] | None = None,
        slow: Mapping[str, float] | None = None,
        kind: ConfidenceKind = "top_k_mean",
        fingerprint: str = "engine",
    ) -> None:
        self.name = "scripted"
        self.fingerprint = fingerprint
        self.capabilities = Capabilities(lock_step_contrast=True, exact_token_scoring=True)
        self.usage = Usage()
        self.calls: list[str] = []
        self.closed = 0
        self._samples, self._kind = samples, kind
        self._reanswer, self._contrast = reanswer, contrast
        self._fail, self._slow = dict(fail or {}), dict(slow or {})
        self.critiques: list[str] = []
        self.noised: list[bytes] = []
        self.sizes: list[tuple[int, int]] = []

    async def _act(self, method: str) -> None:
        self.calls.append(method)
        await asyncio.sleep(self._slow.get(method, 0))
        if method in self._fail:
            raise self._fail[method]

    async def seen_size(self, image: Image) -> tuple[int, int]:
        return image.size

    async def sample(
        self, question: Question, images: Sequence[Image], params: SamplingParams
    ) -> Generation:
        await self._act("sample")
        self.sizes += [image.size for image in images]
        return Generation(
            samples=tuple(completion(s, self._kind) for s in self._samples), usage=ONE_CALL
        )

    async def reanswer(
        self,
        question: Question,
        images: Sequence[Image],
        *,
        previous: str,
        critique: str,
        params: SamplingParams,
    ) -> Generation:
        await self._act("reanswer")
        self.critiques.append(critique)
        return Generation(samples=(completion((self._reanswer, 2.0)),), usage=ONE_CALL)

    async def contrast(
        self,
        question: Question,
        images: Sequence[Image],
        noised: Sequence[Image],
        params: ContrastParams,
        *,
        candidates: Sequence[Sample] = (),
    ) -> Contrast:
        await self._act("contrast")
        self.noised += [image.tobytes() for image in noised]
        return Contrast(
            sample=completion((self._contrast, 2.0)), method="lock_step", usage=ONE_CALL
        )

    async def score(
        self, question: Question, images: Sequence[Image], completions: Sequence[Sequence[int]]
    ) -> tuple[Score, ...]:
        raise NotImplementedError("the graph scores nothing")

    async def aclose(self) -> None:
        self.closed += 1


class ScriptedExpert:
    """Plans `order`, votes `votes` (answer to probability), criticises with `critique`."""

    def __init__(
        self,
        *,
        order: Sequence[Module] = MODULES,
        votes: Mapping[str, float] | None = None,
        critique: str = "count again",
        fail: Mapping[str, Exception] | None = None,
        slow: Mapping[str, float] | None = None,
    ) -> None:
        self.name = "scripted-expert"
        self.calls: list[str] = []
        self.closed = 0
        self._order, self._votes, self._critique = tuple(order), votes, critique
        self._fail, self._slow = dict(fail or {}), dict(slow or {})
        self.candidates: list[tuple[Candidate, ...]] = []
        self.criticised: list[tuple[str, str]] = []
        self.shown: list[tuple[int, int]] = []

    @property
    def fingerprint(self) -> str:
        return hashlib.sha256(self._critique.encode()).hexdigest()

    async def _act(self, role: str) -> None:
        self.calls.append(role)
        await asyncio.sleep(self._slow.get(role, 0))
        if role in self._fail:
            raise self._fail[role]

    async def plan(
        self, question: Question, images: Sequence[Image], candidates: Sequence[Candidate]
    ) -> RoleResult[Plan]:
        await self._act("planner")
        self.shown += [image.size for image in images]
        return RoleResult(reply=Plan(order=self._order, reason="so"), usage=ONE_CALL, attempts=1)

    async def vote(
        self, question: Question, images: Sequence[Image], candidates: Sequence[Candidate]
    ) -> RoleResult[Vote]:
        await self._act("voter")
        self.shown += [image.size for image in images]
        self.candidates.append(tuple(candidates))
        even = 1 / len(candidates)
        told = [even if self._votes is None else self._votes[c.answer] for c in candidates]
        return RoleResult(reply=Vote(probabilities=tuple(told)), usage=ONE_CALL, attempts=1)

    async def criticise(
        self, question: Question, images: Sequence[Image], answer: str, reasoning: str
    ) -> RoleResult[Critique]:
        await self._act("critic")
        self.shown += [image.size for image in images]
        self.criticised.append((answer, reasoning))
        return RoleResult(reply=Critique(text=self._critique), usage=ONE_CALL, attempts=1)

    async def aclose(self) -> None:
        self.closed += 1
