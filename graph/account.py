"""A trace as people read it in a terminal.

Model output is untrusted: it is shown as text, never as markup, and characters that steer a
terminal are replaced.
"""

import math
from collections.abc import Iterator

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

from catts.agents.protocol import Usage
from catts.answers import equivalent
from catts.graph.ledger import tally
from catts.graph.records import NoisedImage, SampleRecord
from catts.graph.trace import Trace
from catts.names import PARTS, SOURCES
from catts.perception.key_region import KeyRegion
from catts.question import choice_letter

_BAR = 16
_MODULE = {part.module: part.title for part in reversed(PARTS) if part.module}
_SOURCE = {part.source: part.title for part in PARTS if part.source}


def account(
    trace: Trace, *, title: str = "", gold: str | None = None, note: str = ""
) -> RenderableType:
    """The account of a run: question, samples, what each module did, votes, answer and cost.

    Args:
        trace: the run.
        title: shown above it.
        gold: the right answer, when it is known; the account then says whether the run found it.
        note: what a reader has to know before trusting the answer; shown under it.
    """
    parts: list[RenderableType] = [
        Rule(plain(title), align="left", style="dim"),
        *_question(trace),
        *_samples(trace),
        *_modules(trace),
        *_route(trace),
        *_failures(trace),
        *_votes(trace),
        _verdict(trace, gold),
        *([plain(note, "yellow")] if note else []),
        _cost(trace),
    ]
    return Group(*parts)


def plain(text: str, style: str = "") -> Text:
    """Untrusted text: no markup, and no character that moves a cursor or reverses a line."""
    shown = (c if c.isprintable() or c == "\n" else " " if c == "\t" else "�" for c in text)
    return Text("".join(shown), style=style)


def _question(trace: Trace) -> Iterator[RenderableType]:
    yield plain(trace.question.text, "bold")
    for index, choice in enumerate(trace.question.choices):
        yield plain(f"({choice_letter(index)}) {choice}")


def _samples(trace: Trace) -> Iterator[RenderableType]:
    if not trace.samples:
        return
    table = Table(box=None, padding=(0, 2, 0, 0), title_justify="left", expand=True)
    table.add_column("sample", justify="right", style="dim")
    table.add_column("answer", overflow="fold")
    table.add_column(trace.samples[0].confidence_kind, justify="right")
    table.add_column("reasoning", no_wrap=True, overflow="ellipsis", ratio=1, style="dim")
    for number, sample in enumerate(trace.samples, 1):
        table.add_row(str(number), _said(sample), _confidence(sample), _one_line(sample.text))
    yield _under("samples", table, f"drawn by {trace.engine}")


def _modules(trace: Trace) -> Iterator[RenderableType]:
    if trace.plan is not None:
        order = " → ".join(_MODULE[module] for module in trace.plan.order)
        why = f": {trace.plan.reason}" if trace.plan.reason else ""
        yield _under("plan", plain(f"{order}{why}"), f"by the {trace.plan.source}")
    if trace.vote is not None:
        asked = len(trace.vote.probabilities) > 1
        lines = (f"{answer}: {p:.3f}" for answer, p in trace.vote.probabilities.items())
        note = f"probabilities given by {trace.expert}" if asked else "not asked"
        yield _under("voter", plain("\n".join(lines)), note)
    if trace.critique is not None:
        yield _under("critic", plain(trace.critique.text), f"on {trace.critique.answer}")
    if trace.reanswer is not None:
        yield _under("re-answer", _completion(trace.reanswer))
    if trace.self_check is not None:
        noise = ", ".join(map(_noise, trace.self_check.noised))
        note = f"{trace.self_check.method.replace('_', ' ')} against noise ({noise})"
        yield _under("self-check", _completion(trace.self_check.sample), note)


def _noise(noised: NoisedImage) -> str:
    told = f"t = {noised.t}, seed {noised.seed}"
    if isinstance(noised.region, KeyRegion):
        told += f", in the key region, {noised.region.covered:.0%} of the picture"
    return told


def _route(trace: Trace) -> Iterator[RenderableType]:
    lines = Text()
    for decision in trace.route:
        lines.append("→ " + ", ".join(decision.to), style="cyan")
        lines.append_text(plain(f"  {decision.reason}\n"))
    lines.rstrip()
    if lines:
        yield _under("route", lines)


def _failures(trace: Trace) -> Iterator[RenderableType]:
    if trace.failures:
        lines = (f"{f.node}: {f.error}: {f.message}" for f in trace.failures)
        yield _under("failed", plain("\n".join(lines), "red"))


def _votes(trace: Trace) -> Iterator[RenderableType]:
    if not trace.votes:
        return
    sources = [s for s in SOURCES if any(ballot.source == s for ballot in trace.ballots)]
    shares = {source: tally(trace.ballots, {source}) for source in sources}
    table = Table(box=None, padding=(0, 2, 0, 0))
    table.add_column("answer", overflow="fold")
    for source in sources:
        table.add_column(_SOURCE[source], justify="right")
    table.add_column("votes", justify="right")
    table.add_column()
    most = max(trace.votes.values())
    for answer, votes in trace.votes.items():
        cells = (f"{shares[s][answer]:.3f}" if answer in shares[s] else "" for s in sources)
        bar = "█" * round(_BAR * votes / most) if most > 0 else ""
        style = "bold green" if answer == trace.answer else ""
        table.add_row(plain(answer, style), *cells, Text(f"{votes:.3f}", style), Text(bar, "green"))
    yield _under("voting dictionary", table)


def _verdict(trace: Trace, gold: str | None) -> Text:
    if trace.answer is None:
        verdict = plain(f"no answer: {trace.why_no_answer}", "bold red")
    else:
        share = trace.votes[trace.answer] / math.fsum(trace.votes.values())
        verdict = plain(f"answer: {trace.answer_text or trace.answer}", "bold green")
        verdict.append(f"  ({share:.0%} of the votes)", style="dim")
    if gold is not None:
        said = trace.answer_text or trace.answer
        right = said is not None and equivalent(said, gold, trace.question)
        verdict.append("  right" if right else "  wrong, it is ", style="green" if right else "red")
        verdict.append_text(plain("" if right else gold, "red"))
    return verdict


def _cost(trace: Trace) -> Text:
    total = trace.usage.total
    parts = ", ".join(f"{run.node} {run.seconds:.2f} s" for run in trace.usage.nodes)
    return plain(
        f"{total.prompt_tokens} tokens read, {total.completion_tokens} written, "
        f"{trace.usage.expert_calls} expert calls by {trace.expert}{_paid(total)}; {parts}",
        "dim",
    )


def _paid(total: Usage) -> str:
    """What providers charge; nothing where nothing was asked of them."""
    paid = f" for ${total.dollars:.4f}" if total.dollars else ""
    unknown = f", {total.unpriced} of them at a price that is not known" if total.unpriced else ""
    return paid + unknown


def _completion(sample: SampleRecord) -> Text:
    return Text.assemble(_said(sample), "  ", (_one_line(sample.text).plain, "dim"))


def _said(sample: SampleRecord) -> Text:
    return plain("unreadable", "red") if sample.answer is None else plain(sample.answer, "bold")


def _confidence(sample: SampleRecord) -> str:
    return "none" if sample.confidence is None else f"{sample.confidence:.3f}"


def _one_line(text: str) -> Text:
    return plain(" ".join(text.split()))


def _under(heading: str, content: RenderableType, note: str = "") -> RenderableType:
    head = Text(heading, style="bold magenta")
    head.append_text(plain(f"  {note}" if note else "", "dim"))
    return Group(head, Padding(content, (0, 0, 0, 2)))
