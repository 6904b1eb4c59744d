"""Many questions through the graph while everything around it fails; then every check.

Experts are asked over HTTP, half in Gemini's format and half in OpenAI's, with nothing of their
clients changed: real retries and pauses are part of it. Runs are checkpointed, and cancelled
ones are asked again on their thread.
"""

import asyncio
import logging
import os
import secrets
import statistics
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal, NamedTuple

from langgraph.checkpoint.base import BaseCheckpointSaver

from catts.agents.expert import Expert
from catts.agents.experts.limits import Limits
from catts.agents.spec import resolve_base, resolve_expert
from catts.embedded.world import example
from catts.errors import InputError
from catts.evals.chaos.checks import Witness, changed_winner, crossed, from_garbage, misnamed
from catts.evals.chaos.leaks import (
    held,
    holds_key,
    left_behind,
    peak_bytes,
    resident_bytes,
    tasks_left,
)
from catts.evals.chaos.report import ChaosReport, faults_of
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
MB = 2**20


class Outcome(NamedTuple):
    """How one question ended."""

    case: Case
    trace: Trace | None
    cancelled: bool
    error: BaseException | None = None


class Gathered(NamedTuple):
    """What came of the questions that one storm asked."""

    outcomes: list[Outcome]
    tasks: int
    """Left in the event loop."""
    memory: list[int]
    """After each question, bytes; empty where the system does not tell."""
    reprs: list[str]
    """Of what a user may print."""


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
        found = _checked(storm, gathered)
        found["tasks"] += ["a task"] * gathered.tasks
        found["threads"] += list(left.threads.elements())
        found["sockets"] += ["a socket"] * left.sockets
        found["files"] += ["a file"] * left.files
        found["keys"] += _keys_found(folder, gathered, keys)
        if set(storm.server.keys) != set(keys):
            found["keys"].append("the planted keys were not those that were sent")
        return _report(storm, gathered, found, questions, at_once, seed, seconds)


def _stormed(
    script: Script, indices: Sequence[int], at_once: int, folder: Path, advance: Callable[[], None]
) -> tuple["Storm", Gathered]:
    folder.mkdir()
    storm = Storm(script, folder)
    with storm.server.serving(), _logged(folder / "log.txt"):
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


def _checked(storm: Storm, gathered: Gathered) -> defaultdict[str, list[str]]:
    found: defaultdict[str, list[str]] = defaultdict(list)
    marks = frozenset(outcome.case.mark for outcome in gathered.outcomes)
    for case, trace, cancelled, error in gathered.outcomes:
        what: dict[str, list[str]] = {}
        if error is not None:
            what["ended in an error"] = [f"{type(error).__name__}: {error}"]
        if trace is None and not cancelled:
            what["without a trace"] = ["no trace"]
        if trace is not None:
            witness = storm.witness(case)
            what["misnamed"] = misnamed(trace, witness, HURRIED_S)
            what["garbage"] = from_garbage(trace, witness)
            what["winner"] = changed_winner(trace, witness)
            what["cross-talk"] = crossed(trace, case, marks)
        for name, each in what.items():
            found[name] += [f"{case.id}: {words}" for words in each]
    found["cross-talk"] += [f"a stray request: {text[:200]}" for text in storm.server.strays]
    return found


def _keys_found(folder: Path, gathered: Gathered, keys: Sequence[str]) -> list[str]:
    """Everything written, and everything that a user may print, searched for the planted keys."""
    files = [file for file in folder.rglob("*") if file.is_file()]
    found = [str(f.relative_to(folder)) for f in files if holds_key(f.read_bytes(), keys)]
    shown = [*gathered.reprs, *(repr(outcome.error) for outcome in gathered.outcomes)]
    return found + [f"a repr: {text[:80]}" for text in shown if holds_key(text.encode(), keys)]


def _report(
    storm: Storm,
    gathered: Gathered,
    found: Mapping[str, Sequence[str]],
    questions: int,
    at_once: int,
    seed: int,
    seconds: float,
) -> ChaosReport:
    outcomes, memory = gathered.outcomes, gathered.memory
    traces = [outcome.trace for outcome in outcomes if outcome.trace is not None]
    failures = [failure for trace in traces for failure in trace.failures]
    witnesses = [storm.witness(outcome.case) for outcome in outcomes if outcome.trace is not None]
    said = storm.server.everything
    by_base = [
        fault for witness in witnesses for faults in witness.done.values() for fault in faults
    ]
    late = sum(
        failure.error == "NodeTimeoutError" and failure.node not in witness.doomed
        for trace, witness in zip(traces, witnesses, strict=True)
        for failure in trace.failures
    )
    quarter = max(1, len(memory) // 4)
    growth = (
        statistics.median(memory[-quarter:]) - statistics.median(memory[:quarter])
        if memory
        else None
    )
    counts, words = faults_of(found)
    return ChaosReport(
        questions=questions,
        at_once=at_once,
        seed=seed,
        base=BASE,
        samples=SAMPLES,
        seconds=seconds,
        answered=sum(trace.answer is not None for trace in traces),
        without_answer=Counter(trace.no_answer for trace in traces if trace.no_answer),
        cancelled=sum(outcome.cancelled for outcome in outcomes),
        resumed=sum(outcome.cancelled and outcome.trace is not None for outcome in outcomes),
        played=Counter(each.fault for each in said if each.fault),
        played_by_base=Counter(fault for fault in by_base if fault),
        requests=len(said),
        failed=Counter(failure.node for failure in failures),
        out_of_time=late,
        scripted=sum(len(witness.doomed) for witness in witnesses),
        peak_mb=peak_bytes() / MB,
        growth_mb=None if growth is None else growth / MB,
        faults=counts,
        found=words,
    )


def need_clients() -> None:
    """Raises: InputError, where a provider's client or the checkpointer is missing."""
    packages = {
        "langchain_google_genai": "google",
        "langchain_openai": "openai",
        "aiosqlite": "sqlite",
    }
    if missing := [extra for name, extra in packages.items() if find_spec(name) is None]:
        raise InputError(f"packages are missing: pip install 'catts[{','.join(missing)}]'")


@contextmanager
def planted() -> Iterator[list[str]]:
    """Put keys of both providers into the environment, of which one looks like a key."""
    variables = {
        "GOOGLE_API_KEY": f"AIza{secrets.token_hex(16)}",
        "OPENAI_API_KEY": f"planted{secrets.token_hex(16)}",
    }
    cleared = ("GEMINI_API_KEY", "GOOGLE_GENAI_USE_VERTEXAI")
    before = {name: os.environ.get(name) for name in (*variables, *cleared)}
    try:
        os.environ.update(variables)
        for name in cleared:
            os.environ.pop(name, None)
        yield list(variables.values())
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


@contextmanager
def _logged(file: Path) -> Iterator[None]:
    """Everything that anybody logs, from DEBUG on, goes into `file`, warnings included."""
    root, handler = logging.getLogger(), logging.FileHandler(file)
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    logging.captureWarnings(True)
    try:
        yield
    finally:
        logging.captureWarnings(False)
        root.setLevel(level)
        root.removeHandler(handler)
        handler.close()
