"""`catts train` from a recipe to a checkpoint: resume, LoRA, gradient checkpointing, settings."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from huggingface_hub import ModelCard as Card
from safetensors.torch import load_file
from typer.testing import CliRunner

from catts.agents.engines.loading import load_model
from catts.agents.spec import embedded_folder
from catts.cli import app
from catts.errors import CalibrationError, InputError
from catts.training.arguments import parsed
from catts.training.run import train

SMALL = [
    "--per_device_train_batch_size", "8", "--num_generations", "2", "--max_completion_length", "40",
    "--normalise_on", "24", "--questions", "64", "--logging_steps", "1", "--disable_tqdm", "true",
    "--save_steps", "1", "--warmup_steps", "0",
]  # fmt: skip


def run(out: Path, *more: str) -> Path:
    return train(*parsed("embedded", [*SMALL, "--output_dir", str(out), *more]))


def told(out: Path, step: int) -> list[dict[str, Any]]:
    state = json.loads((out / f"checkpoint-{step}" / "trainer_state.json").read_text("utf-8"))
    return [entry for entry in state["log_history"] if "loss" in entry]


@pytest.mark.models
@pytest.mark.slow
def test_a_run_that_goes_on_ends_as_one_that_did_not_stop(tmp_path: Path) -> None:
    whole, halves = tmp_path / "whole", tmp_path / "halves"
    # a learning rate that falls to the last step would be another one in the shorter run
    steady = ("--lr_scheduler_type", "constant", "--max_steps")
    run(whole, *steady, "3")
    run(halves, *steady, "2")
    cut = halves / "checkpoint-9"  # a kill in the middle of a save
    cut.mkdir()
    (cut / "model.safetensors").write_bytes(b"half")
    run(halves, *steady, "3")
    assert not cut.exists()
    assert not [path.name for path in halves.iterdir() if path.name.startswith("model.")]
    after, wanted = told(halves, 3), told(whole, 3)
    for name in ("accuracy/clean", "completions/mean_length", "confidence/clean", "kl"):
        assert after[-1][name] == pytest.approx(wanted[-1][name], rel=1e-4, abs=1e-6), name
    ours, theirs = (load_file(f / "model" / "model.safetensors") for f in (halves, whole))
    for name, value in theirs.items():
        torch.testing.assert_close(ours[name].float(), value.float(), rtol=1e-2, atol=1e-4)
    with pytest.raises(InputError, match=r"begun with alpha 2.0 \(now 1.0\)"):
        run(halves, *steady, "4", "--alpha", "1")
    with pytest.raises(InputError, match="begun with other data"):
        run(halves, *steady, "4", "--questions", "32")


@pytest.mark.models
@pytest.mark.slow
def test_lora_trains_an_adapter_that_goes_on_and_loads(tmp_path: Path) -> None:
    lora = (
        "--use_peft", "true", "--lora_r", "4", "--lora_target_modules", "q_proj", "v_proj",
        "--gradient_checkpointing", "true", "--lr_scheduler_type", "constant", "--max_steps",
    )  # fmt: skip
    run(tmp_path / "lora", *lora, "1")
    folder = run(tmp_path / "lora", *lora, "2")
    whole = run(tmp_path / "whole", *lora, "2")
    ours, theirs = (load_file(f / "adapter_model.safetensors") for f in (folder, whole))
    for name, value in theirs.items():
        torch.testing.assert_close(ours[name], value, rtol=1e-2, atol=1e-5)
    assert told(tmp_path / "lora", 2)[1]["kl"] > 0
    loaded = load_model(folder, device="cpu")
    assert loaded.card.prompt_set == "embedded"
    assert abs(told(tmp_path / "lora", 2)[0]["kl"]) < 1e-5
    with pytest.raises(InputError, match="is a LoRA adapter: merge it into its base"):
        run(tmp_path / "again", "--max_steps", "1", "--model_name_or_path", str(folder))


@pytest.mark.models
@pytest.mark.slow
def test_the_command_prints_where_the_model_lies(tmp_path: Path) -> None:
    out = tmp_path / "run"
    result = CliRunner().invoke(
        app, ["train", "--json", *SMALL, "--max_steps", "1", "--output_dir", str(out)]
    )
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout.splitlines()[-1]) == {"model": str(out / "model")}
    own = {"catts.json", "model.safetensors", "README.md", "recipe.json"}
    for file in embedded_folder("base").iterdir():
        if file.name not in own:
            assert (out / "model" / file.name).read_bytes() == file.read_bytes(), file.name
    card = load_model(out / "model", device="cpu").card
    assert (card.prompt_set, card.max_new_tokens, card.confidence_map) == ("embedded", 160, None)
    for folder in (out, out / "model"):
        page = Card.load(folder / "README.md")
        assert page.data.to_dict()["pipeline_tag"] == "image-text-to-text"
        assert "`embedded-base` after CDRL" in page.text
        assert "| steps | 1 |" in page.text
        assert "| alpha | 2.0 |" in page.text
        assert "| lr_scheduler_type | linear |" in page.text


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("nowhere",), "there is no recipe nowhere: give embedded"),
        (("embedded", "--gradient", "half"), "gradient"),
        (("embedded", "--nonsense", "1"), "nonsense"),
        (("embedded", "--per_device_train_batch_size", "3"), "generation_batch_size"),
    ],
)
def test_settings_that_cannot_be_used(arguments: tuple[str, ...], words: str) -> None:
    with pytest.raises(InputError, match=words):
        parsed(arguments[0], arguments[1:])


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        (("--load_in_4bit", "true"), "load_in_4bit: the base is trained in 16 or 32 bits"),
        (("--model_revision", "v2"), "model_revision: download the revision"),
        (("--use_peft", "true"), "use_peft: say which layers"),
    ],
)
def test_what_would_be_passed_over_in_silence_is_refused(
    setting: tuple[str, ...], words: str, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match=words):
        run(tmp_path / "run", *setting)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        (("--mask_truncated_completions", "true"), "mask_truncated_completions"),
        (("--scale_rewards", "batch"), "scale_rewards: CDRL knows group and none"),
        (("--reward_weights", "1", "1", "1"), "reward_weights: give two"),
        (
            ("--multi_objective_aggregation", "normalize_then_sum"),
            "multi_objective_aggregation: CDRL knows sum_then_normalize",
        ),
    ],
)
def test_what_trl_knows_and_cdrl_does_not_is_refused(setting: tuple[str, ...], words: str) -> None:
    with pytest.raises(InputError, match=words):
        parsed("embedded", setting)


def test_fewer_questions_than_a_step_takes_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="embedded: 1 questions, and a step takes 2"):
        run(tmp_path / "run", "--questions", "1")
    assert not (tmp_path / "run").exists()


@pytest.mark.models
def test_a_base_whose_right_answers_are_less_sure_cannot_be_normalised(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from catts.agents.engines.transformers_engine import TransformersEngine
    from catts.answers import is_correct
    from catts.training import normalise
    from catts.training.embedded_source import EmbeddedSource

    engine = TransformersEngine(load_model(embedded_folder("base"), device="cpu"))
    monkeypatch.setattr(normalise, "is_correct", lambda *given: not is_correct(*given))
    with pytest.raises(CalibrationError, match=r"not surer than its wrong ones \(slope -"):
        normalise.normalisation_of(engine, EmbeddedSource(64), "brier", max_new_tokens=96)


@pytest.mark.models
def test_a_base_that_is_always_right_cannot_be_normalised(monkeypatch: pytest.MonkeyPatch) -> None:
    from catts.agents.engines.transformers_engine import TransformersEngine
    from catts.agents.spec import embedded_folder
    from catts.training import normalise
    from catts.training.embedded_source import EmbeddedSource

    engine = TransformersEngine(load_model(embedded_folder("base"), device="cpu"))
    monkeypatch.setattr(normalise, "is_correct", lambda *_: True)
    with pytest.raises(CalibrationError, match="had all of 8 training questions right"):
        normalise.normalisation_of(engine, EmbeddedSource(8), "brier", max_new_tokens=96)
    linear = normalise.normalisation_of(engine, EmbeddedSource(8), "linear", max_new_tokens=96)
    assert (linear.slope, linear.offset) == (1.0, 0.0)
    assert linear.deviation > 0
