"""What a storm found, as a record and as a table."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from rich.table import Table

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


def faults_of(found: Mapping[str, Sequence[str]]) -> tuple[dict[str, int], tuple[str, ...]]:
    """Counts by name, zeros included, and the first few in words."""
    counts = Counter({name: len(each) for name, each in found.items()})
    words = [f"{FAULTS[name]}: {what}" for name, each in found.items() for what in each]
    return {name: counts[name] for name in FAULTS}, tuple(words[:MOST_SHOWN])
