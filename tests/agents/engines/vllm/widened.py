"""The same model with wider heads: vLLM's CPU kernels know heads of 32, 64, 80, ..., and not of 40.

What is added is zero, so the function stays the same but for rounding:

- attention divides by the root of the width, so the queries grow by the root of the ratio;
- rotary angles are base^(-2 i / width), so the base is raised to the power of the ratio, and both
  halves of a head keep their places at the beginning of the new halves;
- a root mean square over more numbers of the same sum is smaller, so norms' weights and epsilon
  shrink with it.
"""

import json
import shutil
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

READ = ("gate_proj.weight", "up_proj.weight")


def widen(source: Path, target: Path, head: int = 64) -> Path:
    """Write a copy of the Qwen2.5-VL checkpoint `source`, float32, with text heads of `head`."""
    shutil.copytree(source, target, dirs_exist_ok=True)
    config = json.loads((source / "config.json").read_text("utf-8"))
    text = config["text_config"]
    heads, old = text["num_attention_heads"], text["hidden_size"]
    narrow = old // heads
    wide, ratio = heads * head, head / narrow
    halves = [*range(narrow // 2), *range(head // 2, head // 2 + narrow // 2)]

    def rows(weight: Tensor, places: list[int]) -> Tensor:
        """Of each head the rows at `places`, the others zero."""
        count = weight.shape[0] // narrow
        out = weight.new_zeros(count, head, *weight.shape[1:])
        out[:, places] = weight.view(count, narrow, *weight.shape[1:])
        return out.reshape(count * head, *weight.shape[1:])

    def hidden(weight: Tensor, dim: int) -> Tensor:
        shape = list(weight.shape)
        shape[dim] = wide - old
        return torch.cat([weight, weight.new_zeros(shape)], dim)

    first = list(range(narrow))
    made = {}
    for name, stored in load_file(source / "model.safetensors").items():
        weight = stored.float()
        if ".q_proj." in name or ".k_proj." in name:
            weight = rows(weight, halves) * (ratio**0.5 if ".q_proj." in name else 1.0)
            weight = hidden(weight, 1) if weight.ndim == 2 else weight
        elif ".v_proj." in name:
            weight = rows(weight, first)
            weight = hidden(weight, 1) if weight.ndim == 2 else weight
        elif ".o_proj." in name:
            weight = hidden(rows(weight.T.contiguous(), first).T, 0)
        elif "merger.mlp.2" in name or ("layers" in name and "down_proj" in name):
            weight = hidden(weight, 0)
        elif (
            ("gate_proj" in name or "up_proj" in name) and "layers" in name
        ) or "embed_tokens" in name:
            weight = hidden(weight, 1)
        elif "layernorm" in name or name.endswith("model.norm.weight"):
            weight = hidden(weight, 0) * (old / wide) ** 0.5
        made[name] = weight.contiguous()
    save_file(made, target / "model.safetensors", {"format": "pt"})
    rope = text["rope_parameters"]
    sections = rope["mrope_section"]
    rope["mrope_section"] = [*sections[:2], head // 2 - sum(sections[:2])]
    rope["rope_theta"] = rope["rope_theta"] ** ratio
    text |= {"hidden_size": wide, "rms_norm_eps": text["rms_norm_eps"] * old / wide}
    config["vision_config"]["out_hidden_size"] = wide
    config["dtype"] = text["dtype"] = "float32"
    (target / "config.json").write_text(json.dumps(config, indent=2), "utf-8")
    return target
