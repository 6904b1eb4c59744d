"""Every architecture through the engine's public methods, against transformers and plain loops."""

import asyncio
import copy
import math
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from architectures import ARCHITECTURES
from PIL import Image
from tokenizers.processors import TemplateProcessing

from catts.agents.engines.loading import load_model
from catts.agents.engines.transformers_engine import TransformersEngine
from catts.agents.protocol import ContrastParams, Generation, SamplingParams
from catts.perception.noise import add_noise
from catts.prompts import load_prompts
from catts.question import Question

Draw = Callable[..., Image.Image]
Pictures = list[Image.Image]

QUESTIONS = (
    Question(text="How many red discs are there?", images=("a" * 64,)),
    Question(text="What differs between the pictures?", images=("b" * 64, "c" * 64)),
    Question(text="Is it?", images=("d" * 64,), choices=("yes", "no")),
    Question(text="What is two and two?"),
)
GREEDY = SamplingParams(n=1, temperature=0, max_new_tokens=16)
CLOSE = 1e-4
"""Nats. In models this small log-probabilities of 32 bits were at most 2e-5 from those of 64; the
two likeliest tokens of a greedy step were at least 1e-3 apart, so which is written is certain."""


@pytest.fixture(scope="module", params=sorted(ARCHITECTURES))
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp(request.param)
    for part in ARCHITECTURES[request.param]():
        part.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def engine(folder: Path) -> Iterator[TransformersEngine]:
    # its prompts are short
    engine = TransformersEngine.load(folder, device="cpu", prompts=load_prompts("embedded"))
    yield engine
    asyncio.run(engine.aclose())


@pytest.fixture(scope="module")
def exact(engine: TransformersEngine) -> Any:
    """The same model in 64 bits."""
    return copy.deepcopy(engine.loaded.model).double()


@pytest.fixture(scope="module")
def pictures(random_picture: Draw) -> list[Pictures]:
    """The pictures of QUESTIONS; where pictures are tiled, of different numbers of tiles."""
    return [
        [random_picture(1, 84, 56)],
        [random_picture(2, 30, 90), random_picture(3, 60, 60)],
        [random_picture(4, 200, 40)],
        [],
    ]


def asked(engine: TransformersEngine, question: Question) -> str:
    return engine.prompts.ask("answer", question.text, question.choices)


def plain_inputs(engine: TransformersEngine, text: str, images: Pictures) -> dict[str, Any]:
    """Model inputs as transformers' documentation makes them."""
    content = [*({"type": "image", "image": i} for i in images), {"type": "text", "text": text}]
    return dict(
        engine.loaded.processor.apply_chat_template(
            [{"role": "user", "content": content}],
            add_generation_prompt=True,
            tokenize=True,
            return_dict=True,
            return_tensors="pt",
        )
    )


def generated(engine: TransformersEngine, text: str, images: Pictures) -> tuple[int, ...]:
    """What `generate` itself writes greedily."""
    loaded, inputs = engine.loaded, plain_inputs(engine, text, images)
    written = loaded.model.generate(
        **inputs,
        do_sample=False,
        max_new_tokens=GREEDY.max_new_tokens,
        suppress_tokens=list(loaded.vocabulary.suppressed),
    )
    return tuple(written[0, inputs["input_ids"].shape[1] :].tolist())


@torch.no_grad()
def plain_logprobs(model: Any, inputs: dict[str, Any], ids: Sequence[int]) -> torch.Tensor:
    """Log-probabilities of what follows each prefix of `ids`, (T + 1, V): one pass, no cache."""
    length, tail = inputs["input_ids"].shape[1], torch.tensor([ids], dtype=torch.long)
    inputs = dict(inputs)
    inputs["input_ids"] = torch.cat([inputs["input_ids"], tail], dim=1)
    inputs["attention_mask"] = torch.ones_like(inputs["input_ids"])
    if "mm_token_type_ids" in inputs:
        kinds = inputs["mm_token_type_ids"]
        inputs["mm_token_type_ids"] = torch.cat([kinds, torch.zeros_like(tail).to(kinds)], dim=1)
    logits: torch.Tensor = model(**inputs, use_cache=False).logits
    return logits[0, length - 1 :].double().log_softmax(-1)


def only(generation: Generation) -> tuple[int, ...]:
    (sample,) = generation.samples
    return sample.token_ids


def test_greedy_equals_generate(
    engine: TransformersEngine, pictures: list[Pictures], random_picture: Draw
) -> None:
    cases = list(zip(QUESTIONS, pictures, strict=True))
    sizes = ((20, 24), (130, 70), (64, 64))
    cases += [(QUESTIONS[0], [random_picture(i, *size)]) for i, size in enumerate(sizes, 10)]
    written = set()
    for question, images in cases:
        generation = engine.sample_sync(question, images, GREEDY)
        text = asked(engine, question)
        assert only(generation) == generated(engine, text, images)
        prompt = plain_inputs(engine, text, images)["input_ids"]
        assert generation.usage.prompt_tokens == prompt.shape[1]
        written.add(only(generation))
    assert len(written) == len(cases), "every picture and every question changes what is written"


def test_questions_of_different_pictures_go_as_one_batch(
    engine: TransformersEngine, pictures: list[Pictures]
) -> None:
    together = engine.sample_many_sync(QUESTIONS, pictures, GREEDY)
    assert len({generation.usage.prompt_tokens for generation in together}) == len(QUESTIONS)
    for question, images, generation in zip(QUESTIONS, pictures, together, strict=True):
        assert only(generation) == generated(engine, asked(engine, question), images)


def test_confidence_and_scores_equal_a_pass_in_64_bits(
    engine: TransformersEngine, exact: Any, pictures: list[Pictures]
) -> None:
    params = SamplingParams(n=4, max_new_tokens=12, seed=7)
    together = engine.sample_many_sync(QUESTIONS, pictures, params)
    again = engine.sample_many_sync(QUESTIONS, pictures, params)
    for question, images, generation, same in zip(
        QUESTIONS, pictures, together, again, strict=True
    ):
        assert generation.samples == same.samples
        ids = [sample.token_ids for sample in generation.samples]
        assert len(set(ids)) == 4
        scores = asyncio.run(engine.score(question, images, ids))
        inputs = plain_inputs(engine, asked(engine, question), images)
        for sample, score in zip(generation.samples, scores, strict=True):
            taken = torch.tensor(sample.token_ids)[:, None]
            all_logprobs = plain_logprobs(exact, inputs, sample.token_ids)[:-1]
            logprobs = all_logprobs.gather(1, taken).squeeze(1)
            confidence = -all_logprobs.topk(20).values.mean(-1)
            certainty = -all_logprobs.mean(-1) - math.log(all_logprobs.shape[-1])
            told = sample.confidence
            assert sample.token_confidence == pytest.approx(confidence.tolist(), abs=CLOSE)
            assert told["top_k_mean"] == pytest.approx(float(confidence.mean()), abs=CLOSE)
            assert told["self_certainty"] == pytest.approx(float(certainty.mean()), abs=CLOSE)
            assert told["mean_logprob"] == pytest.approx(float(logprobs.mean()), abs=CLOSE)
            assert told["min_logprob"] == pytest.approx(float(logprobs.min()), abs=CLOSE)
            assert score.logprobs == pytest.approx(logprobs.tolist(), abs=CLOSE)
            assert score.confidence == pytest.approx(told, abs=CLOSE)


async def test_in_16_bits_confidences_stay_close(
    folder: Path, engine: TransformersEngine, pictures: list[Pictures]
) -> None:
    half = TransformersEngine.load(folder, device="cpu", dtype="bfloat16", prompts=engine.prompts)
    params = SamplingParams(n=2, max_new_tokens=8)
    for question, images in zip(QUESTIONS[:2], pictures[:2], strict=True):
        for sample in (await half.sample(question, images, params)).samples:
            (score,) = await engine.score(question, images, [sample.token_ids])
            # weights have eight bits; logits that had as few would be some 0.06 away
            told = sample.confidence["top_k_mean"]
            assert told == pytest.approx(score.confidence["top_k_mean"], abs=0.02)
    await half.aclose()


async def test_reanswer_equals_generate(
    engine: TransformersEngine, pictures: list[Pictures]
) -> None:
    said = {"previous": "It is \\boxed{A}", "critique": "Look at the left."}
    for question, images in zip(QUESTIONS[1:3], pictures[1:3], strict=True):
        text = engine.prompts.ask("reanswer", question.text, question.choices, **said)
        assert "Look at the left." in text
        ours = await engine.reanswer(question, images, params=GREEDY, **said)
        assert only(ours) == generated(engine, text, images)
        assert only(ours) != only(await engine.sample(question, images, GREEDY))


async def noised(engine: TransformersEngine, images: Pictures) -> Pictures:
    """As the self-check makes them: noise at the size that the model sees."""
    return [
        add_noise(image.resize(await engine.seen_size(image)), 900, seed)
        for seed, image in enumerate(images)
    ]


def plain_contrast(
    engine: TransformersEngine, text: str, clean: Pictures, other: Pictures, params: ContrastParams
) -> tuple[int, ...]:
    """log p_VCD = (1 + a) log p - a log p' among plausible tokens; two full passes a token."""
    loaded, ids = engine.loaded, list[int]()
    branches = [plain_inputs(engine, text, images) for images in (clean, other)]
    while len(ids) < params.max_new_tokens and not (ids and ids[-1] in loaded.vocabulary.end_ids):
        seen, blurred = (plain_logprobs(loaded.model, inputs, ids)[-1] for inputs in branches)
        seen[list(loaded.vocabulary.suppressed)] = -math.inf
        plausible = seen >= math.log(params.beta) + seen.max()
        scores = (1 + params.alpha) * seen - params.alpha * blurred
        ids.append(int(scores.masked_fill(~plausible, -math.inf).argmax()))
    return tuple(ids)


async def test_contrast_equals_a_plain_loop(
    engine: TransformersEngine, pictures: list[Pictures]
) -> None:
    params = ContrastParams(alpha=2.0, beta=0.05, max_new_tokens=12)
    other = [await noised(engine, images) for images in pictures[:3]]
    together = await asyncio.to_thread(
        engine.contrast_many_sync, QUESTIONS[:3], pictures[:3], other, params
    )
    differing = 0
    for question, clean, blurred, contrast in zip(
        QUESTIONS, pictures, other, together, strict=False
    ):
        alone = await engine.contrast(question, clean, blurred, params)
        expected = plain_contrast(engine, asked(engine, question), clean, blurred, params)
        assert contrast.sample.token_ids == alone.sample.token_ids == expected
        greedy = only(await engine.sample(question, clean, GREEDY))
        differing += expected != greedy[: len(expected)]
        (score,) = await engine.score(question, clean, [expected])
        assert contrast.sample.confidence == pytest.approx(score.confidence, abs=CLOSE)
    assert differing >= 2, "the noise tells tokens apart"


SEEN = {
    "qwen2_vl": (112, 56),
    "qwen2_5_vl": (112, 56),
    "qwen3_vl": (96, 64),
    "internvl": (84, 56),
    "smolvlm": (84, 56),
    "idefics3": (84, 56),
    "llava_onevision": (84, 51),
}
"""How 100 x 60 pixels are seen, worked out by hand: in pairs of patches of 14 or 16 pixels; in 3 by
2 tiles of 28 pixels; for LLaVA in such a grid, the rest of whose height is filled up."""


async def test_a_picture_of_the_seen_size_is_not_scaled_again(engine: TransformersEngine) -> None:
    vision, kind = engine.loaded.processor.image_processor, engine.loaded.model.config.model_type
    for width, height in ((100, 60), (60, 100), (20, 24), (200, 40), (61, 59)):
        seen = await engine.seen_size(Image.new("RGB", (width, height)))
        if (width, height) == (100, 60):
            assert seen == SEEN[kind]
        assert await engine.seen_size(Image.new("RGB", seen)) == seen
        # two levels, of which scaling would make many
        levels = np.random.default_rng(0).choice([64, 192], (seen[1], seen[0], 3))
        picture = Image.fromarray(levels.astype(np.uint8))
        values = plain_inputs(engine, "?", [picture])["pixel_values"].double()
        shown = {
            (level / 255 - mean) / deviation
            for level in (64, 192)
            for mean, deviation in zip(vision.image_mean, vision.image_std, strict=True)
        }
        kept = sum(int(((values - value).abs() < 1e-5).sum()) for value in shown)
        assert kept >= levels.size


async def test_what_spells_a_picture_is_only_text(
    engine: TransformersEngine, pictures: list[Pictures]
) -> None:
    vocabulary, params = engine.loaded.vocabulary, SamplingParams(n=1, max_new_tokens=2)
    processor = engine.loaded.processor
    placeholders = {processor.image_token, getattr(processor, "video_token", "<|im_start|>")}
    spellings = {*vocabulary.reserved, *placeholders}
    text = "".join(sorted(spellings))
    spelled = await engine.complete(text, pictures[0], params)
    plain = await engine.complete("", pictures[0], params)
    added = spelled.usage.prompt_tokens - plain.usage.prompt_tokens
    assert added == len(text) + len(spellings)  # each got a space, all are bytes


def test_a_tokenizer_that_opens_every_text_opens_a_turn_once(folder: Path) -> None:
    loaded = load_model(folder, device="cpu")
    tokenizer = loaded.processor.tokenizer
    opening = tokenizer.convert_tokens_to_ids("<|im_start|>")
    tokenizer.bos_token = "<|im_start|>"
    tokenizer.backend_tokenizer.post_processor = TemplateProcessing(
        single="<|im_start|> $A", special_tokens=[("<|im_start|>", opening)]
    )
    assert tokenizer("a")["input_ids"][0] == opening
    engine = TransformersEngine(loaded)
    ours = engine.sample_sync(QUESTIONS[3], [], GREEDY)
    other = TransformersEngine.load(folder, device="cpu").sample_sync(QUESTIONS[3], [], GREEDY)
    assert ours.samples == other.samples
    assert ours.usage.prompt_tokens == other.usage.prompt_tokens
