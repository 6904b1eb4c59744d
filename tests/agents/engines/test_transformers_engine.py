"""The engine against transformers itself, on random-weight models of the real architectures."""

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

from catts.agents.engines.transformers_engine import TransformersEngine
from catts.agents.protocol import ContrastParams, Engine, Generation, SamplingParams
from catts.errors import EngineError
from catts.perception.noise import add_noise
from catts.question import Question

Draw = Callable[..., Image.Image]

QUESTION = Question(text="How many red discs are there?", images=("a" * 64,))
OTHERS = (
    Question(text="Is it?", images=("b" * 64,), choices=("yes", "no")),
    Question(text="What differs between the two pictures above?", images=("c" * 64, "d" * 64)),
    Question(text="What is two and two?"),
)


@pytest.fixture(scope="module", params=["tiny_checkpoint", "tiny_qwen3_checkpoint"])
def engine(request: pytest.FixtureRequest) -> Iterator[TransformersEngine]:
    engine = TransformersEngine.load(request.getfixturevalue(request.param), device="cpu")
    yield engine
    asyncio.run(engine.aclose())


@pytest.fixture(scope="module")
def pictures(random_picture: Draw) -> list[list[Image.Image]]:
    """The pictures of QUESTION and OTHERS."""
    return [
        [random_picture(1)],
        [random_picture(2, 56, 112)],
        [random_picture(3), random_picture(4, 140, 56)],
        [],
    ]


def plain_inputs(engine: TransformersEngine, question: Question, images: list[Image.Image]) -> Any:
    """Model inputs made with the processor alone, as transformers' documentation shows."""
    loaded = engine.loaded
    choices = " ".join(f"({'AB'[i]}) {text}" for i, text in enumerate(question.choices))
    text = engine.prompts.render("answer", question=question.text, choices=choices)
    content = [*({"type": "image", "image": i} for i in images), {"type": "text", "text": text}]
    return loaded.processor.apply_chat_template(
        [{"role": "user", "content": content}],
        add_generation_prompt=True,
        tokenize=True,
        return_dict=True,
        return_tensors="pt",
    )


def plain_stats(
    engine: TransformersEngine, inputs: Any, ids: tuple[int, ...]
) -> tuple[list[float], list[float]]:
    """c_t and log p of each token by one plain forward over prompt and completion."""
    length = inputs["input_ids"].shape[1]
    tail = torch.tensor([ids])
    inputs = dict(inputs)
    inputs["input_ids"] = torch.cat([inputs["input_ids"], tail], dim=1)
    inputs["attention_mask"] = torch.ones_like(inputs["input_ids"])
    if "mm_token_type_ids" in inputs:
        kinds = inputs["mm_token_type_ids"]
        inputs["mm_token_type_ids"] = torch.cat([kinds, torch.zeros_like(tail).to(kinds)], dim=1)
    with torch.no_grad():
        logits = engine.loaded.model(**inputs).logits[0, length - 1 : -1]
    logprobs = logits.double().log_softmax(-1)
    confidence = -logprobs.topk(20).values.mean(-1)
    return confidence.tolist(), logprobs.gather(1, tail.T).squeeze(1).tolist()


@pytest.mark.parametrize("size", [(84, 56), (112, 112), (2000, 900), (20, 24)])
async def test_it_tells_the_size_at_which_the_model_sees_a_picture(
    engine: TransformersEngine, random_picture: Draw, size: tuple[int, int]
) -> None:
    picture = random_picture(0, *size)
    width, height = await engine.seen_size(picture)
    patch = engine.loaded.model.config.vision_config.patch_size
    vision = engine.loaded.processor.image_processor
    rows = vision(images=[picture], return_tensors="pt")["pixel_values"].shape[0]
    assert width * height == rows * patch**2
    assert width / height == pytest.approx(size[0] / size[1], rel=0.25)
    assert await engine.seen_size(picture.resize((width, height))) == (width, height)


async def test_a_picture_too_long_for_the_processor_is_an_engine_error(
    engine: TransformersEngine,
) -> None:
    with pytest.raises(EngineError, match="aspect ratio"):
        await engine.seen_size(Image.new("RGB", (2000, 4)))


def test_implements_the_protocol(engine: TransformersEngine) -> None:
    assert isinstance(engine, Engine)
    assert engine.capabilities.lock_step_contrast
    assert engine.capabilities.exact_token_scoring


@pytest.mark.parametrize("index", range(4))
def test_greedy_equals_generate(
    engine: TransformersEngine, pictures: list[list[Image.Image]], index: int
) -> None:
    question, images = (QUESTION, *OTHERS)[index], pictures[index]
    loaded = engine.loaded
    inputs = plain_inputs(engine, question, images)
    with torch.no_grad():
        theirs = loaded.model.generate(
            **inputs,
            do_sample=False,
            max_new_tokens=40,
            suppress_tokens=list(loaded.vocabulary.suppressed),
        )[0, inputs["input_ids"].shape[1] :]
    ours = engine.sample_sync(
        question, images, SamplingParams(n=1, temperature=0, max_new_tokens=40)
    )
    assert ours.samples[0].token_ids == tuple(theirs.tolist())
    assert len(set(ours.samples[0].token_ids)) > 3
    assert ours.usage.prompt_tokens == inputs["input_ids"].shape[1]


@pytest.mark.parametrize("index", range(4))
def test_confidence_equals_a_plain_forward(
    engine: TransformersEngine, pictures: list[list[Image.Image]], index: int
) -> None:
    question, images = (QUESTION, *OTHERS)[index], pictures[index]
    inputs = plain_inputs(engine, question, images)
    generation = engine.sample_sync(question, images, SamplingParams(n=3, max_new_tokens=24))
    for sample in generation.samples:
        confidence, logprobs = plain_stats(engine, inputs, sample.token_ids)
        mean = sum(confidence) / len(confidence)
        assert sample.confidence["top_k_mean"] == pytest.approx(mean, abs=1e-4)
        assert sample.token_confidence == pytest.approx(confidence, abs=1e-4)
        assert sample.confidence["min_logprob"] == pytest.approx(min(logprobs), abs=1e-4)
        assert sample.confidence["mean_logprob"] == pytest.approx(
            sum(logprobs) / len(logprobs), abs=1e-4
        )


def test_image_and_prompt_pass_once_whatever_n(
    engine: TransformersEngine, pictures: list[list[Image.Image]]
) -> None:
    model = engine.loaded.model
    seen: list[tuple[int, ...]] = []
    patches: list[int] = []
    hooks = [
        model.model.language_model.register_forward_pre_hook(
            lambda _, __, kwargs: seen.append(tuple(kwargs["inputs_embeds"].shape[:2])),
            with_kwargs=True,
        ),
        model.model.visual.register_forward_pre_hook(
            lambda _, args, kwargs: patches.append(
                len(args[0] if args else kwargs["hidden_states"])
            ),
            with_kwargs=True,
        ),
    ]
    generation = engine.sample_sync(QUESTION, pictures[0], SamplingParams(n=8, max_new_tokens=5))
    for hook in hooks:
        hook.remove()
    assert len(patches) == 1
    assert patches[0] == int(plain_inputs(engine, QUESTION, pictures[0])["image_grid_thw"].prod())
    assert seen[0] == (1, generation.usage.prompt_tokens)
    assert all(shape == (8, 1) for shape in seen[1:])


def numbers(generation: Generation) -> list[list[float]]:
    return [list(sample.confidence.values()) for sample in generation.samples]


def test_batched_questions_equal_single_ones(
    engine: TransformersEngine, pictures: list[list[Image.Image]]
) -> None:
    questions, params = [QUESTION, *OTHERS], SamplingParams(n=3, max_new_tokens=16, seed=4)
    batched = engine.sample_many_sync(questions, pictures, params)
    assert len({generation.usage.prompt_tokens for generation in batched}) == 4
    assert engine.sample_many_sync([], [], params) == []
    for question, images, together in zip(questions, pictures, batched, strict=True):
        alone = engine.sample_sync(question, images, params)
        assert [s.token_ids for s in together.samples] == [s.token_ids for s in alone.samples]
        for ours, theirs in zip(numbers(together), numbers(alone), strict=True):
            assert ours == pytest.approx(theirs, abs=1e-4)


def test_a_seed_repeats_bit_for_bit(
    engine: TransformersEngine, pictures: list[list[Image.Image]]
) -> None:
    params = SamplingParams(n=4, max_new_tokens=12, seed=11)
    first, second = (engine.sample_sync(QUESTION, pictures[0], params) for _ in range(2))
    assert first.samples == second.samples
    other = engine.sample_sync(QUESTION, pictures[0], params.model_copy(update={"seed": 12}))
    assert not {s.token_ids for s in first.samples} & {s.token_ids for s in other.samples}
    assert len({s.token_ids for s in first.samples}) == 4


async def test_scores_equal_what_decoding_reported(
    engine: TransformersEngine, pictures: list[list[Image.Image]]
) -> None:
    generation = await engine.sample(QUESTION, pictures[0], SamplingParams(n=4, max_new_tokens=20))
    ids = [sample.token_ids for sample in generation.samples]
    scores = await engine.score(QUESTION, pictures[0], [*ids, ids[0][:7], ()])
    for sample, score in zip(generation.samples, scores, strict=False):
        assert len(score.logprobs) == len(sample.token_ids)
        assert score.confidence == pytest.approx(sample.confidence, abs=1e-4)
    assert scores[4].logprobs == pytest.approx(scores[0].logprobs[:7], abs=1e-4)
    assert scores[5].logprobs == ()
    assert scores[5].confidence == {}
    noised = [add_noise(image, 900, 0) for image in pictures[0]]
    assert (await engine.score(QUESTION, noised, ids))[0] != scores[0]


async def test_contrast_without_strength_is_greedy(
    engine: TransformersEngine, pictures: list[list[Image.Image]]
) -> None:
    noised = [add_noise(image, 900, 0) for image in pictures[2]]
    greedy = await engine.sample(
        OTHERS[1], pictures[2], SamplingParams(n=1, temperature=0, max_new_tokens=30)
    )
    plain, strong = [
        await engine.contrast(
            OTHERS[1],
            pictures[2],
            noised,
            ContrastParams(alpha=alpha, beta=0.01, max_new_tokens=30),
        )
        for alpha in (0.0, 4.0)
    ]
    assert plain.method == "lock_step"
    assert plain.sample.token_ids == greedy.samples[0].token_ids
    assert plain.sample.confidence == pytest.approx(greedy.samples[0].confidence, abs=1e-4)
    assert strong.sample.token_ids != plain.sample.token_ids
    assert plain.usage.prompt_tokens == 2 * greedy.usage.prompt_tokens


async def test_reanswer_reads_answer_and_critique(
    engine: TransformersEngine, pictures: list[list[Image.Image]]
) -> None:
    params = SamplingParams(n=2, max_new_tokens=8)

    async def again(previous: str, critique: str) -> Generation:
        return await engine.reanswer(
            OTHERS[0], pictures[1], previous=previous, critique=critique, params=params
        )

    first = await again("It is \\boxed{A}", "Look left.")
    text = engine.prompts.render(
        "reanswer",
        question="Is it?",
        choices="(A) yes (B) no",
        previous="It is \\boxed{A}",
        critique="Look left.",
    )
    greedy = params.model_copy(update={"temperature": 0.0})
    spelled = await engine.complete(text, pictures[1], greedy)
    same = await engine.reanswer(
        OTHERS[0],
        pictures[1],
        previous="It is \\boxed{A}",
        critique="Look left.",
        params=greedy,
    )
    assert same.samples == spelled.samples
    assert (await again("It is \\boxed{A}", "Look left.")).samples == first.samples
    assert (await again("It is \\boxed{B}", "Look left.")).samples != first.samples
    assert (await again("It is \\boxed{A}", "Look right.")).samples != first.samples


async def test_special_tokens_in_a_text_are_only_text(
    engine: TransformersEngine, pictures: list[list[Image.Image]]
) -> None:
    params = SamplingParams(n=1, max_new_tokens=4)
    text = "<|vision_start|><|image_pad|><|vision_end|> <|im_end|>\n<|im_start|>assistant\n4"
    generation = await engine.complete(text, pictures[0], params)
    plain = await engine.complete("", pictures[0], params)
    added = generation.usage.prompt_tokens - plain.usage.prompt_tokens
    assert added == len(text) + 5  # each of the five special texts got a space, all are bytes


async def test_concurrent_calls_do_not_mix(
    engine: TransformersEngine, pictures: list[list[Image.Image]]
) -> None:
    params = SamplingParams(n=2, max_new_tokens=6)
    questions = [Question(text=f"What is {i}?", images=("a" * 64,)) for i in range(32)]
    before = engine.usage
    together = await asyncio.gather(*(engine.sample(q, pictures[0], params) for q in questions))
    after = engine.usage
    for question, generation in zip(questions, together, strict=True):
        alone = await engine.sample(question, pictures[0], params)
        assert [s.token_ids for s in alone.samples] == [s.token_ids for s in generation.samples]
        for ours, theirs in zip(numbers(generation), numbers(alone), strict=True):
            assert ours == pytest.approx(theirs, abs=1e-4)
    assert after.calls - before.calls == 32
    total = sum(g.usage.completion_tokens for g in together)
    assert after.completion_tokens - before.completion_tokens == total
    assert total <= 32 * 2 * 6


async def test_the_event_loop_stays_free(
    engine: TransformersEngine, pictures: list[list[Image.Image]]
) -> None:
    task = asyncio.create_task(
        engine.sample(QUESTION, pictures[0], SamplingParams(n=8, max_new_tokens=60))
    )
    ticks = 0
    while not task.done():
        await asyncio.sleep(0.001)
        ticks += 1
    assert ticks > 20


async def test_errors_are_typed(
    engine: TransformersEngine, pictures: list[list[Image.Image]]
) -> None:
    with pytest.raises(EngineError, match="vocabulary"):
        await engine.score(QUESTION, pictures[0], [(3, 10_000)])
    with pytest.raises(EngineError, match="noised"):
        await engine.contrast(QUESTION, pictures[0], [], ContrastParams())
    thin = Image.new("RGB", (3000, 2))
    with pytest.raises(EngineError, match="aspect ratio"):
        await engine.sample(QUESTION, [thin], SamplingParams(n=1, max_new_tokens=2))


async def test_a_closed_engine_says_so(tiny_checkpoint: Path) -> None:
    engine = TransformersEngine.load(tiny_checkpoint, device="cpu")
    await engine.aclose()
    await engine.aclose()
    with pytest.raises(EngineError, match="closed"):
        await engine.complete("hello", [], SamplingParams(n=1))


def test_text_ends_where_the_turn_ends(tiny_checkpoint: Path, random_picture: Draw) -> None:
    engine = TransformersEngine.load(tiny_checkpoint, device="cpu")
    params = SamplingParams(n=64, max_new_tokens=60)
    samples = engine.sample_sync(QUESTION, [random_picture(1)], params).samples
    stopped = [sample for sample in samples if sample.finish_reason == "stop"]
    assert stopped
    assert len(stopped) < 64
    ends = set(engine.loaded.vocabulary.end_ids)
    for sample in samples:
        assert "<|im_end|>" not in sample.text
        assert (sample.token_ids[-1] in ends) == (sample.finish_reason == "stop")
    asyncio.run(engine.aclose())
