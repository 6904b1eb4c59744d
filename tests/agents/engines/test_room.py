"""Completions of a real architecture end where the model's context ends."""

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from PIL import Image

from catts.agents.engines.loading import load_model
from catts.agents.engines.room import context_of
from catts.agents.engines.transformers_engine import TransformersEngine
from catts.agents.protocol import ContrastParams, SamplingParams
from catts.errors import EngineError
from catts.perception.noise import add_noise
from catts.question import Question

Draw = Callable[..., Image.Image]
CONTEXT = 120
ENDLESS = 10**30


def endless(checkpoint: Path, context: int) -> TransformersEngine:
    """An engine that never ends its turn, of so short a context."""
    loaded = load_model(checkpoint, device="cpu")
    loaded.model.config.text_config.max_position_embeddings = context
    vocabulary = loaded.vocabulary
    suppressed = (*vocabulary.suppressed, *vocabulary.end_ids)
    return TransformersEngine(
        replace(loaded, vocabulary=vocabulary._replace(suppressed=suppressed))
    )


@pytest.fixture
async def engine(tiny_checkpoint: Path) -> AsyncIterator[TransformersEngine]:
    engine = endless(tiny_checkpoint, CONTEXT)
    yield engine
    await engine.aclose()


@pytest.mark.parametrize("temperature", [0.0, 1.0])
async def test_a_completion_ends_with_the_context_whatever_was_asked_for(
    engine: TransformersEngine, random_picture: Draw, temperature: float
) -> None:
    params = SamplingParams(n=2, max_new_tokens=ENDLESS, temperature=temperature)
    made = await engine.complete("What is it?", [random_picture(1)], params)
    room = CONTEXT - made.usage.prompt_tokens
    assert 10 < room < CONTEXT
    for sample in made.samples:
        assert len(sample.token_ids) == room
        assert sample.finish_reason == "length"
    enough = params.model_copy(update={"max_new_tokens": room})
    assert (await engine.complete("What is it?", [random_picture(1)], enough)).samples == (
        made.samples
    )


async def test_questions_asked_together_are_cut_each_at_its_own_end(
    engine: TransformersEngine, random_picture: Draw
) -> None:
    params = SamplingParams(n=2, max_new_tokens=ENDLESS)
    texts = ["a", "a question that is somewhat longer", "and another"]
    alone = [await engine.complete(text, [], params) for text in texts]
    together = await asyncio.to_thread(engine.complete_many_sync, texts, [[]] * 3, params)
    for one, many in zip(alone, together, strict=True):
        assert [s.token_ids for s in many.samples] == [s.token_ids for s in one.samples]
        assert len(many.samples[0].token_ids) == CONTEXT - many.usage.prompt_tokens


async def test_a_contrast_ends_with_the_context(
    tiny_checkpoint: Path, random_picture: Draw
) -> None:
    engine = endless(tiny_checkpoint, 600)
    picture, question = random_picture(1), Question(text="?", images=("a" * 64,))
    params = ContrastParams(max_new_tokens=ENDLESS)
    made = await engine.contrast(question, [picture], [add_noise(picture, 900, 0)], params)
    assert len(made.sample.token_ids) == 600 - made.usage.prompt_tokens // 2
    assert made.sample.finish_reason == "length"
    await engine.aclose()


async def test_a_question_that_leaves_no_room_says_so(engine: TransformersEngine) -> None:
    params = SamplingParams(n=1, max_new_tokens=4)
    short = (await engine.complete("", [], params)).usage.prompt_tokens
    longest = "x" * (CONTEXT - 1 - short)
    assert len((await engine.complete(longest, [], params)).samples[0].token_ids) == 1
    with pytest.raises(EngineError, match=r"take 120 tokens, and .* has room for 120.*max_pixels"):
        await engine.complete(longest + "x", [], params)


@pytest.mark.parametrize(
    ("text", "context"),
    [
        ({}, None),
        ({"max_position_embeddings": 4096}, 4096),
        ({"max_position_embeddings": 4096, "rope_parameters": {"rope_type": "default"}}, 4096),
        (
            {
                "max_position_embeddings": 32_768,
                "rope_parameters": {"factor": 4.0, "original_max_position_embeddings": 32_768},
            },
            131_072,
        ),
        (
            {
                "max_position_embeddings": 131_072,
                "rope_parameters": {"factor": 8.0, "original_max_position_embeddings": 8192},
            },
            131_072,
        ),
    ],
)
def test_what_a_checkpoint_tells_of_its_context(text: dict[str, Any], context: int | None) -> None:
    config = SimpleNamespace(get_text_config=lambda: SimpleNamespace(**text))
    assert context_of(config) == context
