"""The shipped recipes: their settings, their arithmetic, and their steps on the embedded base."""

import json
import re
from math import prod
from pathlib import Path

import pytest
import torch
from peft import get_peft_model
from transformers import Qwen2_5_VLConfig, Qwen2_5_VLForConditionalGeneration
from trl.trainer.utils import get_peft_config

from catts.embedded.world import example
from catts.training.arguments import own_settings, parsed, recipe_path
from catts.training.pairs import make_pairs
from catts.training.run import train

RECIPES = sorted(path.stem for path in recipe_path("embedded").parent.glob("*.yaml"))
ON_A_CPU = ["--use_cpu", "true", "--bf16", "false"]
GPUS = {"qwen2_5_vl_3b_1gpu_lora": 1, "qwen2_5_vl_7b_8xh100": 8}
SHAPES = {
    # width, layers, heads, key-value heads, inner width, vocabulary, tied
    "qwen2_5_vl_3b_1gpu_lora": (2048, 36, 16, 2, 11008, 151936, True),
    "qwen2_5_vl_7b_8xh100": (3584, 28, 28, 4, 18944, 152064, False),
}
LINE = re.compile(r"^# +([\d.]+) GB .*: ([\d,. x]+)(?: / (\d+))?$", re.MULTILINE)


def shaped(recipe: str) -> Qwen2_5_VLForConditionalGeneration:
    """The recipe's base without its weights."""
    width, layers, heads, groups, inner, vocabulary, tied = SHAPES[recipe]
    config = Qwen2_5_VLConfig(
        text_config={
            "hidden_size": width, "num_hidden_layers": layers, "num_attention_heads": heads,
            "num_key_value_heads": groups, "intermediate_size": inner, "vocab_size": vocabulary,
            "tie_word_embeddings": tied, "max_window_layers": layers,
        },
        vision_config={
            "depth": 32, "hidden_size": 1280, "intermediate_size": 3420, "num_heads": 16,
            "out_hidden_size": width, "patch_size": 14,
        },
        tie_word_embeddings=tied,
    )  # fmt: skip
    with torch.device("meta"):
        model = Qwen2_5_VLForConditionalGeneration(config)
    model.tie_weights()
    return model


@pytest.mark.parametrize("recipe", RECIPES)
def test_its_settings_can_be_used(recipe: str) -> None:
    _, config, _ = parsed(recipe, ON_A_CPU)
    assert config.generation_batch_size % (2 * config.num_generations) == 0
    assert config.gradient_accumulation_steps == config.steps_per_generation, "on-policy"
    assert config.gradient_checkpointing is config.activation_checkpointing


@pytest.mark.parametrize("recipe", GPUS)
def test_its_arithmetic_is_right(recipe: str) -> None:
    text = recipe_path(recipe).read_text("utf-8")
    lines = LINE.findall(text)
    assert len(lines) == len(re.findall(r"^# +\d+\.\d\d GB", text, re.MULTILINE)) > 7
    for said, factors, parts in lines:
        numbers = [float(n.replace(",", "")) for n in factors.split(" x ")]
        assert float(said) == pytest.approx(prod(numbers) / int(parts or 1) / 1e9, abs=0.006)
    assert sum(float(said) for said, _, _ in lines) < 76
    run, config, _ = parsed(recipe, ON_A_CPU)
    assert run.max_pixels == 768 * 28 * 28
    rows = config.per_device_train_batch_size * config.gradient_accumulation_steps
    assert f"{rows} x 1,024" in text
    assert config.max_completion_length == 1024


@pytest.mark.parametrize("recipe", GPUS)
def test_its_numbers_are_the_base_s(recipe: str) -> None:
    text, model = recipe_path(recipe).read_text("utf-8"), shaped(recipe)
    assert f": {sum(p.numel() for p in model.parameters()):,} x 2" in text
    language = model.config.text_config
    cache = 4 * language.num_hidden_layers * language.num_key_value_heads * 128
    assert f"{cache:,} bytes of cache" in text
    adapter = get_peft_config(parsed(recipe, ON_A_CPU)[2])
    if adapter is None:
        return
    trained = [n for n, p in get_peft_model(model, adapter).named_parameters() if p.requires_grad]
    assert len(trained) == 2 * 7 * language.num_hidden_layers
    assert all("language_model" in name for name in trained)
    count = sum(p.numel() for p in model.parameters() if p.requires_grad)
    assert f": {count:,} x 16" in text


def test_the_source_s_samples_are_whole_steps() -> None:
    _, config, _ = parsed("qwen2_5_vl_7b_8xh100", ON_A_CPU)
    rows = 8 * config.per_device_train_batch_size * config.gradient_accumulation_steps
    assert (rows // (2 * config.num_generations), 1936 % 16) == (16, 0)


@pytest.mark.models
@pytest.mark.slow
@pytest.mark.parametrize("recipe", GPUS)
def test_its_steps_run_on_the_embedded_base(recipe: str, tmp_path: Path) -> None:
    data, pairs = tmp_path / "data", tmp_path / "pairs"
    data.mkdir()
    with (data / "metadata.jsonl").open("w") as lines:
        for index in range(24):
            drawn = example("train", 6_000_000 + index)
            drawn.image.save(data / f"{index}.png")
            row = {"file_name": f"{index}.png", "question": drawn.question}
            row |= {"answer": drawn.answer, "choices": list(drawn.choices)}
            lines.write(f"{json.dumps(row)}\n")
    make_pairs(str(data), pairs, clip="embedded", max_pixels=602112, quiet=True)
    small = [
        "--model_name_or_path", "embedded", "--data", str(pairs), "--dtype", "float32",
        "--use_vllm", "false", "--per_device_train_batch_size", "4", "--num_generations", "2",
        "--gradient_accumulation_steps", "2", "--max_completion_length", "40", "--max_steps", "2",
        "--normalise_on", "24", "--output_dir", str(tmp_path / "run"), "--disable_tqdm", "true",
        "--save_steps", "2",
    ]  # fmt: skip
    folder = train(*parsed(recipe, [*ON_A_CPU, *small]))
    state = json.loads((tmp_path / "run/checkpoint-2/trainer_state.json").read_text("utf-8"))
    first, second = (entry for entry in state["log_history"] if "loss" in entry)
    assert "confidence/fall" in first
    assert second["grad_norm"] > 0
    adapted = parsed(recipe, ON_A_CPU)[2].use_peft
    assert (folder / "adapter_model.safetensors").is_file() == adapted


def test_the_settings_that_are_not_trls_are_told() -> None:
    told = {each.name: each for each in own_settings("embedded")}
    assert {"data", "split", "alpha", "gradient", "twin", "normalise_on"} <= set(told)
    assert "learning_rate" not in told
    assert (told["alpha"].default, told["alpha"].recipe) == (0.5, 2)
    assert all(each.help for each in told.values())
