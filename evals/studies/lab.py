"""Where a study is made: its questions, its models, its store."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any, Self

from catts.agents.card import ModelCard
from catts.agents.failures import clean
from catts.agents.protocol import SamplingParams
from catts.agents.spec import check_local
from catts.evals.asking import Asking
from catts.evals.benchmarks.by_name import load_benchmark
from catts.evals.benchmarks.digest import data_digest
from catts.evals.benchmarks.item import Item
from catts.evals.benchmarks.loading import Loaded
from catts.evals.graders.grade import gold_of
from catts.evals.studies import telling
from catts.evals.studies.result import Curves, Line, StudyResult
from catts.evals.studies.setting import Made, Setting, by_label
from catts.evals.studies.votes import Voted, voted
from catts.graph.context import Context
from catts.graph.opening import open_context
from catts.graph.trace import Trace
from catts.store import Store

_REPLIED = {"ReplyError", "Refused"}
"""Failures of a role whose model did reply."""


@dataclass(frozen=True)
class Lab:
    """Questions and models of one setting, as long as it is open."""

    setting: Setting
    loaded: Loaded
    context: Context
    """The models themselves, with routing `paper`."""
    asking: Asking
    """The same questions and models, answers kept in the store."""
    store: Store
    data: str
    """SHA-256 (hex) over the questions, their pictures and gold answers."""
    failed: Counter[str] = field(default_factory=Counter)
    """Node to the runs so far in which it failed for want of a reply."""
    unusable: Counter[str] = field(default_factory=Counter)
    """Node to the runs so far in which its model replied, and nothing could be done with it."""
    left_out: Mapping[str, str] = field(default_factory=dict)
    """Id of each question that the base model cannot answer, none of `items`, to what it said."""
    others: dict[str, ModelCard] = field(default_factory=dict)
    """Name to card of each base so far beside the setting's own."""

    @property
    def items(self) -> Sequence[Item]:
        """The questions."""
        return self.asking.items

    async def run(self, title: str, context: Context | None = None, **policy: Any) -> list[Voted]:
        """The graph on every question, under `policy` changes to the context's."""
        held = self.asking.context if context is None else context
        changed = replace(held, policy=held.policy.model_copy(update=policy))
        return self._counted(self.items, await self.asking.traces(title, changed))

    async def alone(self, title: str, first: int, **policy: Any) -> list[Voted]:
        """The graph on the `first` questions, one at a time, by models that are really asked.

        Nothing is taken from the store or put into it, so a run's latency is what a user waits.
        """
        held = replace(self.context, policy=self.context.policy.model_copy(update=policy))
        live = Asking(self.items[:first], held, concurrency=1, quiet=self.setting.quiet)
        return self._counted(live.items, await live.traces(title))

    async def answerable(
        self, params: SamplingParams, title: str, context: Context | None = None
    ) -> Self:
        """This lab with the questions alone to which the base model can draw such samples.

        Those that it cannot answer, being too long for it for example, are told in every result.

        Args:
            params: how they are drawn.
            title: of the progress that is shown.
            context: whose base model is asked; this lab's unless told otherwise.

        Raises:
            EngineError: it can answer none.
        """
        held = self.asking.context if context is None else context
        answered, left_out = await replace(self.asking, context=held).answerable(params, title)
        kept = replace(self.asking, items=answered.items)
        return replace(self, asking=kept, left_out={**self.left_out, **left_out})

    @asynccontextmanager
    async def with_models(self, base: str | None, expert: str) -> AsyncIterator[Context]:
        """A stored context with these models; None is this one's base."""
        own = expert == self.setting.expert
        if base is None and own:
            yield self.asking.context
            return
        given: Any = self.context.engine if base is None else base
        options = _options(self.setting, own_expert=own)
        async with open_context(given, expert, **options) as opened:
            if base is not None:
                self.others[base] = telling.card_of(opened)
            yield Asking.stored([], opened, self.store).context

    def seen(self) -> int:
        """How many of the questions the cards of the bases so far were chosen on, at most.

        Blocks while pictures are decoded, if a card tells on which questions it was chosen.
        """
        return telling.seen((telling.card_of(self.context), *self.others.values()), self.items)

    def result(
        self,
        study: str,
        title: str,
        columns: Sequence[str],
        lines: Sequence[Line],
        notes: Sequence[str],
        *,
        curves: Curves | None = None,
        axes: tuple[str, str] = ("", ""),
        log_x: bool = False,
    ) -> StudyResult:
        """The study's result, with how it came about; blocks as `seen` does."""
        cards = {self.context.engine.name: telling.card_of(self.context), **self.others}
        told = [
            *telling.of_rows(len(self.loaded.skipped)),
            *telling.of_cards(cards, self.items, self.context.expert.name),
            *telling.of_nodes(self.unusable, self.failed),
            *telling.of_left_out(self.left_out),
        ]
        return StudyResult(
            made=self.made(study),
            title=title,
            columns=tuple(columns),
            lines=tuple(lines),
            notes=(*notes, *told),
            curves=curves or {},
            axes=axes,
            log_x=log_x,
            complete=not self.failed and not self.left_out,
        )

    def made(self, study: str) -> Made:
        """How what is found here comes about."""
        context, setting = self.context, self.setting
        if setting.expert_url is not None:  # what stands in an address besides may be a key
            setting = setting.model_copy(update={"expert_url": clean(setting.expert_url)})
        return Made(
            study=study,
            setting=setting,
            questions=len(self.items),
            base=context.engine.name,
            base_fingerprint=context.engine.fingerprint,
            expert=context.expert.name,
            expert_fingerprint=context.expert.fingerprint,
            policy=context.policy,
            catts_version=version("catts"),
            data=self.data,
            date=datetime.now(UTC).date(),
        )

    def _counted(self, items: Sequence[Item], traces: Sequence[Trace]) -> list[Voted]:
        for failure in (failure for trace in traces for failure in trace.failures):
            counter = self.unusable if failure.error in _REPLIED else self.failed
            counter[failure.node] += 1
        return voted(items, traces)


@asynccontextmanager
async def open_lab(setting: Setting) -> AsyncIterator[Lab]:
    """Load questions and models, and open the store; all are let go at the end.

    Raises:
        InputError: the task, its files, a model or the store cannot be used, or a question has no
            label.
    """
    for several in by_label(setting.calibrated_bases).values():
        for base in several:
            check_local(base, "base")
    loaded = await asyncio.to_thread(
        load_benchmark,
        setting.task,
        setting.data,
        split=setting.split,
        limit=setting.limit,
        skip_malformed=setting.skip_malformed,
    )
    for item in loaded.items:
        gold_of(item)  # before hours of asking rather than behind them
    data = await asyncio.to_thread(data_digest, loaded.items)
    store = Store(setting.store)
    try:
        options = _options(setting, own_expert=True)
        async with open_context(setting.base, setting.expert, **options) as context:
            asking = Asking.stored(
                loaded.items,
                context,
                store,
                concurrency=setting.concurrency,
                quiet=setting.quiet,
            )
            yield Lab(setting, loaded, context, asking, store, data)
    finally:
        store.close()


def _options(setting: Setting, *, own_expert: bool) -> dict[str, Any]:
    return {
        "routing": "paper",
        "samples": setting.samples,
        "seed": setting.seed,
        "device": setting.device,
        # a bench waits for its turn: a question of many under way is not late
        "node_timeout": None,
        # the address is that of the setting's expert, and no other model's
        "expert_url": setting.expert_url if own_expert else None,
    }
