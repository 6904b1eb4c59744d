"""A calibration as people look at it."""

from collections.abc import Iterable

from rich.table import Table
from rich.text import Text

from catts.evals.measured import CalibrationMetric
from catts.evals.studies.calibrate import Calibration


def describe(fitted: Calibration) -> tuple[Table, Table, Table]:
    """What the card recommends, what it was chosen from, and how good the confidence is."""
    return _card(fitted), _choices(fitted), _metrics(fitted.metrics)


def _card(fitted: Calibration) -> Table:
    card, made = fitted.card, fitted.made
    title = Text(f"Calibrated {made.base} on {made.questions} questions", "table.title")
    table = _two_columns(title)
    mapping = card.confidence_map
    never = card.reflect_below is None
    rows = {
        "confidence": card.confidence_kind,
        "mapping": "none" if mapping is None else mapping.name,
        "vote weight": card.vote_weight,
        "self-check": f"noise step {card.noise_t}, alpha {card.contrast_alpha:g}",
        "critic": "asked always" if never else f"asked below {card.reflect_below:.3f}",
        "accepted at once": f"from a share of {card.accept:g}",
        "expert": made.expert,
        "model": made.base_fingerprint,
    }
    for name, value in rows.items():
        table.add_row(name, Text(str(value)))
    for node, count in fitted.unusable.items():
        told = f"malformed twice or refused in {count} of {made.questions} runs"
        table.add_row(Text(node, "red"), told)
    for why in fitted.left_out.values():
        table.add_row(Text("left out", "red"), Text(why))
    return table


def _choices(fitted: Calibration) -> Table:
    table = _two_columns("Chosen from")
    for kind in fitted.kinds:
        within = "undefined" if kind.within is None else f"{kind.within:.3f}"
        told = f"AUROC pooled {kind.pooled:.3f}, within a question {within}"
        table.add_row(f"confidence {kind.kind}", told)
    _add(table, "Brier score, mapping", fitted.brier.items())
    _add(table, "accuracy of the vote, weight", fitted.vote_accuracy.items())
    _add(table, "accuracy of the self-check,", fitted.contrast_accuracy.items())
    return table


def _metrics(metrics: Iterable[CalibrationMetric]) -> Table:
    table = Table(title="Confidence on these questions, mapping cross-fitted", title_justify="left")
    for column in ("metric", "value", "95 % interval", "answers", "of"):
        table.add_column(column, justify="left" if column in ("metric", "of") else "right")
    for m in metrics:
        value = "undefined" if m.value is None else f"{m.value:.3f}"
        interval = "" if m.low is None else f"{m.low:.3f} to {m.high:.3f}"
        name = f"{m.metric}, {m.detail}" if m.detail else m.metric
        of = m.confidence if m.mapping is None else f"{m.confidence}, mapped"
        table.add_row(name, value, interval, f"{m.answers}", of)
    return table


def _two_columns(title: str | Text) -> Table:
    table = Table(title=title, title_justify="left", show_header=False)
    table.add_column(overflow="fold")
    table.add_column(overflow="fold")
    return table


def _add(table: Table, what: str, scores: Iterable[tuple[str, float]]) -> None:
    for name, score in scores:
        table.add_row(f"{what} {name}", f"{score:.3f}")
