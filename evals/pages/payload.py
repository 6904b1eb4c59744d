"""A run as the page's script reads it: cleaned text, finished numbers, nothing left to compute."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from catts.confidence import ConfidenceKind
from catts.evals.pages.ballots import Filling, Names
from catts.evals.pages.cards import RunCard
from catts.evals.pages.cost import cost
from catts.evals.pages.text import clean, finite, number, short
from catts.evals.small_picture import data_uri
from catts.graph.ledger import sample_ballots
from catts.graph.records import SampleRecord
from catts.graph.trace import Trace
from catts.names import PARTS

Scale = Mapping[ConfidenceKind, tuple[float, float]]
"""Where the bars of a kind of confidence begin and end."""

_NODE: dict[str, str] = {part.node: part.title for part in PARTS}
_MODULE = {part.module: part.title for part in reversed(PARTS) if part.module}


def scale_of(cards: Sequence[RunCard]) -> Scale:
    """The range of each kind over all samples, without its outermost 2 %."""
    found: dict[ConfidenceKind, list[float]] = {}
    for card in cards:
        for sample in card.trace.samples:
            if sample.confidence is not None:
                found.setdefault(sample.confidence_kind, []).append(sample.confidence)
    ends = {kind: np.quantile(values, (0.02, 0.98)) for kind, values in found.items()}
    return {kind: (float(low), float(high)) for kind, (low, high) in ends.items()}


def row(card: RunCard) -> dict[str, Any]:
    """What the list of questions shows of a run, and what it is searched and filtered by."""
    trace, names = card.trace, Names(card.trace)
    first = card.first_leader
    return {
        "id": clean(card.id),
        "question": clean(trace.question.text),
        "choices": list(map(clean, trace.question.choices)),
        "groups": list(map(clean, card.groups.values())),
        "answer": _answer(trace),
        "share": _share(trace),
        "gold": None if card.gold is None else clean(card.gold),
        "right": card.right,
        "failed": [_NODE[node] for node in trace.failed_nodes],
        "changed": names[first] if card.changed and first is not None else None,
    }


def detail(card: RunCard, scale: Scale) -> dict[str, Any]:
    """Everything that an opened card shows, beside its row."""
    trace, names, filling = card.trace, Names(card.trace), Filling(card.trace)
    question = trace.question
    return {
        "choices": [
            [letter, clean(text)]
            for letter, text in zip(question.letters, question.choices, strict=True)
        ],
        "groups": [[clean(name), clean(value)] for name, value in card.groups.items()],
        "asked": len(question.images),
        "pictures": list(map(data_uri, card.pictures)),
        "noised": list(map(data_uri, card.noised)),
        "maps": list(map(data_uri, card.maps)),
        "heats": list(map(data_uri, card.heats)),
        "noise": _noise(trace),
        "noAnswer": trace.why_no_answer,
        "engine": clean(trace.engine),
        "expert": clean(trace.expert),
        "samples": _samples(trace, scale),
        "kind": trace.policy.confidence_kind,
        "bars": _bars(trace, scale),
        "candidates": [names[key] for key in trace.votes],
        "winner": None if trace.answer is None else list(trace.votes).index(trace.answer),
        "steps": list(filling.steps()),
        "plan": _plan(trace),
        "vote": _vote(trace, names),
        "critique": None
        if trace.critique is None
        else {"on": names[trace.critique.answer], "text": clean(trace.critique.text)},
        "reanswer": None if trace.reanswer is None else _sample(trace.reanswer, trace, scale),
        "check": None
        if trace.self_check is None
        else {
            **_sample(trace.self_check.sample, trace, scale),
            "method": trace.self_check.method.replace("_", " "),
        },
        "route": [
            {
                "after": [_NODE[node] for node in decision.after],
                "to": [_NODE.get(step, step) for step in decision.to],
                "reason": clean(decision.reason),
                "rule": decision.rule.replace("_", " "),
                "numbers": [
                    [clean(name).replace("_", " "), short(value)]
                    for name, value in decision.numbers.items()
                ],
            }
            for decision in trace.route
        ],
        "failures": [
            [_NODE[failure.node], clean(failure.error), clean(failure.message)]
            for failure in trace.failures
        ],
        "cost": cost(trace),
    }


def _answer(trace: Trace) -> str | None:
    return None if trace.answer is None else clean(trace.answer_text or trace.answer)


def _share(trace: Trace) -> float | None:
    """The answer's share of all votes."""
    total = sum(trace.votes.values())
    return None if trace.answer is None or not total else trace.votes[trace.answer] / total


def _samples(trace: Trace, scale: Scale) -> list[dict[str, Any]]:
    shares = iter(sample_ballots(trace.samples))
    return [
        {
            **_sample(sample, trace, scale),
            "votes": number(next(shares).weight) if sample.votes else None,
            "won": sample.votes and sample.answer == trace.answer,
        }
        for sample in trace.samples
    ]


def _sample(sample: SampleRecord, trace: Trace, scale: Scale) -> dict[str, Any]:
    said = sample.said or sample.answer
    return {
        "answer": None if sample.answer is None or said is None else clean(said),
        "text": clean(sample.text),
        "cut": sample.finish_reason == "length",
        "confidence": None if sample.confidence is None else number(sample.confidence),
        "bar": _bar(sample, trace, scale),
    }


def _bar(sample: SampleRecord, trace: Trace, scale: Scale) -> float | None:
    """Length of the confidence's bar, in [0, 1]."""
    if sample.confidence is None:
        return None
    certainty = _certainty(sample, trace)
    if certainty is not None:
        return certainty
    low, high = scale.get(sample.confidence_kind, (0.0, 0.0))
    if high <= low:
        return 1.0
    return min(1.0, max(0.0, (sample.confidence - low) / (high - low)))


def _certainty(sample: SampleRecord, trace: Trace) -> float | None:
    fitted = trace.policy.confidence_map
    if fitted is None or sample.confidence is None or fitted.kind != sample.confidence_kind:
        return None
    return fitted(sample.confidence)


def _bars(trace: Trace, scale: Scale) -> str:
    """What the bars show, in words."""
    kind = trace.policy.confidence_kind
    fitted = trace.policy.confidence_map
    if fitted is not None and fitted.kind == kind:
        return "bar: the probability of being right that this confidence maps to, 0 to 1"
    if kind not in scale:
        return ""
    low, high = scale[kind]
    return f"bar: from {short(low)} to {short(high)}, the range over all questions of this file"


def _noise(trace: Trace) -> list[str]:
    if trace.self_check is None:
        return []
    return [
        f"t = {noised.t}, {'whole picture' if noised.region is None else 'key region'}"
        for noised in trace.self_check.noised
    ]


def _plan(trace: Trace) -> dict[str, Any] | None:
    if trace.plan is None:
        return None
    return {
        "order": [_MODULE[module] for module in trace.plan.order],
        "reason": clean(trace.plan.reason),
        "source": trace.plan.source,
    }


def _vote(trace: Trace, names: Names) -> list[list[Any]]:
    if trace.vote is None:
        return []
    return [[names[key], finite(p), number(p)] for key, p in trace.vote.probabilities.items()]
