"""A base model that fails now and then, as the script has it."""

import asyncio
import threading
from collections import defaultdict
from collections.abc import Sequence

from PIL.Image import Image

from catts.agents.protocol import (
    Contrast,
    ContrastParams,
    Engine,
    Generation,
    Sample,
    SamplingParams,
)
from catts.errors import EngineError
from catts.evals.chaos.script import Call, Case, EngineFault, Script
from catts.evals.replay import EngineBehind
from catts.question import Question


class ShakyEngine(EngineBehind):
    """An `Engine` around another, which is its own; it keeps what happened to each question."""

    def __init__(self, engine: Engine, script: Script) -> None:
        super().__init__(engine)
        self._script = script
        self._cases: dict[str, Case] = {}
        self._done: defaultdict[tuple[str, Call], list[EngineFault | None]] = defaultdict(list)
        self._lock = threading.Lock()

    def register(self, case: Case, question: str) -> None:
        """Expect a question, by its digest."""
        self._cases[question] = case

    def done(self, case: Case, call: Call) -> list[EngineFault | None]:
        """The faults of a question's calls of one kind, in order; None for a call that went on."""
        with self._lock:
            return list(self._done.get((case.id, call), ()))

    async def sample(
        self, question: Question, images: Sequence[Image], params: SamplingParams
    ) -> Generation:
        """As the engine, or a fault."""
        await self._meet(question, "sample")
        return await super().sample(question, images, params)

    async def reanswer(
        self,
        question: Question,
        images: Sequence[Image],
        *,
        previous: str,
        critique: str,
        params: SamplingParams,
    ) -> Generation:
        """As the engine, or a fault."""
        await self._meet(question, "reanswer")
        return await super().reanswer(
            question, images, previous=previous, critique=critique, params=params
        )

    async def contrast(
        self,
        question: Question,
        images: Sequence[Image],
        noised: Sequence[Image],
        params: ContrastParams,
        *,
        candidates: Sequence[Sample] = (),
    ) -> Contrast:
        """As the engine, or a fault."""
        await self._meet(question, "contrast")
        return await super().contrast(question, images, noised, params, candidates=candidates)

    async def aclose(self) -> None:
        """As the engine."""
        await self._engine.aclose()

    async def _meet(self, question: Question, call: Call) -> None:
        case = self._cases[question.digest]
        with self._lock:
            before = self._done[case.id, call]
            fault = self._script.engine_course(case, call).at(len(before))
            before.append(fault)
        if fault == "EngineError":
            raise EngineError(f"scripted: the {call} of {case.mark} cannot be made")
        if fault == "ConnectionError":
            raise ConnectionError(f"scripted: the {call} of {case.mark} lost its connection")
        if fault == "hangs":
            await asyncio.Event().wait()
