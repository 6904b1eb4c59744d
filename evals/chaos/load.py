"""Many questions at once on one base, and what an expert of a second a call costs a question.

Experts are the scripted server without faults, so that what is measured is the base and the graph.
Each number of questions under way is an arm, a process with a peak memory of its own; they run one
after another. As one question ends, the next begins, so that a question which the base's queue
passed over would wait while others came and went.
"""

import asyncio
import statistics
import tempfile
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import NamedTuple

from rich.table import Table

from catts.agents.commands import quiet_loading
from catts.arms import started
from catts.evals.chaos.leaks import MB, peak_bytes
from catts.evals.chaos.planted import planted
from catts.evals.chaos.script import Script
from catts.evals.chaos.storm import BASE, SAMPLES, Storm, need_clients
from catts.graph.context import Context
from catts.graph.trace import Trace
from catts.records import Record

AT_ONCE = (8, 64)
DELAY_S = 1.0


class LoadRow(Record):
    """One arm: so many questions under way."""

    at_once: int
    questions: int
    answered: int
    failed_nodes: int
    seconds: float
    median_s: float
    """Of a question, from asking to its trace."""
    slowest_s: float
    overtaken: int
    """The most later questions that ended before one: with a base that serves in turn, hardly more
    than are under way."""
    peak_mb: float
    """Memory of the process, models included."""

    @property
    def spread(self) -> float:
        """The slowest question over the median one: 1 where all wait alike."""
        return self.slowest_s / self.median_s


class SlowExpert(Record):
    """Questions one after another, `parallel` routing, each call to the expert a second long."""

    questions: int
    delay_s: float
    median_s: float
    """Latency of a question without the sampling node."""
    slowest_s: float
    sampling_s: float
    """Median of the sampling node."""


class LoadReport(Record):
    """Both measurements."""

    base: str
    samples: int
    seed: int
    rows: tuple[LoadRow, ...]
    slow_expert: SlowExpert


class _Setting(NamedTuple):
    seed: int
    questions: int


class _Timed(NamedTuple):
    trace: Trace
    asked: float
    ended: float


def run_load(
    questions: int = 192,
    *,
    slow_questions: int = 10,
    seed: int = 0,
    advance: Callable[[int, int], None] = lambda done, total: None,
) -> LoadReport:
    """Ask `questions` 64 at once, a quarter of them 8 at once, and a few of a slow expert.

    Raises:
        InputError: the package that an expert's provider needs is missing.
    """
    need_clients()
    setting, arms = _Setting(seed, questions), tuple(map(str, AT_ONCE))
    rows: list[LoadRow] = []
    with started(arms, _serve, setting) as pipes:
        for done, arm in enumerate(arms, 1):
            pipes[arm].send(None)
            rows.append(pipes[arm].recv())
            advance(done, len(arms) + 1)
    timed, _ = _asked(setting, slow_questions, 1, DELAY_S)
    slow = _slow_expert([each.trace for each in timed])
    return LoadReport(base=BASE, samples=SAMPLES, seed=seed, rows=tuple(rows), slow_expert=slow)


def as_table(report: LoadReport) -> Table:
    """Both measurements for people."""
    table = Table(
        title=f"questions of the embedded test stream, base {report.base}, {report.samples} "
        f"samples, parallel routing, seed {report.seed}",
        title_justify="left",
    )
    table.add_column("questions under way")
    for row in report.rows:
        table.add_column(str(row.at_once), justify="right")
    for name, told in (
        ("questions", [f"{row.questions}" for row in report.rows]),
        ("answered", [f"{row.answered}" for row in report.rows]),
        ("failed nodes", [f"{row.failed_nodes}" for row in report.rows]),
        ("seconds", [f"{row.seconds:.1f}" for row in report.rows]),
        ("median latency, s", [f"{row.median_s:.2f}" for row in report.rows]),
        ("slowest latency, s", [f"{row.slowest_s:.2f}" for row in report.rows]),
        ("slowest / median", [f"{row.spread:.2f}" for row in report.rows]),
        ("most later ones that ended before one", [f"{row.overtaken}" for row in report.rows]),
        ("peak memory, MB", [f"{row.peak_mb:.0f}" for row in report.rows]),
    ):
        table.add_row(name, *told)
    slow = report.slow_expert
    table.caption = (
        f"With an expert of {slow.delay_s:g} s a call, {slow.questions} questions one after "
        f"another: {slow.median_s:.2f} s beside the sampling (median), {slow.slowest_s:.2f} s at "
        f"most; the sampling takes {slow.sampling_s:.2f} s."
    )
    table.caption_justify = "left"
    return table


def _serve(pipe: Connection, arm: str, setting: _Setting) -> None:
    quiet_loading()
    pipe.recv()
    count = setting.questions if int(arm) == max(AT_ONCE) else setting.questions // 4
    timed, seconds = _asked(setting, count, int(arm), 0.0)
    pipe.send(_row(int(arm), timed, seconds))


def _asked(
    setting: _Setting, questions: int, at_once: int, delay: float
) -> tuple[list[_Timed], float]:
    """The questions in the order of asking, and the seconds of all."""
    script = Script(setting.seed, failing=0, base_failing=0, cancelled=0, hurried=0)
    with tempfile.TemporaryDirectory() as folder, planted():
        storm = Storm(script, Path(folder), delay=delay)
        with storm.server.serving():
            return asyncio.run(_ask(storm, questions, at_once))


async def _ask(storm: Storm, questions: int, at_once: int) -> tuple[list[_Timed], float]:
    expert = storm.experts()["openai"]
    context = Context.of(storm.engine, expert, routing="parallel", samples=SAMPLES)
    room, timed = asyncio.Semaphore(at_once), []

    async def one(index: int) -> None:
        async with room:
            asked = time.perf_counter()
            trace = await storm.answer(storm.script.case(index), context)
            timed.append(_Timed(trace, asked, time.perf_counter()))

    await one(questions)  # what is made once is no question's time
    timed.clear()
    start = time.perf_counter()
    await asyncio.gather(*map(one, range(questions)))
    seconds = time.perf_counter() - start
    await storm.engine.aclose()
    return sorted(timed, key=lambda each: each.asked), seconds


def _row(at_once: int, timed: list[_Timed], seconds: float) -> LoadRow:
    latencies = [each.ended - each.asked for each in timed]
    return LoadRow(
        at_once=at_once,
        questions=len(timed),
        answered=sum(each.trace.answer is not None for each in timed),
        failed_nodes=sum(len(each.trace.failed_nodes) for each in timed),
        seconds=seconds,
        median_s=statistics.median(latencies),
        slowest_s=max(latencies),
        overtaken=most_overtaken([each.ended for each in timed]),
        peak_mb=peak_bytes() / MB,
    )


def most_overtaken(ended: list[float]) -> int:
    """Of questions in the order of asking, the most later ones that ended before one."""
    return max(sum(later < end for later in ended[place + 1 :]) for place, end in enumerate(ended))


def _slow_expert(traces: list[Trace]) -> SlowExpert:
    sampling = [
        next(run.seconds for run in trace.usage.nodes if run.node == "sampler") for trace in traces
    ]
    beside = [trace.usage.latency - s for trace, s in zip(traces, sampling, strict=True)]
    return SlowExpert(
        questions=len(traces),
        delay_s=DELAY_S,
        median_s=statistics.median(beside),
        slowest_s=max(beside),
        sampling_s=statistics.median(sampling),
    )
