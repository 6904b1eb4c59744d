"""Random-weight checkpoints of real architectures, to time and test engines without a download."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers
from transformers import (
    PreTrainedTokenizerFast,
    Qwen2_5_VLConfig,
    Qwen2_5_VLForConditionalGeneration,
    Qwen2_5_VLProcessor,
    Qwen2VLImageProcessor,
    Qwen2VLVideoProcessor,
    Qwen3VLConfig,
    Qwen3VLForConditionalGeneration,
    Qwen3VLProcessor,
    Qwen3VLVideoProcessor,
)

from catts.agents.miniatures.qwen_vl import (
    CHAT_TEMPLATE,
    END_OF_TURN,
    PAD,
    SPECIAL_TOKENS,
    VISION_TOKENS,
    mrope_sections,
)


class Size(NamedTuple):
    """Size of a random-weight model."""

    hidden: int
    layers: int
    heads: int
    kv_heads: int
    vision_hidden: int
    vision_layers: int
    vocabulary: int = 0
    """Rows of the embedding; at least one per token of the tokenizer."""


TINY = Size(hidden=32, layers=2, heads=4, kv_heads=2, vision_hidden=32, vision_layers=2)
MEDIUM = Size(
    hidden=512,
    layers=10,
    heads=8,
    kv_heads=2,
    vision_hidden=384,
    vision_layers=6,
    vocabulary=8192,
)
"""About 50 M parameters."""


def byte_tokenizer(
    special: Sequence[str] = SPECIAL_TOKENS,
    *,
    end: str = END_OF_TURN,
    pad: str = PAD,
    **named: Any,
) -> PreTrainedTokenizerFast:
    """A tokenizer whose tokens are the 256 bytes, special tokens (Qwen's) and the think tags.

    Args:
        special: special tokens, in the order of their ids.
        end: the one of them that ends a turn.
        pad: the one that pads.
        named: what else `PreTrainedTokenizerFast` takes, such as names of special tokens.
    """
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokenizer = Tokenizer(models.BPE(vocab={c: i for i, c in enumerate(alphabet)}, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens([AddedToken(text, special=True) for text in special])
    tokenizer.add_tokens([AddedToken(t, normalized=False) for t in ("<think>", "</think>")])
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, eos_token=end, pad_token=pad, **named
    )


def random_qwen2_5_vl(size: Size, *, max_pixels: int, seed: int = 0) -> tuple[Any, Any]:
    """A Qwen2.5-VL of random weights and its processor; patches of 14 pixels, merged 2 x 2."""
    tokenizer = byte_tokenizer()
    head = size.hidden // size.heads
    config = Qwen2_5_VLConfig(
        text_config={
            **text_config(size, tokenizer),
            "rope_parameters": {
                "rope_type": "default",
                "rope_theta": 1e4,
                "mrope_section": mrope_sections(head),
            },
        },
        vision_config={
            "depth": size.vision_layers,
            "hidden_size": size.vision_hidden,
            "intermediate_size": 2 * size.vision_hidden,
            "num_heads": 4,
            "out_hidden_size": size.hidden,
            "patch_size": 14,
            "temporal_patch_size": 2,
            "spatial_merge_size": 2,
            "fullatt_block_indexes": [size.vision_layers - 1],
            "window_size": 112,
        },
        tie_word_embeddings=False,
        **_vision_tokens(tokenizer),
    )
    sizes = {"patch_size": 14, "merge_size": 2, "temporal_patch_size": 2}
    pixels = {"shortest_edge": 28 * 28, "longest_edge": max_pixels}
    processor = Qwen2_5_VLProcessor(
        Qwen2VLImageProcessor(size=pixels, **sizes),
        tokenizer,
        Qwen2VLVideoProcessor(size=pixels, **sizes),
        chat_template=CHAT_TEMPLATE,
    )
    return random_weights(Qwen2_5_VLForConditionalGeneration, config, tokenizer, seed), processor


def random_qwen3_vl(size: Size, *, max_pixels: int, seed: int = 0) -> tuple[Any, Any]:
    """A Qwen3-VL of random weights and its processor; patches of 16 pixels, merged 2 x 2."""
    tokenizer = byte_tokenizer()
    head = size.hidden // size.heads
    config = Qwen3VLConfig(
        text_config={
            **text_config(size, tokenizer),
            "head_dim": head,
            "rope_parameters": {
                "rope_type": "default",
                "rope_theta": 1e4,
                "mrope_section": mrope_sections(head),
                "mrope_interleaved": True,
            },
        },
        vision_config={
            "depth": size.vision_layers,
            "hidden_size": size.vision_hidden,
            "intermediate_size": 2 * size.vision_hidden,
            "num_heads": 4,
            "out_hidden_size": size.hidden,
            "patch_size": 16,
            "temporal_patch_size": 2,
            "spatial_merge_size": 2,
            "num_position_embeddings": 64,
            "deepstack_visual_indexes": [0],
        },
        tie_word_embeddings=False,
        **_vision_tokens(tokenizer),
    )
    sizes = {"patch_size": 16, "merge_size": 2, "temporal_patch_size": 2}
    pixels = {"shortest_edge": 32 * 32, "longest_edge": max_pixels}
    processor = Qwen3VLProcessor(
        Qwen2VLImageProcessor(size=pixels, **sizes),
        tokenizer,
        Qwen3VLVideoProcessor(size=pixels, cap_pixels_per_frame=True, **sizes),
        chat_template=CHAT_TEMPLATE,
    )
    return random_weights(Qwen3VLForConditionalGeneration, config, tokenizer, seed), processor


def text_config(size: Size, tokenizer: Any) -> dict[str, Any]:
    """What the text configurations of all these architectures share."""
    return {
        "vocab_size": max(size.vocabulary, len(tokenizer)),
        "hidden_size": size.hidden,
        "intermediate_size": 3 * size.hidden,
        "num_hidden_layers": size.layers,
        "num_attention_heads": size.heads,
        "num_key_value_heads": size.kv_heads,
        "max_position_embeddings": 4096,
        "bos_token_id": None,
        "eos_token_id": tokenizer.eos_token_id,
        "pad_token_id": tokenizer.pad_token_id,
        "tie_word_embeddings": False,
    }


def _vision_tokens(tokenizer: Any) -> dict[str, int]:
    return {
        f"{name}_token_id": tokenizer.convert_tokens_to_ids(text)
        for name, text in VISION_TOKENS.items()
    }


def random_weights(model_class: Any, config: Any, tokenizer: Any, seed: int) -> Any:
    """A model whose weights are large enough that its distributions are far from flat."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = model_class(config).eval()
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim > 1:
                deviation = 1.2 / parameter.shape[-1] ** 0.5
                parameter.normal_(std=deviation, generator=generator)
    model.generation_config.eos_token_id = tokenizer.eos_token_id
    model.generation_config.pad_token_id = tokenizer.pad_token_id
    return model
