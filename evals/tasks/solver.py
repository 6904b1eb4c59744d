"""The graph as an Inspect solver."""

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from inspect_ai.model import ChatMessageUser, ContentImage, ContentText, ModelOutput
from inspect_ai.solver import Generate, Solver, TaskState, solver

from catts.errors import EngineError
from catts.evals.small_picture import data_uri, thumbnail
from catts.evals.tasks.models import OPENED
from catts.evals.tasks.samples import asked, loaded_benchmark
from catts.evals.tasks.spans import MOST, TranscriptObserver, show_picture
from catts.graph.embed import answer

TRACE = "trace"
"""Where a sample's store holds the graph's trace."""


@solver
def catts(source: Mapping[str, Any], settings: Mapping[str, Any]) -> Solver:
    """Answer a sample by the graph; its trace goes into the sample's store.

    Epoch e draws with the seed of the settings plus e - 1. A run whose base model produced nothing
    is an error of the sample, so that a retry asks it again: it is no wrong answer.

    Args:
        source: of `loaded_benchmark`: where the samples' pictures come from.
        settings: of `catts.graph.opening.open_context`.
    """
    known = {item.id: item for item in loaded_benchmark(**source).items}

    async def solve(state: TaskState, generate: Generate) -> TaskState:
        item = known[str(state.sample_id)]
        context = await OPENED.get(dict(settings))
        seed = context.policy.seed + state.epoch - 1
        pictures = await asyncio.to_thread(item.load_images)
        held = replace(
            context,
            policy=context.policy.model_copy(update={"seed": seed}),
            observer=TranscriptObserver(pictures),
        )
        for number, picture in enumerate(pictures, start=1):
            show_picture(f"picture {number}", picture)
        shown = [ContentImage(image=data_uri(thumbnail(picture, MOST))) for picture in pictures]
        state.messages = [ChatMessageUser(content=[ContentText(text=asked(item)), *shown])]
        trace = await answer(pictures, item.question, choices=item.choices, context=held)
        state.store.set(TRACE, trace.model_dump(mode="json"))
        if trace.no_answer == "sampler_failed":
            failure = next(f for f in trace.failures if f.node == "sampler")
            raise EngineError(f"the base model failed: {failure.message}")
        said = trace.answer_text or f"no answer: {trace.why_no_answer}"
        state.output = ModelOutput.from_content(trace.engine, said)
        state.messages.append(state.output.message)
        return state

    return solve
