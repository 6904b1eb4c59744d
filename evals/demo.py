"""The demonstration: a few questions of the embedded test stream through the whole graph.

Questions are taken by rule, not by what they show: each family in turn, each grade in turn.
"""

import asyncio
import sys
import time
from pathlib import Path
from shlex import quote
from shutil import which
from statistics import fmean
from typing import Any

from PIL.Image import Image
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from catts.answers import equivalent
from catts.embedded.questions import FAMILIES
from catts.embedded.scene import GRADES
from catts.embedded.world import Example, example
from catts.errors import InputError
from catts.evals.metrics import majority_at_k
from catts.evals.thumbnail import thumbnail
from catts.graph.account import account
from catts.graph.embed import answer
from catts.graph.events import Event
from catts.graph.live import doing
from catts.graph.nodes import render
from catts.graph.opening import open_context
from catts.graph.trace import Trace, write_traces
from catts.records import Record

_SIGHT = {1: "easy to see", 2: "dim", 3: "hard to see"}
_INTRODUCTION = (
    "A small vision-language model (the base) looks at a board of shapes and answers a question "
    "about it eight times. Each answer counts by how sure the model was while it wrote it "
    "(mean_logprob: the nearer to 0, the surer). Where the answers disagree, a second model (the "
    "expert) orders what to do next, votes on the candidates and criticises the leader; the base "
    "answers again under the critique, and once more in a self-check that discounts what it would "
    "say without a clear picture. All of them cast votes into one dictionary, which gives the "
    'answer. "route" tells why each step was taken or left out.'
)


class DemoQuestion(Record):
    """One question of the demonstration and how it went."""

    id: str
    family: str
    grade: int
    question: str
    choices: tuple[str, ...]
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


class DemoSummary(Record):
    """What the demonstration found; so few questions show how it works, not how well."""

    questions: tuple[DemoQuestion, ...]
    pass_at_1: float
    majority: float
    ca_tts: float
    failed_nodes: int
    """Nodes that failed, over all questions."""
    seconds: float
    """Wall clock, loading the models included."""
    traces: Path
    """All traces, for `catts trace`."""


def run_demo(
    n: int, out: Path, *, base: str = "embedded-cdrl", quiet: bool = False, **settings: Any
) -> DemoSummary:
    """Ask `n` questions of the test stream; write pictures and traces into `out`.

    Args:
        n: questions to ask; six show each family once and each grade twice.
        out: folder, made when missing; files of the same names are replaced.
        base: the base model; see `catts.agents.spec.BaseSpec`.
        quiet: print nothing on stdout.
        **settings: fields of `catts.graph.context.Policy`.

    Raises:
        InputError: `out` cannot be written, or a setting is unknown or out of range.
    """
    started = time.perf_counter()
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"cannot make the folder {out}: {error.strerror}; name another") from error
    console = Console(quiet=quiet)
    console.print(_INTRODUCTION, "")
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

            def tell(what: str) -> None:
                progress.update(task, description=what)

            def show(event: Event) -> None:
                if (what := doing(event)) is not None:
                    tell(what)

            asked = []
            async with open_context(base, tell=tell, **settings) as context:
                for index in range(n):
                    shown = example("test", demo_index(index))
                    trace = await answer(
                        shown.image,
                        shown.question,
                        choices=shown.choices,
                        context=context,
                        on_event=show,
                    )
                    pictures = _save_pictures(trace, shown.image, out, index)
                    record = _grade(shown, trace, pictures)
                    title = f"{record.id}: {record.family}, {_SIGHT[shown.grade]}"
                    if console.is_terminal:
                        console.print(thumbnail(shown.image))
                    console.print(account(trace, title=title, gold=record.gold))
                    console.print(f"picture: {pictures[0]}\n", style="dim", soft_wrap=True)
                    progress.advance(task)
                    asked.append((trace, record))
        return asked

    asked = asyncio.run(run())
    traces = out / "traces.jsonl"
    write_traces(traces, [trace for trace, _ in asked])
    questions = tuple(record for _, record in asked)
    summary = DemoSummary(
        questions=questions,
        pass_at_1=fmean(q.pass_at_1 for q in questions),
        majority=fmean(q.majority for q in questions),
        ca_tts=fmean(q.right for q in questions),
        failed_nodes=sum(len(trace.failed_nodes) for trace, _ in asked),
        seconds=time.perf_counter() - started,
        traces=traces,
    )
    console.print(_table(summary))
    console.print(_next_steps(summary, base), soft_wrap=True)
    return summary


def demo_index(place: int) -> int:
    """Index in the test stream of the demonstration's question at `place`.

    Families go round with every question; grades too, one further in each round, so that every
    family comes in every grade.
    """
    block, family = divmod(place, len(FAMILIES))
    grade = (place + block) % len(GRADES)
    return len(GRADES) * (len(FAMILIES) * block + family) + grade


def _grade(shown: Example, trace: Trace, pictures: tuple[Path, ...]) -> DemoQuestion:
    said = {text for text in (trace.answer_text, *(s.said for s in trace.samples)) if text}
    right = {a: equivalent(a, shown.answer, trace.question) for a in said}
    answers = [sample.answer for sample in trace.samples]
    grades = [s.said is not None and right[s.said] for s in trace.samples]
    return DemoQuestion(
        id=shown.id,
        family=shown.family,
        grade=shown.grade,
        question=shown.question,
        choices=shown.choices,
        gold=shown.answer,
        answer=trace.answer_text,
        right=trace.answer_text is not None and right[trace.answer_text],
        pass_at_1=fmean(grades) if grades else 0.0,
        majority=majority_at_k(answers, grades) if grades else 0.0,
        pictures=pictures,
    )


def _save_pictures(trace: Trace, clean: Image, folder: Path, index: int) -> tuple[Path, ...]:
    """The clean picture, and the noised one of the self-check if there was one."""
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
        caption="So few show how it works, not how well: README has the measurement.",
        title_justify="left",
        caption_justify="left",
    )
    table.add_column("accuracy of")
    table.add_column("share right", justify="right")
    table.add_row("pass@1 (mean over the samples)", f"{summary.pass_at_1:.3f}")
    table.add_row("majority of the samples", f"{summary.majority:.3f}")
    table.add_row("CA-TTS", f"{summary.ca_tts:.3f}", style="bold")
    if summary.failed_nodes:
        table.add_row("failed nodes", str(summary.failed_nodes), style="red")
    return table


def _next_steps(summary: DemoSummary, base: str) -> Text:
    """Where everything lies, and commands that work as they stand."""
    catts = _command()
    shown = summary.questions[-1]
    folder, traces = summary.traces.parent, quote(str(summary.traces))
    noised = (
        " (noised ones end in -noised)" if any(q.pictures[1:] for q in summary.questions) else ""
    )
    choices = "".join(f" --choice {quote(choice)}" for choice in shown.choices)
    asked = f"{quote(str(shown.pictures[0]))} {quote(shown.question)}"
    lines = (
        f"Pictures lie in {folder}/{noised}, all traces in {summary.traces}. Next:",
        f"  {catts} trace {traces}",
        f"  {catts} ask {asked}{choices} --base {quote(base)} --routing paper",
        "and with a picture of your own:",
        f'  {catts} ask photo.jpg "..." --base Qwen/Qwen2.5-VL-3B-Instruct --expert base',
    )
    return Text("\n".join(lines))


def _command() -> str:
    """`catts` as it was started: a program that is not on the PATH must be named by its path."""
    started = sys.argv[0]
    if Path(started).name != "catts" or which("catts") == str(Path(started).absolute()):
        return "catts"
    return started
