import asyncio
import json
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from PIL import Image

from catts.agents.card import ModelCard, write_card
from catts.agents.engines.loading import LoadedModel, PromptMismatchWarning, load_model
from catts.agents.engines.picture_size import limit_pixels, seen_size
from catts.agents.engines.transformers_engine import TransformersEngine
from catts.agents.engines.vocabulary import read_vocabulary
from catts.agents.protocol import Sample, SamplingParams
from catts.errors import InputError, ModelSpecError
from catts.fingerprint import fingerprint
from catts.prompts import load_prompts


@pytest.fixture
def checkpoint(tiny_checkpoint: Path, tmp_path: Path) -> Path:
    """A copy to change."""
    return Path(shutil.copytree(tiny_checkpoint, tmp_path / "model"))


def test_defaults(tiny_checkpoint: Path) -> None:
    loaded = load_model(tiny_checkpoint, device="cpu")
    assert loaded.name == tiny_checkpoint.name
    assert loaded.dtype == torch.float32
    assert not loaded.model.training
    assert loaded.prompts.hash == load_prompts("default").hash
    assert load_model(tiny_checkpoint, device="cpu", dtype="bfloat16").dtype == torch.bfloat16


def test_vocabulary(tiny_checkpoint: Path) -> None:
    loaded = load_model(tiny_checkpoint, device="cpu")
    tokenizer = loaded.processor.tokenizer
    ends, suppressed = (
        {tokenizer.convert_ids_to_tokens(token) for token in tokens}
        for tokens in (loaded.vocabulary.end_ids, loaded.vocabulary.suppressed)
    )
    assert ends == {"<|im_end|>"}
    assert {"<|image_pad|>", "<|video_pad|>", "<|im_start|>", "<|vision_start|>"} <= suppressed
    assert not suppressed & {"<think>", "</think>", "<|im_end|>"}


def test_what_a_processor_puts_a_picture_for_is_reserved_though_not_special(
    tiny_checkpoint: Path,
) -> None:
    loaded = load_model(tiny_checkpoint, device="cpu")
    assert "<image>" not in loaded.vocabulary.reserved
    loaded.processor.image_token = "<image>"
    vocabulary = read_vocabulary(loaded.model, loaded.processor)
    assert vocabulary.plain("a <image> and <|im_end|>") == "a < image> and < |im_end|>"


def test_half_precision_samples(tiny_checkpoint: Path) -> None:
    engine = TransformersEngine.load(tiny_checkpoint, device="cpu", dtype="bfloat16")
    samples = engine.complete_sync("hello", [], SamplingParams(n=2, max_new_tokens=4)).samples
    assert all(sample.confidence["top_k_mean"] > 0 for sample in samples)


@pytest.mark.parametrize("spec", ["no-such-folder", "./org/name", "/no/such/place", "a/b/c"])
def test_nothing_there(spec: str) -> None:
    with pytest.raises(ModelSpecError, match="no model at"):
        load_model(spec)


def test_hub_out_of_reach(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(ModelSpecError, match="the hub did not give"):
        load_model("nobody/nothing")


def test_pickled_weights_are_refused(checkpoint: Path) -> None:
    (checkpoint / "model.safetensors").unlink()
    (checkpoint / "pytorch_model.bin").write_bytes(b"anything")
    with pytest.raises(ModelSpecError, match="safetensors"):
        load_model(checkpoint)


def test_code_of_a_checkpoint_never_runs(checkpoint: Path) -> None:
    config = json.loads((checkpoint / "config.json").read_text())
    config |= {"model_type": "own", "auto_map": {"AutoConfig": "own.C", "AutoModel": "own.M"}}
    (checkpoint / "config.json").write_text(json.dumps(config))
    (checkpoint / "own.py").write_text("open('ran', 'w')")
    with pytest.raises(ModelSpecError, match="transformers loads"):
        load_model(checkpoint)
    assert not Path("ran").exists()


@pytest.mark.parametrize("name", ["config.json", "model.safetensors", "tokenizer.json"])
def test_broken_files(checkpoint: Path, name: str) -> None:
    (checkpoint / name).write_bytes(b"{")
    with pytest.raises(ModelSpecError):
        load_model(checkpoint)


def test_missing_weights(checkpoint: Path) -> None:
    from safetensors.torch import load_file, save_file

    weights = load_file(checkpoint / "model.safetensors")
    dropped = next(name for name in weights if "q_proj.weight" in name)
    del weights[dropped]
    save_file(weights, checkpoint / "model.safetensors", {"format": "pt"})
    with pytest.raises(ModelSpecError, match="lacks 1 weights"):
        load_model(checkpoint)


def test_no_chat_template(checkpoint: Path) -> None:
    (checkpoint / "chat_template.jinja").unlink()
    with pytest.raises(ModelSpecError, match="chat template"):
        load_model(checkpoint)


def test_weights_are_read_to_their_device_with_the_attention_asked_for(
    tiny_checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from transformers import AutoModelForImageTextToText

    asked: list[dict[str, Any]] = []
    read = AutoModelForImageTextToText.from_pretrained

    def listen(*args: Any, **kwargs: Any) -> Any:
        asked.append(kwargs)
        return read(*args, **kwargs)

    monkeypatch.setattr(AutoModelForImageTextToText, "from_pretrained", listen)
    loaded = load_model(tiny_checkpoint, device="cpu", attn_implementation="eager")
    assert asked[0]["device_map"] == "cpu"
    assert loaded.model.config.text_config._attn_implementation == "eager"
    assert loaded.model.config.vision_config._attn_implementation == "eager"
    loaded = load_model(tiny_checkpoint, device="auto")
    assert asked[1]["device_map"] == "auto"
    assert "attn_implementation" not in asked[1]
    assert loaded.device == next(loaded.model.parameters()).device


@pytest.mark.parametrize(("dtype", "room"), [("float32", 300_000), ("bfloat16", 150_000)])
def test_a_model_that_is_spread_writes_what_it_writes_in_one_place(
    tiny_checkpoint: Path,
    random_picture: Callable[..., Image.Image],
    monkeypatch: pytest.MonkeyPatch,
    dtype: str,
    room: int,
) -> None:
    def ask(device: str) -> tuple[LoadedModel, Sequence[Sample]]:
        engine = TransformersEngine.load(tiny_checkpoint, device=device, dtype=dtype)
        loaded, params = engine.loaded, SamplingParams(n=16, max_new_tokens=40)
        samples = engine.complete_sync("What is it?", [random_picture()], params).samples
        asyncio.run(engine.aclose())
        return loaded, samples

    plain, expected = ask("cpu")
    monkeypatch.setattr(
        "transformers.integrations.accelerate.get_max_memory", lambda _=None: {"cpu": room}
    )
    spread, samples = ask("auto")
    assert spread.model.lm_head.weight.device.type == "meta", "it waits on disk"
    assert spread.device.type == "cpu"
    assert samples == expected
    assert len({len(sample.token_ids) for sample in samples}) > 1, "rows leave the batch"
    assert plain.dtype == spread.dtype


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("nonsense", r"does not load with the attention 'nonsense'.*give sdpa"),
        ("org/kernel", "never run"),
    ],
)
def test_attention_that_cannot_be_had(tiny_checkpoint: Path, name: str, told: str) -> None:
    with pytest.raises(ModelSpecError, match=told):
        load_model(tiny_checkpoint, device="cpu", attn_implementation=name)


@pytest.mark.parametrize("settings", [{"device": "abacus"}, {"dtype": "int3"}])
def test_bad_settings(tiny_checkpoint: Path, settings: dict[str, str]) -> None:
    with pytest.raises(ModelSpecError):
        load_model(tiny_checkpoint, **settings)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_no_gpu(tiny_checkpoint: Path) -> None:
    with pytest.raises(ModelSpecError, match="torch cannot use 'cuda' here: give `cpu`"):
        load_model(tiny_checkpoint, device="cuda")


@pytest.mark.parametrize("device", ["mps", "hpu", "npu", "cuda:99"])
def test_a_device_that_torch_knows_and_cannot_use(tiny_checkpoint: Path, device: str) -> None:
    with pytest.raises(ModelSpecError, match=f"torch cannot use '{device}' here"):
        load_model(tiny_checkpoint, device=device)


@pytest.mark.parametrize(
    ("argument", "says"),
    [
        ({"max_pixels": "x"}, "max_pixels is a str: give an int"),
        ({"device": 5}, "device is an int: give text"),
        ({"spec": None}, "spec is None: give text or a Path"),
        ({"spec": ""}, "the name of the model is empty"),
        ({"spec": " "}, "the name of the model is empty"),
    ],
)
def test_arguments_of_another_type(
    tiny_checkpoint: Path, argument: dict[str, Any], says: str
) -> None:
    with pytest.raises(InputError, match=says):
        load_model(**{"spec": tiny_checkpoint, **argument})


def test_card_names_and_warns(checkpoint: Path) -> None:
    shipped = load_prompts("default").hash
    card = {"name": "mine", "prompt_hash": shipped, "max_new_tokens": 33}
    (checkpoint / "catts.json").write_text(json.dumps(card))
    loaded = load_model(checkpoint, device="cpu")
    assert (loaded.name, loaded.card.max_new_tokens) == ("mine", 33)
    (checkpoint / "catts.json").write_text(json.dumps(card | {"prompt_hash": "0" * 64}))
    with pytest.warns(PromptMismatchWarning, match="another wording"):
        load_model(checkpoint, device="cpu")
    (checkpoint / "catts.json").write_text("{")
    with pytest.raises(ModelSpecError, match="model card"):
        load_model(checkpoint, device="cpu")


def test_a_fitted_card_is_found_where_none_lies_beside(
    checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CATTS_CARDS", str(tmp_path / "cards"))
    bare = load_model(checkpoint, device="cpu")
    assert bare.card == ModelCard()
    write_card(tmp_path / "cards" / bare.fingerprint, ModelCard(name="fitted", noise_t=123))
    found = load_model(checkpoint, device="cpu")
    assert (found.name, found.card.noise_t, found.fingerprint) == ("fitted", 123, bare.fingerprint)
    other = load_model(checkpoint, device="cpu", dtype="bfloat16")
    assert other.card == ModelCard(), "another precision is another model"
    write_card(checkpoint, ModelCard(name="beside"))
    assert load_model(checkpoint, device="cpu").card == ModelCard(name="beside")


@pytest.fixture
def adapter(checkpoint: Path, tmp_path: Path) -> Path:
    """A LoRA adapter of `checkpoint` that changes what it writes."""
    peft = pytest.importorskip("peft")
    loaded = load_model(checkpoint, device="cpu")
    config = peft.LoraConfig(r=2, target_modules=["q_proj", "v_proj"], init_lora_weights=False)
    torch.manual_seed(0)
    model = peft.get_peft_model(loaded.model, config)
    model.peft_config["default"].base_model_name_or_path = str(checkpoint)
    model.save_pretrained(tmp_path / "adapter")
    return tmp_path / "adapter"


def test_adapter(checkpoint: Path, adapter: Path) -> None:
    from peft import PeftModel

    merged, plain = load_model(adapter, device="cpu"), load_model(checkpoint, device="cpu")
    wrapped = PeftModel.from_pretrained(load_model(checkpoint, device="cpu").model, adapter)
    ids = torch.tensor([[5, 6, 7]])
    with torch.no_grad():
        ours, theirs, base = (m(input_ids=ids).logits for m in (merged.model, wrapped, plain.model))
    assert torch.allclose(ours, theirs, atol=1e-4)
    assert not torch.allclose(ours, base, atol=1e-2)
    assert merged.folders == (checkpoint.resolve(), adapter.resolve())
    one, other = TransformersEngine(merged), TransformersEngine(plain)
    assert one.fingerprint != other.fingerprint


def test_adapter_without_safetensors_or_base(adapter: Path) -> None:
    (adapter / "adapter_model.safetensors").unlink()
    with pytest.raises(ModelSpecError, match="adapter_model"):
        load_model(adapter)
    (adapter / "adapter_config.json").write_text("{}")
    with pytest.raises(ModelSpecError, match="names no base"):
        load_model(adapter)


def test_fingerprint_follows_content_not_place(tiny_checkpoint: Path, checkpoint: Path) -> None:
    first = fingerprint([tiny_checkpoint], ["float32"])
    assert fingerprint([checkpoint], ["float32"]) == first
    assert fingerprint([checkpoint], ["bfloat16"]) != first
    (checkpoint / "catts.json").write_text('{"name": "renamed"}')
    assert fingerprint([checkpoint], ["float32"]) == first
    with (checkpoint / "tokenizer_config.json").open("a") as file:
        file.write(" ")
    assert fingerprint([checkpoint], ["float32"]) != first


def test_a_hub_snapshot_counts_by_commit(tmp_path: Path) -> None:
    snapshots = tmp_path / "models--org--name" / "snapshots"
    for commit in ("1" * 40, "2" * 40):
        (snapshots / commit).mkdir(parents=True)
    assert fingerprint([snapshots / ("1" * 40)], []) != fingerprint([snapshots / ("2" * 40)], [])


def tokens_of(engine: TransformersEngine, picture: Image.Image) -> int:
    generation = engine.complete_sync("What?", [picture], SamplingParams(n=1, max_new_tokens=1))
    return generation.usage.prompt_tokens


@pytest.mark.parametrize("which", ["tiny_checkpoint", "tiny_qwen3_checkpoint"])
async def test_max_pixels_bounds_what_the_model_sees(
    which: str, request: pytest.FixtureRequest, random_picture: Callable[..., Image.Image]
) -> None:
    folder = request.getfixturevalue(which)
    whole = TransformersEngine.load(folder, device="cpu")
    picture = random_picture(1, 300, 200)
    seen = await whole.seen_size(picture)
    for limit, word in ((64 * 96, "fewer"), (400 * 400, "more")):  # the checkpoint's is 224 x 224
        engine = TransformersEngine.load(folder, device="cpu", max_pixels=limit)
        width, height = await engine.seen_size(picture)
        assert width * height <= limit
        assert (width * height < seen[0] * seen[1]) == (word == "fewer")
        assert (tokens_of(engine, picture) < tokens_of(whole, picture)) == (word == "fewer")
        assert engine.fingerprint != whole.fingerprint
    small = random_picture(2, 64, 64)
    assert await engine.seen_size(small) == await whole.seen_size(small)


def test_without_max_pixels_the_fingerprint_is_the_checkpoints(tiny_checkpoint: Path) -> None:
    loaded = load_model(tiny_checkpoint, device="cpu")
    facts = (loaded.prompts.hash, str(loaded.dtype))
    assert TransformersEngine(loaded).fingerprint == fingerprint(loaded.folders, facts)


def test_max_pixels_below_what_the_processor_can_do(tiny_checkpoint: Path) -> None:
    with pytest.raises(ModelSpecError, match="at least 784 pixels"):
        load_model(tiny_checkpoint, device="cpu", max_pixels=28 * 27)


def test_max_pixels_for_a_processor_of_another_kind() -> None:
    from transformers import CLIPImageProcessor

    processor = SimpleNamespace(image_processor=CLIPImageProcessor())
    with pytest.raises(ModelSpecError, match="leave it out"):
        limit_pixels(processor, 1000)
    picture = Image.new("RGB", (50, 20))
    assert seen_size(picture, processor) == (224, 224)


@pytest.mark.parametrize(
    "place", ["snapshots/best", "runs/snapshots/" + "1" * 40, "models--o--n/snapshots/step-100"]
)
def test_a_folder_named_snapshots_is_no_hub_snapshot(
    tiny_checkpoint: Path, tmp_path: Path, place: str
) -> None:
    folder = Path(shutil.copytree(tiny_checkpoint, tmp_path / place))
    first = fingerprint([folder], [])
    assert first == fingerprint([tiny_checkpoint], [])
    with (folder / "tokenizer_config.json").open("a") as file:
        file.write(" ")
    assert fingerprint([folder], []) != first


def test_the_fingerprint_is_made_while_loading(checkpoint: Path) -> None:
    engine = TransformersEngine.load(checkpoint, device="cpu")
    expected = fingerprint([checkpoint], [load_prompts("default").hash, "torch.float32"])
    shutil.rmtree(checkpoint)
    assert engine.fingerprint == expected
