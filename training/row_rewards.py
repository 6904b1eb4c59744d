"""The rewards of an answer, as TRL calls reward functions: for every completion of a batch."""

from collections.abc import Sequence
from typing import Any

from catts.answers import is_correct
from catts.question import Question
from catts.training.rewards import format_reward

Messages = Sequence[dict[str, Any]]


def output_of(
    completions: Sequence[Messages],
    *,
    question: Sequence[str],
    choices: Sequence[Sequence[str]],
    answer: Sequence[str],
    **_: Any,
) -> list[float]:
    """R_output: 1.0 where the completion answers its question rightly (`catts.answers`)."""
    rows = zip(completions, question, choices, answer, strict=True)
    return [
        float(is_correct(_text(said), gold, Question(text=text, choices=tuple(options))))
        for said, text, options, gold in rows
    ]


def format_of(completions: Sequence[Messages], **_: Any) -> list[float]:
    """R_format, see `catts.training.rewards.format_reward`."""
    return [format_reward(_text(said)) for said in completions]


def _text(said: Messages) -> str:
    return str(said[-1]["content"])
