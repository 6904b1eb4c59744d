"""What the engine cannot run is refused by name, before weights are read."""

import shutil
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
import transformers
from architectures import ARCHITECTURES

from catts.agents.engines.architecture import check_processor
from catts.agents.engines.inputs import Turn, encode_turn
from catts.agents.engines.loading import load_model
from catts.agents.engines.vocabulary import Vocabulary
from catts.agents.miniatures.random_model import byte_tokenizer
from catts.errors import EngineError, ModelSpecError

Checkpoint = Callable[[str], Path]


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Checkpoint:
    made: dict[str, Path] = {}

    def save(name: str) -> Path:
        if name not in made:
            made[name] = tmp_path_factory.mktemp(name)
            for part in ARCHITECTURES[name]():
                part.save_pretrained(made[name])
        return made[name]

    return save


@pytest.fixture
def checkpoint(saved: Checkpoint, tmp_path: Path) -> Checkpoint:
    """A copy to change."""
    return lambda name: Path(shutil.copytree(saved(name), tmp_path / name))


def text_writer() -> Any:
    return transformers.VisionEncoderDecoderConfig(
        encoder={"model_type": "vit"}, decoder={"model_type": "gpt2"}
    )


def convolutions() -> Any:
    layers = {"num_hidden_layers": 2, "layer_types": ["conv", "full_attention"]}
    return transformers.Lfm2VlConfig(text_config={"model_type": "lfm2", **layers})


@pytest.mark.parametrize(
    ("config", "says"),
    [
        (transformers.Qwen2Config, r"qwen2 model \(Some\), which transformers does not ask"),
        (transformers.CLIPConfig, r"clip model \(Some\), which transformers does not ask"),
        (transformers.Florence2Config, r"florence2 model \(Some\), an encoder-decoder"),
        (text_writer, "an encoder-decoder"),
        (transformers.MllamaConfig, r"mllama model \(Some\), .* layers of cross-attention"),
        (transformers.Qwen3_5Config, r"qwen3_5 model \(Some\), .* keep a running state"),
        (convolutions, r"lfm2_vl model \(Some\), .* keep a running state"),
    ],
)
def test_an_architecture_that_the_engine_cannot_decode(
    config: Callable[[], Any], says: str, tmp_path: Path
) -> None:
    made = config()
    made.architectures = ["Some"]
    made.save_pretrained(tmp_path)
    (tmp_path / "model.safetensors").touch()  # no weight is read
    with pytest.raises(ModelSpecError, match=says) as refused:
        load_model(tmp_path, device="cpu")
    assert "give an image-text-to-text checkpoint" in str(refused.value)


@pytest.mark.parametrize("name", sorted(ARCHITECTURES))
def test_no_chat_template(checkpoint: Checkpoint, name: str) -> None:
    folder = checkpoint(name)
    (folder / "chat_template.jinja").unlink()
    with pytest.raises(ModelSpecError, match=r"no chat template: add chat_template\.jinja"):
        load_model(folder, device="cpu")


@pytest.mark.parametrize(
    ("template", "says"),
    [
        ("{% for m in messages %}{{ m.content[-1].text }}{% endfor %}", "writes no <IMG_CONTEXT>"),
        ("{{ 'User: ' + messages[0].content }}", "cannot ask about a picture: TypeError"),
        ("{{ raise_exception('one text only') }}", "one text only"),
    ],
)
def test_a_chat_template_without_pictures(checkpoint: Checkpoint, template: str, says: str) -> None:
    folder = checkpoint("internvl")
    (folder / "chat_template.jinja").write_text(template)
    with pytest.raises(ModelSpecError, match=says) as refused:
        load_model(folder, device="cpu")
    assert "the model's own repository" in str(refused.value)


def test_no_processor_for_pictures(checkpoint: Checkpoint) -> None:
    folder = checkpoint("llava_onevision")
    (folder / "processor_config.json").unlink()
    with pytest.raises(ModelSpecError, match=r"a preprocessor_config\.json"):
        load_model(folder, device="cpu")
    for half in (byte_tokenizer(), transformers.CLIPImageProcessor()):
        with pytest.raises(ModelSpecError, match=f"but a {type(half).__name__}: add processor_con"):
            check_processor(folder, half)


def test_a_processor_that_needs_another_package(
    saved: Checkpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = saved("smolvlm")
    monkeypatch.setattr("transformers.models.smolvlm.processing_smolvlm.num2words", None)
    with pytest.raises(ModelSpecError, match="pip install num2words"):
        load_model(folder, device="cpu", attn_implementation="sdpa")


@pytest.mark.parametrize(
    ("name", "processor"),
    [
        ("internvl", "GotOcr2ImageProcessor"),
        ("smolvlm", "SmolVLMImageProcessor"),
        ("llava_onevision", "LlavaOnevisionImageProcessor"),
    ],
)
def test_a_limit_of_pixels_where_pictures_are_tiled(
    saved: Checkpoint, name: str, processor: str
) -> None:
    with pytest.raises(ModelSpecError, match=f"{processor} scales .* without a max_pixels"):
        load_model(saved(name), device="cpu", max_pixels=100_000)


def test_a_processor_that_makes_more_than_tensors() -> None:
    made = {"input_ids": torch.zeros(1, 3, dtype=torch.long), "pixel_values": [1.0]}
    processor = SimpleNamespace(apply_chat_template=lambda *_, **__: made)
    vocabulary = Vocabulary((), (), ())
    with pytest.raises(EngineError, match="SimpleNamespace gives pixel_values as list"):
        encode_turn(Turn("?", [], "?"), processor, vocabulary, torch.float32)
