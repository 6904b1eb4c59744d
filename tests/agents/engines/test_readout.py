"""Logits of 16-bit models in float32."""

from pathlib import Path

import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode

from catts.agents.engines.inputs import Turn, collate, encode_turn
from catts.agents.engines.loading import LoadedModel, load_model
from catts.agents.engines.prefix import Prefix
from catts.agents.engines.readout import Float32Readout, read_out_in_float32
from catts.agents.miniatures.random_model import TINY, random_qwen2_5_vl


@pytest.fixture(scope="module")
def wide_checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny model with a vocabulary of 16 384 tokens, where 16 bits let the first places tie."""
    folder = tmp_path_factory.mktemp("wide")
    for part in random_qwen2_5_vl(TINY._replace(vocabulary=16_384), max_pixels=224 * 224):
        part.save_pretrained(folder)
    return folder


def prefix_and_hidden(loaded: LoadedModel, texts: list[str]) -> tuple[Prefix, torch.Tensor]:
    """The prompts read, and the hidden states (R, H) that the head was given."""
    hidden: list[torch.Tensor] = []
    hook = loaded.model.lm_head.register_forward_pre_hook(lambda _, args: hidden.append(args[0]))
    turns = [
        encode_turn(Turn(t, [], t), loaded.processor, loaded.vocabulary, loaded.dtype)
        for t in texts
    ]
    prefix = Prefix.read(loaded.model, collate(turns, loaded.processor).inputs)
    hook.remove()
    return prefix, hidden[0][:, -1]


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
@pytest.mark.parametrize("at_once", [1, 1000, 10**9])
def test_logits_of_16_bit_models_are_those_of_a_float32_head(
    wide_checkpoint: Path, dtype: str, at_once: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("catts.agents.engines.readout._WEIGHTS_AT_ONCE", at_once * TINY.hidden)
    loaded = load_model(wide_checkpoint, device="cpu", dtype=dtype)
    with torch.inference_mode():
        prefix, hidden = prefix_and_hidden(loaded, ["What is it?", "And now something longer."])
        weight = loaded.model.lm_head.weight
        assert (weight.dtype, hidden.dtype) == (loaded.dtype, loaded.dtype)
        expected = hidden.double() @ weight.double().T
        assert prefix.logits.dtype == torch.float32
        assert torch.allclose(prefix.logits.double(), expected, atol=1e-5, rtol=1e-6)
        extended = prefix.extend(torch.tensor([[5, 6], [7, 8]]))
    assert extended.dtype == torch.float32


def test_first_places_of_16_bit_models_do_not_tie(wide_checkpoint: Path) -> None:
    loaded = load_model(wide_checkpoint, device="cpu", dtype="bfloat16")
    with torch.inference_mode():
        prefix, _ = prefix_and_hidden(loaded, [f"What is {i}?" for i in range(64)])
    first, second = prefix.logits.topk(2, dim=-1).values.unbind(-1)
    assert bool((first > second).all())
    rounded = prefix.logits.bfloat16().topk(2, dim=-1).values
    assert bool((rounded[:, 0] == rounded[:, 1]).any()), "in 16 bits some would"


def test_a_float32_head_is_left_alone(wide_checkpoint: Path) -> None:
    loaded = load_model(wide_checkpoint, device="cpu")
    assert type(loaded.model.lm_head) is torch.nn.Linear
    assert "forward" not in vars(loaded.model.lm_head)
    with torch.inference_mode():
        prefix, hidden = prefix_and_hidden(loaded, ["What is it?"])
        assert torch.equal(prefix.logits, loaded.model.lm_head(hidden))


def test_a_bias_is_added() -> None:
    head = torch.nn.Linear(8, 50, dtype=torch.bfloat16)
    model = torch.nn.Module()
    model.get_output_embeddings = lambda: head  # type: ignore[assignment]
    read_out_in_float32(model)
    hidden = torch.randn(3, 8).bfloat16()
    expected = hidden.double() @ head.weight.double().T + head.bias.double()
    assert torch.allclose(head(hidden).double(), expected, atol=1e-5)


def test_the_gpu_s_own_product_has_the_same_shape_and_precision() -> None:
    with FakeTensorMode(allow_non_fake_inputs=True):  # no GPU is needed to ask what it would give
        head = Float32Readout(8, 50, bias=False, device="cuda", dtype=torch.bfloat16)
        logits = head(torch.empty(3, 2, 8, device="cuda", dtype=torch.bfloat16))
    assert (logits.shape, logits.dtype) == ((3, 2, 50), torch.float32)
    assert logits.device.type == "cuda"
