"""Where a study is made: its questions, its models, its store."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from importlib.metadata import version
from typing import Any

from catts.evals.asking import Asking
from catts.evals.benchmarks.by_name import load_benchmark
from catts.evals.benchmarks.digest import data_digest
from catts.evals.benchmarks.item import Item
from catts.evals.benchmarks.loading import Loaded
from catts.evals.graders.grade import gold_of
from catts.evals.store import Store
from catts.evals.studies.result import Curves, Line, StudyResult
from catts.evals.studies.setting import Made, Setting
from catts.evals.studies.votes import Voted, voted
from catts.graph.context import Context
from catts.graph.opening import open_context

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

    @property
    def items(self) -> Sequence[Item]:
        """The questions."""
        return self.asking.items

    async def run(self, title: str, context: Context | None = None, **policy: Any) -> list[Voted]:
        """The graph on every question, under `policy` changes to the context's."""
        held = self.asking.context if context is None else context
        changed = replace(held, policy=held.policy.model_copy(update=policy))
        traces = await self.asking.traces(title, changed)
        for failure in (failure for trace in traces for failure in trace.failures):
            counter = self.unusable if failure.error in _REPLIED else self.failed
            counter[failure.node] += 1
        return voted(self.items, traces)

    @asynccontextmanager
    async def with_models(self, base: str | None, expert: str) -> AsyncIterator[Context]:
        """A stored context with these models; None is this one's base."""
        if base is None and expert == self.setting.expert:
            yield self.asking.context
            return
        given: Any = self.context.engine if base is None else base
        async with open_context(given, expert, **_options(self.setting)) as opened:
            yield Asking.stored([], opened, self.store).context

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
        """The study's result, with how it came about."""
        context, setting = self.context, self.setting
        skipped = len(self.loaded.skipped)
        told = [f"{skipped} malformed rows were left out."] if skipped else []
        if self.unusable:
            told.append(
                f"Replies that were malformed twice, or refusals: {_counts(self.unusable)}. Runs "
                "went on without those nodes, as a user's would."
            )
        if self.failed:
            told.append(
                f"NOT COMPLETE: nodes failed ({_counts(self.failed)}), and runs went on without "
                "them. What failed is not stored: the same command asks it again, and only it."
            )
        return StudyResult(
            made=Made(
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
            ),
            title=title,
            columns=tuple(columns),
            lines=tuple(lines),
            notes=(*notes, *told),
            curves=curves or {},
            axes=axes,
            log_x=log_x,
        )


@asynccontextmanager
async def open_lab(setting: Setting) -> AsyncIterator[Lab]:
    """Load questions and models, and open the store; all are let go at the end.

    Raises:
        InputError: the task, its files, a model or the store cannot be used, or a question has no
            label.
    """
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
        async with open_context(setting.base, setting.expert, **_options(setting)) as context:
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


def _counts(nodes: Counter[str]) -> str:
    return ", ".join(f"{node} {count}" for node, count in sorted(nodes.items()))


def _options(setting: Setting) -> dict[str, Any]:
    return {
        "routing": "paper",
        "samples": setting.samples,
        "seed": setting.seed,
        "device": setting.device,
        # a bench waits for its turn: a question of many under way is not late
        "node_timeout": None,
    }
