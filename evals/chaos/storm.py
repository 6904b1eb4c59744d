"""Many questions through the graph while everything around it fails; then every check.

Experts are asked over HTTP, half in Gemini's format and half in OpenAI's, with nothing of their
clients changed: real retries and pauses are part of it. Runs are checkpointed, and cancelled
ones are asked again on their thread.
"""

import asyncio
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

from langgraph.checkpoint.base import BaseCheckpointSaver

from catts.agents.expert import Expert
from catts.agents.experts.limits import Limits
from catts.agents.spec import resolve_base, resolve_expert
from catts.embedded.world import example
from catts.errors import InputError
from catts.evals.chaos.checks import Witness, checked
from catts.evals.chaos.leaks import held, left_behind, resident_bytes, tasks_left
from catts.evals.chaos.outcome import Gathered, Outcome
from catts.evals.chaos.planted import keys_found, logged, planted
from catts.evals.chaos.report import ChaosReport, report_of
from catts.evals.chaos.script import Call, Case, Fault, Script
from catts.evals.chaos.server import ScriptedServer
from catts.evals.chaos.shaky import ShakyEngine
from catts.graph.context import Context
from catts.graph.embed import answer, ask
from catts.graph.trace import Trace, append_trace
from catts.images import ImageStore
from catts.names import ROLES, Worker

BASE = "embedded-cdrl"
SAMPLES = 3
LIMITS = Limits(timeout=10, attempts=3)
"""Of each role; with five attempts, the default, a storm would be pauses for the most part."""
NODE_TIMEOUT_S = 120.0
HURRIED_S = 3.0
"""The short limit of a node, which may also end one that was only slow."""
ATTEMPTS = 2
_REHEARSED = 4
_QUICK: tuple[Fault, ...] = ("no JSON", "key refused", "empty body")
"""Faults that nobody waits for."""
_CALLS: dict[Worker, Call] = {
    "sampler": "sample",
    "reanswer": "reanswer",
    "self_check": "contrast",
}


def run_chaos(
    questions: int = 500,
    *,
    at_once: int = 32,
    seed: int = 0,
    script: Script | None = None,
    advance: Callable[[], None] = lambda: None,
) -> ChaosReport:
    """Ask so many questions of the test stream under faults, and check everything.

    A short rehearsal comes first, so that what a process opens once is not taken for a leak.

    Args:
        questions: how many, from the stream's beginning.
        at_once: questions under way at a time.
        seed: of the script.
        script: what goes wrong; by default `Script(seed)`.
        advance: called after each question.

    Raises:
        InputError: a package is missing that an expert's provider or the checkpoints need.
    """
    need_clients()
    script = script or Script(seed)
    with tempfile.TemporaryDirectory(prefix="catts-chaos-") as place, planted() as keys:
        folder = Path(place)
        first = range(questions, questions + _REHEARSED)
        quick = Script(seed, cancelled=0, hurried=0, faults=_QUICK)
        _stormed(quick, first, at_once, folder / "rehearsal", lambda: None)
        before, start = held(), time.perf_counter()
        storm, gathered = _stormed(script, range(questions), at_once, folder / "storm", advance)
        seconds = time.perf_counter() - start
        left = left_behind(before)
        found = checked(gathered.outcomes, storm.witness, storm.server.strays, HURRIED_S)
        found["tasks"] += ["a task"] * gathered.tasks
        found["threads"] += list(left.threads.elements())
        found["sockets"] += ["a socket"] * left.sockets
        found["files"] += ["a file"] * left.files
        found["keys"] += keys_found(folder, gathered, keys)
        if set(storm.server.keys) != set(keys):
            found["keys"].append("the planted keys were not those that were sent")
        return report_of(
            gathered,
            storm.witness,
            storm.server.everything,
            found,
            questions=questions,
            at_once=at_once,
            seed=seed,
            base=BASE,
            samples=SAMPLES,
            seconds=seconds,
        )


def _stormed(
    script: Script, indices: Sequence[int], at_once: int, folder: Path, advance: Callable[[], None]
) -> tuple["Storm", Gathered]:
    folder.mkdir()
    storm = Storm(script, folder)
    with storm.server.serving(), logged(folder / "log.txt"):
        return storm, asyncio.run(storm.ask(indices, at_once, advance))


class Storm:
    """Questions under a script, with the server and the base that play it."""

    def __init__(self, script: Script, folder: Path, *, delay: float = 0.0) -> None:
        """Traces and checkpoints are written into `folder`; a reply takes `delay` seconds."""
        self.script, self.server = script, ScriptedServer(script, delay=delay)
        self.engine = ShakyEngine(resolve_base(BASE), script)
        self._folder = folder

    def experts(self) -> dict[str, Expert]:
        """One for each provider, at the server, which has to serve."""
        specs = {"gemini": "google_genai:gemini-2.5-pro", "openai": "gpt-4o"}
        paths = {"gemini": "", "openai": "/v1"}
        return {
            name: resolve_expert(spec, url=self.server.url + paths[name], limits=LIMITS)
            for name, spec in specs.items()
        }

    async def ask(
        self, indices: Sequence[int], at_once: int, advance: Callable[[], None]
    ) -> Gathered:
        """Ask these questions of the test stream, so many at a time; close everything."""
        from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver  # of an extra

        before, experts = asyncio.all_tasks(), self.experts()
        room, memory, outcomes = asyncio.Semaphore(at_once), [], []
        context = cache(lambda *of: self._context(experts, *of))
        async with AsyncSqliteSaver.from_conn_string(str(self._folder / "runs.sqlite")) as saver:

            async def one(case: Case) -> None:
                async with room:
                    given = context(case.provider, case.routing, case.hurried)
                    outcome = await self._outcome(case, given, saver)
                if outcome.trace is not None:
                    append_trace(self._folder / "traces.jsonl", outcome.trace)
                outcomes.append(outcome)
                if (now := resident_bytes()) is not None:
                    memory.append(now)
                advance()

            await asyncio.gather(*(one(self.script.case(index)) for index in indices))
        reprs = [text for e in experts.values() for text in (repr(e), repr(vars(e)), e.fingerprint)]
        reprs += [repr(context("gemini", "paper", False)), repr(context("openai", "paper", False))]
        await self.engine.aclose()
        for expert in experts.values():
            await expert.aclose()
        return Gathered(outcomes, await tasks_left(before), memory, reprs)

    def witness(self, case: Case) -> Witness:
        """What the server and the base did for a question."""
        said = {role: self.server.said(case, role) for role in ROLES}
        done = {call: self.engine.done(case, call) for call in _CALLS.values()}
        doomed: set[Worker] = {
            role for role in ROLES if said[role] and self.script.course(case, role).doomed
        }
        doomed |= {
            node
            for node, call in _CALLS.items()
            if done[call] and self.script.engine_course(case, call).doomed
        }
        return Witness(case, said, done, frozenset(doomed))

    def _context(
        self,
        experts: Mapping[str, Expert],
        provider: str,
        routing: Literal["paper", "planned", "parallel"],
        hurried: bool,
    ) -> Context:
        return Context.of(
            self.engine,
            experts[provider],
            routing=routing,
            samples=SAMPLES,
            node_timeout=HURRIED_S if hurried else NODE_TIMEOUT_S,
            attempts=ATTEMPTS,
        )

    async def answer(
        self, case: Case, context: Context, saver: BaseCheckpointSaver[Any] | None = None
    ) -> Trace:
        """Ask a question; with a `saver`, on a thread of its own."""
        shown = example("test", case.place)
        question = ask(ImageStore(), shown.image, shown.question, shown.choices)
        self.server.register(case, question.images[0], question.text)
        self.engine.register(case, question.digest)
        return await answer(
            shown.image,
            shown.question,
            choices=shown.choices,
            context=context,
            checkpointer=saver,
            config={"configurable": {"thread_id": case.id}} if saver is not None else None,
        )

    async def _outcome(
        self, case: Case, context: Context, saver: BaseCheckpointSaver[Any]
    ) -> Outcome:
        cancelled = False
        run = asyncio.ensure_future(self.answer(case, context, saver))
        await asyncio.wait([run], timeout=case.cancelled_after)
        if not run.done():
            cancelled = run.cancel()
            await asyncio.wait([run])
        if run.cancelled():
            run = asyncio.ensure_future(self.answer(case, context, saver))
            await asyncio.wait([run])
        error = run.exception()
        return Outcome(case, None if error else run.result(), cancelled, error)


def need_clients() -> None:
    """Raises: InputError, where a provider's client or the checkpointer is missing."""
    packages = {
        "langchain_google_genai": "google",
        "langchain_openai": "openai",
        "aiosqlite": "sqlite",
    }
    if missing := [extra for name, extra in packages.items() if find_spec(name) is None]:
        raise InputError(f"packages are missing: pip install 'catts[{','.join(missing)}]'")
