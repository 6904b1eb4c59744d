"""What a run found, read from its log: completed of total, before any score."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from inspect_ai.log import EvalLog, read_eval_log_sample_summaries
from inspect_ai.scorer import Score
from rich.table import Table
from rich.text import Text

from catts.agents.protocol import Usage
from catts.evals.metrics import cluster_bootstrap

CHOSEN_ON = "chosen_on"
"""Where a log's metadata say on how many of its questions the base's card was chosen."""
_ACCURACY = ("accuracy", "low", "high")


@dataclass(frozen=True)
class Outcome:
    """What a run found."""

    task: str
    log: Path
    completed: int
    """Samples, epochs apart, that were answered."""
    total: int
    skipped_rows: int
    """Malformed rows that were left out of the benchmark."""
    scores: Mapping[str, Mapping[str, float]]
    """Grader to `accuracy`, its 95 % interval (`low`, `high`; bootstrapped over questions, their
    epochs together), and the samples that are `unparsed`, `guessed`, and the `failed_nodes` of the
    graph, over the completed samples; empty where the questions have no labels."""
    errors: tuple[str, ...]
    """What the samples that failed said, each thing once."""
    chosen_on: int = 0
    """Questions on which the base's card was chosen (`catts calibrate`): on those, confidence and
    thresholds have seen the answers."""

    cost: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    """Role of the expert to what it cost over the completed samples, as `Usage` counts it; empty
    where nothing was graded."""
    unpaid: int = 0
    """Completed samples that went without a role whose budget was spent."""

    @property
    def complete(self) -> bool:
        """Whether every sample was answered."""
        return self.completed == self.total

    def plain(self) -> dict[str, Any]:
        """As JSON has it."""
        return asdict(self) | {"log": str(self.log), "complete": self.complete}


def path_of(location: str) -> Path:
    """The file that a log's location names."""
    return Path(location.removeprefix("file://").removeprefix("file:"))


def outcome_of(name: str, log: EvalLog) -> Outcome:
    """What a log says; the samples' summaries hold their scores, and are read alone."""
    summaries = read_eval_log_sample_summaries(log.location)
    answered = [summary for summary in summaries if summary.error is None]
    graded: dict[str, dict[str, list[Score]]] = {}
    for sample in answered:
        for grader, score in (sample.scores or {}).items():
            title = str((score.metadata or {}).get("grader", grader))
            graded.setdefault(title, {}).setdefault(str(sample.id), []).append(score)
    asked = log.eval.dataset.sample_ids or []
    rows = list(next(iter(graded.values()), {}).values())  # every grader tells the same of cost
    return Outcome(
        task=name,
        log=path_of(log.location),
        completed=len(answered),
        total=len(asked) * (log.eval.config.epochs or 1),
        skipped_rows=len((log.eval.metadata or {}).get("skipped_rows", ())),
        scores={grader: _numbers(by_question.values()) for grader, by_question in graded.items()},
        errors=tuple(dict.fromkeys(s.error for s in summaries if s.error)),
        cost=_cost(rows),
        unpaid=sum((s.metadata or {}).get("unpaid", False) for row in rows for s in row),
        chosen_on=(log.eval.metadata or {}).get(CHOSEN_ON, 0),
    )


def _numbers(questions: Iterable[list[Score]]) -> dict[str, float]:
    rows = list(questions)
    every = [score.metadata or {} for row in rows for score in row]
    found = cluster_bootstrap([[float(score.value == "C") for score in row] for row in rows])
    return {
        "accuracy": found.estimate,
        "low": found.low,
        "high": found.high,
        "unparsed": sum(told["unparsed"] for told in every),
        "guessed": sum(told["guessed"] for told in every),
        "failed_nodes": sum(len(told["failed_nodes"]) for told in every),
    }


def _cost(questions: Iterable[list[Score]]) -> dict[str, dict[str, float]]:
    """What each role cost."""
    spent: dict[str, Usage] = {}
    for score in (score for row in questions for score in row):
        for role, usage in (score.metadata or {}).get("cost", {}).items():
            spent[role] = spent.get(role, Usage()) + Usage.model_validate(usage)
    return {role: usage.model_dump() for role, usage in sorted(spent.items())}


def as_table(outcome: Outcome) -> Table:
    """The graders side by side, under how much of the run they speak of."""
    state = "" if outcome.complete else ", INCOMPLETE: run the command again for the rest"
    part = f"{outcome.completed:,} of {outcome.total:,} samples completed"
    table = Table(
        title=Text(f"{outcome.task}: {part}{state}"),
        caption=Text(_caption(outcome)),
        title_justify="left",
        caption_justify="left",
    )
    table.add_column("grader", overflow="fold")
    for column in ("accuracy", "unparsed", "guessed", "failed nodes"):
        table.add_column(column, justify="right")
    for grader, numbers in outcome.scores.items():
        accuracy, low, high = (numbers[name] for name in _ACCURACY)
        counts = (numbers[name] for name in ("unparsed", "guessed", "failed_nodes"))
        shown = f"{accuracy:.3f} ({low:.3f} to {high:.3f})"
        table.add_row(Text(grader), shown, *(f"{count:,.0f}" for count in counts))
    return table


def _caption(outcome: Outcome) -> str:
    lines = [f"log: {outcome.log}"]
    if outcome.skipped_rows:
        lines.insert(0, f"{outcome.skipped_rows} malformed rows were left out")
    if not outcome.scores and outcome.completed:
        lines.insert(0, "the questions have no labels: nothing was graded")
    if outcome.chosen_on:
        lines.append(f"the base's card was chosen on {outcome.chosen_on:,} of these questions")
    if outcome.unpaid:
        lines.append(
            f"{outcome.unpaid:,} samples went without a role whose budget was spent, and will not "
            "be asked again: for them give another --log-dir"
        )
    lines += [f"{role}: {_spent(usage)}" for role, usage in outcome.cost.items()]
    lines += [f"failed: {message}" for message in outcome.errors[:3]]
    return "\n".join(lines)


def _spent(usage: Mapping[str, float]) -> str:
    told = [
        f"{usage['calls']:,.0f} calls",
        f"{usage['prompt_tokens']:,.0f} tokens read",
        f"{usage['completion_tokens']:,.0f} written",
    ]
    if usage["dollars"]:
        told.append(f"${usage['dollars']:,.2f}")
    if usage["unpriced"]:
        told.append(f"{usage['unpriced']:,.0f} calls at a price that is not known")
    return ", ".join(told)
