"""Runs as HTML: what they add up to, and the data that the page's script makes cards of."""

from collections.abc import Sequence
from html import escape as quote
from statistics import median

from catts.evals.pages.ballots import SOURCE_TITLE, Filling, Names
from catts.evals.pages.cards import RunCard, Runs
from catts.evals.pages.payload import detail, row, scale_of
from catts.evals.pages.text import escape, number, to_json
from catts.graph.ledger import tally


def runs_section(runs: Runs, anchor: str) -> str:
    """The section of a file's runs; `anchor` is its id in the page.

    The list's data are one block. Each card's are a block of its own, which the script reads when
    the card is opened: a page of thousands opens as fast as its list.
    """
    scale = scale_of(runs.cards)
    blocks = "".join(
        _block(f"{anchor}-{place}", detail(card, scale)) for place, card in enumerate(runs.cards)
    )
    return (
        f'<section id="{anchor}" class="runs" data-runs="{anchor}"><h2>{escape(runs.title)}</h2>'
        f'<p class="lead">{_lead(runs.cards)}</p>'
        f'{_incomplete(runs)}<dl class="tiles">{_tiles(runs)}</dl>{_missing(runs)}'
        f'<div class="list"></div><noscript>{_static(runs.cards)}</noscript>'
        f"{_block(f'{anchor}-rows', [row(card) for card in runs.cards])}{blocks}</section>"
    )


def _block(name: str, data: object) -> str:
    return f'<script type="application/json" id="data-{name}">{to_json(data)}</script>\n'


def _lead(cards: Sequence[RunCard]) -> str:
    bases = dict.fromkeys(card.trace.engine for card in cards)
    experts = dict.fromkeys(card.trace.expert for card in cards)
    routings = dict.fromkeys(card.trace.policy.routing for card in cards)
    return (
        f"Base {escape(', '.join(bases))}, expert {escape(', '.join(experts))}, "
        f"routing {escape(', '.join(routings))}."
    )


def _tiles(runs: Runs) -> str:
    """Totals, the count of what was answered before any score."""
    cards = runs.cards
    if not cards:
        return ""
    graded = [card.right for card in cards if card.right is not None]
    total = len(cards)
    usages = [card.trace.usage for card in cards]
    tokens = (
        sum(u.total.prompt_tokens for u in usages),
        sum(u.total.completion_tokens for u in usages),
    )
    tiles = {
        "answered": (
            f"{sum(c.trace.answer is not None for c in cards):,}",
            f"of {runs.asked or total:,}",
        ),
        "right": (
            (f"{sum(graded) / len(graded):.1%}", f"{sum(graded):,} of {len(graded):,}")
            if graded
            else ("–", "no gold answers")
        ),
        "winner changed": (f"{sum(c.changed for c in cards):,}", "by the modules"),
        "with a failed role": (f"{sum(bool(c.trace.failed_nodes) for c in cards):,}", ""),
        "tokens": (f"{tokens[0] / total:,.0f}", f"read, {tokens[1] / total:,.0f} written, mean"),
        "expert calls": (f"{sum(u.expert_calls for u in usages) / total:.2f}", "mean"),
        "latency": (f"{median(u.latency or u.seconds for u in usages):.2f} s", "median"),
    }
    return "".join(
        f"<div><dt>{name}</dt><dd>{value} <small>{note}</small></dd></div>"
        for name, (value, note) in tiles.items()
    )


def _incomplete(runs: Runs) -> str:
    if runs.asked is None or runs.asked <= len(runs.cards):
        return ""
    return (
        f'<p class="warning">NOT COMPLETE: {len(runs.cards):,} of {runs.asked:,} runs finished; '
        "what follows speaks of those alone. The command that wrote the log, given again, asks the "
        "rest.</p>"
    )


def _missing(runs: Runs) -> str:
    if not runs.missing:
        return ""
    return f'<p class="warning">Pictures that were not found in the folder: {runs.missing:,}.</p>'


def _static(cards: Sequence[RunCard]) -> str:
    """Every question with its votes in one line, for browsers that run no script."""
    lines = "".join(
        f"<tr><td>{escape(card.id)}</td><td>{escape(card.trace.question.text)}</td>"
        f"<td>{escape(card.trace.answer_text or card.trace.why_no_answer)}</td>"
        f"<td>{escape(card.gold or '')} {_verdict(card)}</td><td>{quote(_votes(card))}</td></tr>"
        for card in cards
    )
    return (
        "<p>Cards need a script; here is what each vote came to.</p><table><thead><tr><th></th>"
        f"<th>question</th><th>answer</th><th>gold</th><th>votes</th></tr></thead>{lines}</table>"
    )


def _verdict(card: RunCard) -> str:
    return "" if card.right is None else "(right)" if card.right else "(wrong)"


def _votes(card: RunCard) -> str:
    names, trace = Names(card.trace), card.trace
    sources = Filling(trace).sources
    by_source = {source: tally(trace.ballots, {source}) for source in sources}
    told = []
    for key, votes in trace.votes.items():
        parts = (
            f"{SOURCE_TITLE[source]} {number(given[key])}"
            for source, given in by_source.items()
            if key in given
        )
        told.append(f"{names[key]}: {number(votes)} = {' + '.join(parts)}")
    return "; ".join(told)
