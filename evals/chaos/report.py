"""What a storm found, as a record and as a table."""

import statistics
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence

from rich.table import Table

from catts.evals.chaos.checks import Witness
from catts.evals.chaos.leaks import MB, peak_bytes
from catts.evals.chaos.outcome import Gathered
from catts.evals.chaos.script import Case
from catts.evals.chaos.server import Said
from catts.names import WORKERS, Worker
from catts.records import Record

MOST_SHOWN = 20


class ChaosReport(Record):
    """A storm in figures. `faults` have to be 0, all of them."""

    questions: int
    at_once: int
    seed: int
    base: str
    samples: int
    seconds: float
    """Wall clock of the storm, loading the base included."""
    answered: int
    without_answer: dict[str, int]
    """Why a run has no answer, and how often."""
    cancelled: int
    """Runs that were cancelled from outside."""
    resumed: int
    """Cancelled ones that, asked again on their thread, ended with a trace."""
    played: dict[str, int]
    """Faults that the experts' server played, requests each."""
    played_by_base: dict[str, int]
    """Faults of the base model, calls each."""
    requests: int
    """To the experts' server."""
    failed: dict[Worker, int]
    """Nodes that failed, by the traces' failures."""
    out_of_time: int
    """Those of them that the short limit of a hurried question ended."""
    scripted: int
    """Nodes whose fault was for good, and which a trace therefore has to name."""
    peak_mb: float
    growth_mb: float | None
    """Median memory over the last quarter of the questions less that over the first."""
    faults: dict[str, int]
    """What must not happen, and how often it did."""
    found: tuple[str, ...]
    """The first of these, in words."""

    @property
    def missing_per_question(self) -> float:
        """Nodes that failed, all of them named, over the questions."""
        return sum(self.failed.values()) / self.questions

    @property
    def holds(self) -> bool:
        """Whether nothing happened that must not."""
        return not any(self.faults.values())


FAULTS = {
    "ended in an error": "runs that ended in an error",
    "without a trace": "runs without a trace, though nobody cancelled them",
    "misnamed": "roles that failed and are not named, or are named and did not",
    "garbage": "ballots from garbage",
    "winner": "winners changed by a failed role",
    "cross-talk": "cross-talk between runs",
    "early": "requests before Retry-After had passed",
    "tasks": "leaked tasks",
    "threads": "leaked threads",
    "sockets": "leaked sockets",
    "files": "leaked files",
    "keys": "places where a planted key was found",
}
"""What must not happen, by name, in words."""


def as_table(report: ChaosReport) -> Table:
    """The report for people."""
    table = Table(
        title=f"{report.questions} questions of the embedded test stream, {report.at_once} at "
        f"once, base {report.base}, {report.samples} samples, seed {report.seed}",
        title_justify="left",
    )
    table.add_column("")
    table.add_column("figure", justify="right")
    for name, figure in _facts(report):
        table.add_row(name, figure)
    table.add_section()
    for name, words in FAULTS.items():
        count = report.faults[name]
        table.add_row(f"{words} (must be 0)", str(count), style="bold red" if count else None)
    return table


def _facts(report: ChaosReport) -> Iterator[tuple[str, str]]:
    yield "answered", str(report.answered)
    for why, count in report.without_answer.items():
        yield f"without an answer: {why}", str(count)
    yield "cancelled from outside", str(report.cancelled)
    yield "  of these, asked again on their thread and ended", str(report.resumed)
    yield "requests to the experts", str(report.requests)
    yield "  of these, met by a fault", str(sum(report.played.values()))
    for fault in sorted(report.played, key=lambda name: -report.played[name]):
        yield f"    {fault}", str(report.played[fault])
    yield "calls to the base that met a fault", str(sum(report.played_by_base.values()))
    yield "roles missing and named, a question", f"{report.missing_per_question:.3f}"
    for node in WORKERS:
        if node in report.failed:
            yield f"  {node}", str(report.failed[node])
    yield "  of these, failed for good by the script", str(report.scripted)
    yield "  of these, ended by a node's time limit alone", str(report.out_of_time)
    yield "seconds", f"{report.seconds:.0f}"
    yield "peak memory, MB", f"{report.peak_mb:.0f}"
    if report.growth_mb is not None:
        yield "  growth from the first to the last quarter", f"{report.growth_mb:+.0f}"


def _faults_of(found: Mapping[str, Sequence[str]]) -> tuple[dict[str, int], tuple[str, ...]]:
    """Counts by name, zeros included, and the first few in words."""
    counts = Counter({name: len(each) for name, each in found.items()})
    words = [f"{FAULTS[name]}: {what}" for name, each in found.items() for what in each]
    return {name: counts[name] for name in FAULTS}, tuple(words[:MOST_SHOWN])


def report_of(
    gathered: Gathered,
    witness_of: Callable[[Case], Witness],
    said: Sequence[Said],
    found: Mapping[str, Sequence[str]],
    *,
    questions: int,
    at_once: int,
    seed: int,
    base: str,
    samples: int,
    seconds: float,
) -> ChaosReport:
    """The figures of a storm.

    Args:
        gathered: what came of the questions.
        witness_of: what the script's side knows of one.
        said: all replies of the experts' server.
        found: what the checks found, by name in `FAULTS`.
        questions: how many were asked.
        at_once: of these, under way at a time.
        seed: of the script.
        base: the base model.
        samples: of each question.
        seconds: wall clock of the storm.
    """
    outcomes, memory = gathered.outcomes, gathered.memory
    traces = [outcome.trace for outcome in outcomes if outcome.trace is not None]
    failures = [failure for trace in traces for failure in trace.failures]
    witnesses = [witness_of(outcome.case) for outcome in outcomes if outcome.trace is not None]
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
    counts, words = _faults_of(found)
    return ChaosReport(
        questions=questions,
        at_once=at_once,
        seed=seed,
        base=base,
        samples=samples,
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
