"""The two embedded models' architectures: real Qwen2.5-VL, a few million parameters."""

from dataclasses import dataclass
from typing import Any

from catts.agents.miniatures.qwen_vl import END_OF_TURN, PAD, VISION_TOKENS, mrope_sections


@dataclass(frozen=True, slots=True)
class Size:
    """Sizes of one model; see `build_model` for what is common to both."""

    hidden: int
    layers: int
    heads: int
    vision_hidden: int
    vision_depth: int


BASE = Size(hidden=160, layers=4, heads=4, vision_hidden=128, vision_depth=2)
EXPERT = Size(hidden=192, layers=5, heads=4, vision_hidden=192, vision_depth=3)


def build_model(size: Size, tokenizer: Any, seed: int) -> Any:
    """A `Qwen2_5_VLForConditionalGeneration` with random weights.

    One visual token is one cell of the world's board, all vision layers attend to the whole
    picture, and rotary positions turn fast (theta 1e4), because the board has 4 x 4 positions.
    """
    import torch
    from transformers import Qwen2_5_VLConfig, Qwen2_5_VLForConditionalGeneration

    def token(text: str) -> int:
        return int(tokenizer.convert_tokens_to_ids(text))

    config = Qwen2_5_VLConfig(
        text_config={
            "vocab_size": len(tokenizer),
            "hidden_size": size.hidden,
            "intermediate_size": 3 * size.hidden,
            "num_hidden_layers": size.layers,
            "num_attention_heads": size.heads,
            "num_key_value_heads": size.heads // 2,
            "max_position_embeddings": 1024,
            "rope_parameters": {
                "rope_type": "default",
                "mrope_section": mrope_sections(size.hidden // size.heads),
                "rope_theta": 1e4,
            },
            "bos_token_id": None,
            "eos_token_id": token(END_OF_TURN),
            "pad_token_id": token(PAD),
            "tie_word_embeddings": True,
        },
        vision_config={
            "depth": size.vision_depth,
            "hidden_size": size.vision_hidden,
            "intermediate_size": 2 * size.vision_hidden,
            "num_heads": 4,
            "out_hidden_size": size.hidden,
            "patch_size": 14,
            "temporal_patch_size": 1,
            "spatial_merge_size": 2,
            "fullatt_block_indexes": list(range(size.vision_depth)),
            "window_size": 112,
        },
        **{f"{name}_token_id": token(text) for name, text in VISION_TOKENS.items()},
        tie_word_embeddings=True,
    )
    torch.manual_seed(seed)
    model = Qwen2_5_VLForConditionalGeneration(config)
    for name, parameter in model.named_parameters():
        if parameter.dim() > 1:
            torch.nn.init.normal_(parameter, std=0.08 if "embed" in name else 0.04)
    model.generation_config.eos_token_id = token(END_OF_TURN)
    model.generation_config.pad_token_id = token(PAD)
    return model
