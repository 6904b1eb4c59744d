"""Questions, models and laboratories by hand, for studies whose numbers can be told beforehand."""

import asyncio
import io
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from PIL import Image
from scripted_models import ONE_CALL, ScriptedEngine, ScriptedExpert

from catts.agents.protocol import Contrast, Generation, Sample, SamplingParams, Score
from catts.calibration import ConfidenceMap
from catts.errors import EngineError
from catts.evals.asking import Asking
from catts.evals.benchmarks.digest import data_digest
from catts.evals.benchmarks.item import Item
from catts.evals.benchmarks.loading import Loaded
from catts.evals.peers import Drawn
from catts.evals.studies.lab import Lab
from catts.evals.studies.setting import Setting
from catts.evals.studies.votes import Voted
from catts.graph.context import Context
from catts.graph.embed import answer
from catts.question import Question
from catts.store import Store

MAP = ConfidenceMap(kind="top_k_mean", x=(0.0, 10.0), y=(0.0, 1.0), fitted_on="by hand")


def item(
    name: str = "one", gold: str | None = "3", *, size: tuple[int, int] = (24, 16), **fields: Any
) -> Item:
    """A question called by its picture's colour and its text: `name`."""
    png = io.BytesIO()
    Image.new("RGB", size, (sum(map(ord, name)) % 256, 90, 120)).save(png, format="PNG")
    return Item(
        id=name,
        question=f"{name}: how many?",
        choices=fields.pop("choices", ()),
        images=(png.getvalue(),),
        answer=gold,
        question_type="free-form",
        **fields,
    )


def said(answer: str, confidence: float = 1.0, tokens: Sequence[float] = (1.0, 1.0)) -> Sample:
    """A completion; an empty answer cannot be read."""
    text = f"<think>look</think>\\boxed{{{answer}}}" if answer else "<think>I cannot"
    kinds: dict[Any, float] = {
        "top_k_mean": confidence, "mean_logprob": -1 / confidence, "self_certainty": confidence,
    }  # fmt: skip
    return Sample(
        text=text,
        token_ids=tuple(range(len(tokens))),
        confidence=kinds,
        token_confidence=tuple(tokens),
    )


def drawn(key: str | None, *tokens: float, logprob: float = -1.0, certainty: float = 1.0) -> Drawn:
    """A sample as the peers take it."""
    return Drawn(key, tokens, logprob, certainty, len(tokens))


class Told(ScriptedEngine):
    """Says to each question, found by its name, the first n of what it is told.

    `asked` counts calls by name and method, `most` is how many were under way at once. Questions
    whose name is in `cannot` are too long for it.
    """

    def __init__(
        self, answers: dict[str, Sequence[Sample]], *, cannot: str = "", **options: Any
    ) -> None:
        super().__init__(**options)
        self.answers, self.cannot = answers, cannot
        self.asked: Counter[tuple[str, str]] = Counter()
        self.under_way = self.most = 0
        self.params: list[SamplingParams] = []
        self.pictures: list[Image.Image] = []

    async def _count(self, name: str, method: str) -> None:
        self.asked[name, method] += 1
        self.under_way += 1
        self.most = max(self.most, self.under_way)
        try:
            await asyncio.sleep(0)
            await self._act(method)
        finally:
            self.under_way -= 1

    async def sample(
        self, question: Question, images: Sequence[Image.Image], params: SamplingParams
    ) -> Generation:
        name = question.text.partition(":")[0]
        await self._count(name, "sample")
        if name in self.cannot:
            raise EngineError("too long")
        self.params.append(params)
        self.pictures += images
        samples = tuple(self.answers[name][: params.n])
        written = sum(len(s.token_ids) for s in samples)
        usage = ONE_CALL.model_copy(update={"completion_tokens": written})
        return Generation(samples=samples, usage=usage)

    async def contrast(self, question: Question, *rest: Any, **named: Any) -> Contrast:
        self.asked[question.text.partition(":")[0], "contrast"] += 1
        return await super().contrast(question, *rest, **named)

    async def reanswer(self, question: Question, *rest: Any, **named: Any) -> Generation:
        self.asked[question.text.partition(":")[0], "reanswer"] += 1
        return await super().reanswer(question, *rest, **named)

    async def score(
        self,
        question: Question,
        images: Sequence[Image.Image],
        completions: Sequence[Sequence[int]],
    ) -> tuple[Score, ...]:
        await self._count(question.text.partition(":")[0], "score")
        self.pictures += images
        return tuple(
            Score(
                logprobs=tuple(-1.0 for _ in ids),
                confidence={"top_k_mean": 1.0 + len(self.asked)} if ids else {},
            )
            for ids in completions
        )


async def run(
    asked: Item, engine: ScriptedEngine, expert: ScriptedExpert | None = None, **policy: Any
) -> Voted:
    """The graph's run on an item, by default with every module."""
    context = Context.of(engine, expert or ScriptedExpert(), **({"routing": "paper"} | policy))
    pictures = asked.load_images()
    trace = await answer(pictures, asked.question, choices=asked.choices, context=context)
    return Voted(asked, trace)


def laboratory(
    items: Sequence[Item],
    engine: ScriptedEngine,
    expert: ScriptedExpert,
    folder: Path,
    *,
    policy: dict[str, Any] | None = None,
    **setting: Any,
) -> Lab:
    """A lab of these, with its store in `folder`."""
    made = Setting(store=folder / "said.sqlite", **({"quiet": True} | setting))
    context = Context.of(
        engine, expert, **({"routing": "paper", "samples": made.samples} | (policy or {}))
    )
    store = Store(made.store)
    asking = Asking.stored(items, context, store, concurrency=made.concurrency, quiet=True)
    return Lab(made, Loaded(tuple(items)), context, asking, store, data_digest(items))
