"""Scorers get of a vote what each benchmark's rule can read."""

from dataclasses import fields
from typing import Any

import pytest
from inspect_ai.model import ModelName
from inspect_ai.scorer import Target
from inspect_ai.solver import TaskState
from PIL import Image
from scripted_models import ScriptedEngine, ScriptedExpert

from catts.evals.benchmarks.item import Item
from catts.evals.tasks.samples import FACTS
from catts.evals.tasks.scorers import official, strict
from catts.evals.tasks.solver import TRACE
from catts.graph.context import Context
from catts.graph.embed import answer

BARE = tuple("ABCDE")
UNITS = ("10 cm", "12 cm", "14 cm")
NAMING = ("only (A)", "only (B)", "both (A) and (B)")


def item(choices: tuple[str, ...], letter: str, task: str) -> Item:
    """As the benchmark's reader makes it: MathVista's gold answer is the choice's text."""
    gold = choices["ABCDE".index(letter)] if task == "mathvista" else letter
    return Item(
        "q", "Which is it?", choices, (), gold, "multi_choice", answer_letter=letter,
        fields={"answer_type": "text", "query": "Which is it?"},
    )  # fmt: skip


async def state_of(asked: Item, said: str) -> TaskState:
    """A run of which every sample says so."""
    context = Context.of(ScriptedEngine(((said, 2.0),) * 3), ScriptedExpert(), routing="planned")
    picture = Image.new("RGB", (24, 24))
    trace = await answer(picture, asked.question, choices=asked.choices, context=context)
    state = TaskState(
        model=ModelName("none/none"), sample_id="q", epoch=1, input="", messages=[],
        metadata={FACTS: {f.name: getattr(asked, f.name) for f in fields(asked)}},
    )  # fmt: skip
    state.store.set(TRACE, trace.model_dump(mode="json"))
    return state


@pytest.mark.parametrize("choices", [BARE, UNITS, NAMING])
@pytest.mark.parametrize("task", ["strict", "mathvista", "mathvision", "mmstar", "mmmu"])
async def test_a_right_choice_is_right_and_a_wrong_one_wrong(
    task: Any, choices: tuple[str, ...]
) -> None:
    scorer = strict() if task == "strict" else official(task)
    for letter in "ABC":
        state = await state_of(item(choices, letter, task), said="C")
        score = await scorer(state, Target(letter))
        assert score is not None
        assert score.value == ("C" if letter == "C" else "I"), (letter, score)
