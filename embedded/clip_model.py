"""The embedded CLIP: an open_clip model of its own configuration, and its tokenizer."""

from typing import Any

from catts.embedded.drawing import SIDE
from catts.prompts import load_prompts

PATCH = 14
"""Side of a patch in pixels: four patches make a cell of the board."""
CONTEXT = 24
"""Tokens of a text; the longest question of the world has about 20."""
CONFIG = "open_clip_config.json"
"""The file that open_clip reads a folder's configuration from."""
WEIGHTS = "open_clip_model.safetensors"
"""The file that open_clip prefers as a folder's weights."""
_END = "<|im_end|>"


def build_tokenizer(lessons: int = 6000) -> Any:
    """The embedded models' tokenizer, which ends every text with a token that is read out.

    `lessons` is how many of them its words are learned from.
    """
    from tokenizers.processors import TemplateProcessing

    from catts.embedded.processor import build_processor

    tokenizer = build_processor(load_prompts("embedded"), lessons).tokenizer
    end = tokenizer.convert_tokens_to_ids(_END)
    tokenizer._tokenizer.post_processor = TemplateProcessing(
        single=f"$A {_END}", special_tokens=[(_END, end)]
    )
    tokenizer.chat_template = None
    return tokenizer


def configuration(tokenizer: Any) -> dict[str, Any]:
    """What stands in `CONFIG`: a ViT that reads its answer from the class token, as CLIP's do.

    The bias and scale of the logits are where SigLIP (arXiv 2303.15343) has them, since every pair
    of the training has a label of its own.
    """
    return {
        "model_cfg": {
            "embed_dim": 128,
            "init_logit_scale": 2.3,
            "init_logit_bias": -2.0,
            "vision_cfg": {
                "image_size": SIDE,
                "patch_size": PATCH,
                "width": 128,
                "layers": 3,
                "head_width": 32,
                "mlp_ratio": 2.0,
            },
            "text_cfg": {
                "context_length": CONTEXT,
                "vocab_size": len(tokenizer),
                "hf_tokenizer_name": "embedded",
                "width": 128,
                "heads": 4,
                "layers": 2,
                "mlp_ratio": 2.0,
                "pool_type": "eos",
                "eos_id": tokenizer.convert_tokens_to_ids(_END),
                "pad_id": tokenizer.pad_token_id,
            },
        },
        # read by catts.perception.clip; open_clip reads the other two alone
        "catts": {"aligned_patches": True},
        "preprocess_cfg": {
            "mean": [0.5, 0.5, 0.5],
            "std": [0.5, 0.5, 0.5],
            "interpolation": "bicubic",
            "resize_mode": "squash",
        },
    }


def build_clip(config: dict[str, Any], seed: int) -> Any:
    """An open_clip `CLIP` of this configuration with random weights."""
    import torch
    from open_clip import CLIP

    torch.manual_seed(seed)
    return CLIP(**config["model_cfg"])
