import random
from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file

from catts.agents.card import read_card
from catts.agents.engines.transformers_engine import TransformersEngine
from catts.embedded import processor as processor_module
from catts.embedded import train as train_module
from catts.embedded.architecture import Size, build_model
from catts.embedded.batches import collate, encode, patches
from catts.embedded.curriculum import Curriculum
from catts.embedded.fast_linear import use_bfloat16_products
from catts.embedded.lessons import lesson
from catts.embedded.recipes import RECIPES
from catts.embedded.train import lesson_loss, train
from catts.embedded.world import example
from catts.errors import InputError
from catts.prompts import load_prompts

pytestmark = pytest.mark.slow

PROMPTS = load_prompts("embedded")
TINY = replace(
    RECIPES["expert"],
    size=Size(hidden=32, layers=1, heads=2, vision_hidden=32, vision_depth=1),
    vision_steps=4,
    look_steps=8,
    answer_steps=8,
    steps=18,
    batch=4,
    vision_batch=4,
)


@pytest.fixture(scope="module")
def processor():
    return processor_module.build_processor(PROMPTS, lessons=400)


@pytest.fixture(autouse=True)
def small_tokenizer(processor, monkeypatch):
    monkeypatch.setattr(train_module, "build_processor", lambda _: processor)


def weights(folder):
    return load_file(folder / "model.safetensors")


def test_training_tensors_are_what_the_processor_makes(processor):
    taught = lesson("answer", example("train", 3), PROMPTS, random.Random(0))
    image = taught.example.image
    tokenizer = processor.tokenizer
    ours = encode(tokenizer, image, taught.prompt, taught.completion)
    messages = [
        {
            "role": "user",
            "content": [{"type": "image"}, {"type": "text", "text": taught.prompt}],
        }
    ]
    text = processor.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
    theirs = processor(text=[text], images=[image], return_tensors="pt")
    assert theirs["input_ids"][0].tolist() == ours.prompt
    torch.testing.assert_close(
        theirs["pixel_values"], torch.from_numpy(patches(image)), rtol=0, atol=1e-6
    )
    assert tokenizer.decode(ours.completion) == f"{taught.completion}<|im_end|>"


def test_decisions_weigh_more(processor):
    taught = lesson("answer", example("train", 0, family="count"), PROMPTS, random.Random(0))
    item = encode(
        processor.tokenizer,
        taught.example.image,
        "x",
        "<think>b3 red star 1, c4 blue circle</think>",
    )
    tokens = [processor.tokenizer.decode(t).strip() for t in item.completion]
    heavy = [t for t, w in zip(tokens, item.weights, strict=True) if w > 1]
    assert heavy == ["1", "</think>", "<|im_end|>"]


def test_unweighted_loss_is_transformers_own(processor):
    tokenizer = processor.tokenizer
    model = build_model(TINY.size, tokenizer, 0).eval()
    taught = lesson("answer", example("train", 3), PROMPTS, random.Random(0))
    item = encode(tokenizer, taught.example.image, taught.prompt, taught.completion)
    batch = collate([item], tokenizer.convert_tokens_to_ids("<|image_pad|>"))
    batch["weights"] = (batch["weights"] > 0).float()
    theirs = {k: v for k, v in batch.items() if k != "weights"}
    with torch.no_grad():
        expected = model(**theirs).loss.item()
        assert lesson_loss(model, batch).item() == pytest.approx(expected, rel=1e-5)


def test_padding_changes_no_loss(processor):
    """A conversation's loss is the same alone and beside a longer one."""
    tokenizer = processor.tokenizer
    model = build_model(TINY.size, tokenizer, 0).eval()
    rng = random.Random(0)
    items = [
        encode(tokenizer, taught.example.image, taught.prompt, taught.completion)
        for taught in (
            lesson("answer", example("train", 3), PROMPTS, rng),
            lesson("critic", example("train", 0), PROMPTS, rng),
        )
    ]
    image_token = tokenizer.convert_tokens_to_ids("<|image_pad|>")
    with torch.no_grad():
        batches = [collate([item], image_token) for item in items]
        alone = [lesson_loss(model, batch).item() for batch in batches]
        both = lesson_loss(model, collate(items, image_token)).item()
    weights = [batch["weights"].sum().item() for batch in batches]
    expected = sum(a * w for a, w in zip(alone, weights, strict=True)) / sum(weights)
    assert both == pytest.approx(expected, rel=1e-4)


def test_bfloat16_products_follow_float32(processor):
    tokenizer = processor.tokenizer
    exact, fast = (build_model(TINY.size, tokenizer, 0) for _ in range(2))
    use_bfloat16_products(fast)
    batch = Curriculum(TINY, tokenizer, PROMPTS, 0).lessons(0)
    for model in (exact, fast):
        lesson_loss(model, batch).backward()
    for (name, a), b in zip(exact.named_parameters(), fast.parameters(), strict=True):
        if a.grad is not None and a.grad.norm() > 1e-4:
            cosine = torch.cosine_similarity(a.grad.flatten(), b.grad.flatten(), dim=0)
            assert cosine > 0.99, name


def test_a_step_has_the_same_batch_in_any_order(processor):
    def batch(steps):
        curriculum = Curriculum(TINY, processor.tokenizer, PROMPTS, 0)
        return [curriculum.lessons(step)["input_ids"] for step in steps]

    straight, jumped = batch([0, 1, 9]), batch([9, 0, 1])
    assert torch.equal(straight[0], jumped[1])
    assert torch.equal(straight[1], jumped[2])
    assert torch.equal(straight[2], jumped[0])


@pytest.mark.parametrize("recipe", RECIPES.values(), ids=lambda r: r.name)
def test_stages_of_a_recipe_end_where_it_says(processor, recipe):
    """Tasks are decided for whole groups of batches."""
    curriculum = Curriculum(recipe, processor.tokenizer, PROMPTS, 0)
    answers = recipe.look_steps + recipe.answer_steps
    assert recipe.look_steps % 8 == answers % 8 == 0
    ends = (recipe.look_steps - 1, recipe.look_steps, answers - 1, answers)
    assert [curriculum._only(step) for step in ends] == ["look", "answer", "answer", None]


@pytest.mark.parametrize("killed_at", [2, 5, 7, 19])
def test_a_killed_run_resumes_to_the_same_weights(tmp_path, monkeypatch, killed_at):
    whole = train(TINY, tmp_path / "whole", checkpoint_every=4)

    steps = 0
    real = train_module._Run._step

    def dying(self, loss):
        nonlocal steps
        steps += 1
        if steps > killed_at:
            raise KeyboardInterrupt
        real(self, loss)

    monkeypatch.setattr(train_module._Run, "_step", dying)
    with pytest.raises(KeyboardInterrupt):
        train(TINY, tmp_path / "killed", checkpoint_every=4)
    monkeypatch.setattr(train_module._Run, "_step", real)
    resumed = train(TINY, tmp_path / "killed", checkpoint_every=4)

    expected, got = weights(whole), weights(resumed)
    assert expected.keys() == got.keys()
    for name, value in expected.items():
        assert torch.equal(value, got[name]), name


def test_a_folder_goes_on_with_its_own_run_only(tmp_path):
    """A finished run is left alone; another seed is told so and harms nothing."""
    folder = train(TINY, tmp_path, checkpoint_every=4)
    (folder / "catts.json").write_text("fitted", "utf-8")
    assert train(TINY, tmp_path, checkpoint_every=4) == folder
    assert (folder / "catts.json").read_text("utf-8") == "fitted"
    with pytest.raises(InputError, match="another recipe, seed"):
        train(TINY, tmp_path, seed=1, checkpoint_every=4)


def test_a_trained_folder_is_a_base_model(tmp_path):
    folder = train(TINY, tmp_path)
    card = read_card(folder)
    assert (card.name, card.prompt_hash) == ("embedded-expert", PROMPTS.hash)
    engine = TransformersEngine.load(folder)
    assert engine.name == "embedded-expert"
