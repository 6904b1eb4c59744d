"""The demonstration: a few questions of the embedded test stream through the whole graph."""

import asyncio
import time
from pathlib import Path

from pydantic import BaseModel, ConfigDict
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from catts.accuracy import equivalent
from catts.embedded.world import Example, example
from catts.errors import InputError
from catts.evals.metrics import accuracy, majority_at_k
from catts.graph.account import account
from catts.graph.context import Context
from catts.graph.embed import answer, open_context
from catts.graph.events import Event
from catts.graph.live import doing
from catts.graph.nodes import render
from catts.graph.trace import Trace, write_traces


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class DemoQuestion(_Record):
    """One question of the demonstration and how it went."""

    id: str
    family: str
    grade: int
    question: str
    gold: str
    answer: str | None
    right: bool
    """Whether CA-TTS answered it."""
    pass_at_1: float
    """Share of its samples that are right."""
    majority: float
    """Chance that the samples' majority is right, ties broken evenly."""
    pictures: tuple[Path, ...]
    """The clean picture, then the noised one if the self-check ran."""


class DemoSummary(_Record):
    """What the demonstration found; so few questions show how it works, not how well."""

    questions: tuple[DemoQuestion, ...]
    pass_at_1: float
    majority: float
    ca_tts: float
    failed_roles: int
    """Nodes that failed, over all questions."""
    seconds: float
    """Wall clock, loading the models included."""
    traces: Path
    """All traces, for `catts trace`."""


def run_demo(n: int, out: Path, *, quiet: bool = False) -> DemoSummary:
    """Ask the first `n` questions of the test stream; write pictures and traces into `out`.

    Args:
        n: questions to ask.
        out: folder, made when missing; what an earlier demonstration wrote there is replaced.
        quiet: print nothing on stdout.

    Raises:
        InputError: `out` cannot be written.
    """
    started = time.perf_counter()
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"cannot make the folder {out}: {error.strerror}; name another") from error
    console = Console(quiet=quiet)
    progress = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=Console(stderr=True),
        transient=True,
    )

    async def run() -> list[tuple[Trace, DemoQuestion]]:
        with progress:
            task = progress.add_task("loading models", total=n)
            context = await asyncio.to_thread(open_context)

            def show(event: Event) -> None:
                if (what := doing(event)) is not None:
                    progress.update(task, description=what)

            asked = []
            try:
                for index in range(n):
                    shown = example("test", index)
                    trace = await answer(
                        shown.image,
                        shown.question,
                        choices=shown.choices,
                        context=context,
                        on_event=show,
                    )
                    pictures = _save_pictures(trace, context, out, index)
                    record = _grade(shown, trace, pictures)
                    title = f"{record.id}, {record.family}, grade {record.grade}: {pictures[0]}"
                    console.print(account(trace, title=title, gold=record.gold), "")
                    progress.advance(task)
                    asked.append((trace, record))
            finally:
                await context.aclose()
        return asked

    asked = asyncio.run(run())
    traces = out / "traces.jsonl"
    write_traces(traces, [trace for trace, _ in asked])
    questions = tuple(record for _, record in asked)
    summary = DemoSummary(
        questions=questions,
        pass_at_1=accuracy([q.pass_at_1 for q in questions]),
        majority=accuracy([q.majority for q in questions]),
        ca_tts=accuracy([q.right for q in questions]),
        failed_roles=sum(len(trace.failed_roles) for trace, _ in asked),
        seconds=time.perf_counter() - started,
        traces=traces,
    )
    console.print(_table(summary))
    return summary


def _grade(shown: Example, trace: Trace, pictures: tuple[Path, ...]) -> DemoQuestion:
    said = {answer for answer in (trace.answer, *(s.answer for s in trace.samples)) if answer}
    right = {a: equivalent(a, shown.answer, trace.question) for a in said}
    answers = [sample.answer for sample in trace.samples]
    grades = [a is not None and right[a] for a in answers]
    return DemoQuestion(
        id=shown.id,
        family=shown.family,
        grade=shown.grade,
        question=shown.question,
        gold=shown.answer,
        answer=trace.answer,
        right=trace.answer is not None and right[trace.answer],
        pass_at_1=accuracy(grades) if grades else 0.0,
        majority=majority_at_k(answers, grades) if grades else 0.0,
        pictures=pictures,
    )


def _save_pictures(trace: Trace, context: Context, folder: Path, index: int) -> tuple[Path, ...]:
    """The clean picture, and the noised one of the self-check if there was one."""
    clean = context.images.get(trace.question.images[0])
    pictures = {f"{index:03d}.png": clean}
    if trace.self_check is not None:
        pictures[f"{index:03d}-noised.png"] = render(trace.self_check.noised[0], clean)
    try:
        for name, picture in pictures.items():
            picture.save(folder / name)
    except OSError as error:
        raise InputError(f"cannot write into {folder}: {error}; name another folder") from error
    return tuple(folder / name for name in pictures)


def _table(summary: DemoSummary) -> Table:
    count = len(summary.questions)
    table = Table(
        title=f"{count} question{'s' if count > 1 else ''} in {summary.seconds:.1f} s",
        caption=f"So few show how it works, not how well. Look again: catts trace {summary.traces}",
        title_justify="left",
        caption_justify="left",
    )
    table.add_column("accuracy of")
    table.add_column("share right", justify="right")
    table.add_row("pass@1 (mean over the samples)", f"{summary.pass_at_1:.3f}")
    table.add_row("majority of the samples", f"{summary.majority:.3f}")
    table.add_row("CA-TTS", f"{summary.ca_tts:.3f}", style="bold")
    if summary.failed_roles:
        table.add_row("failed roles", str(summary.failed_roles), style="red")
    return table
