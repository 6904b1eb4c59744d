"""Random-weight miniatures of the architectures that the engine runs: model, then processor.

Each has its real configuration, model and processor class, special tokens of the same names, and a
chat template of the form that its checkpoints on the hub have.
"""

from functools import partial
from typing import Any

from transformers import (
    GotOcr2ImageProcessor,
    Idefics3Config,
    Idefics3ForConditionalGeneration,
    Idefics3ImageProcessor,
    Idefics3Processor,
    InternVLConfig,
    InternVLForConditionalGeneration,
    InternVLProcessor,
    InternVLVideoProcessor,
    LlavaOnevisionConfig,
    LlavaOnevisionForConditionalGeneration,
    LlavaOnevisionImageProcessor,
    LlavaOnevisionProcessor,
    LlavaOnevisionVideoProcessor,
    Qwen2VLConfig,
    Qwen2VLForConditionalGeneration,
    Qwen2VLImageProcessor,
    Qwen2VLProcessor,
    Qwen2VLVideoProcessor,
    SmolVLMConfig,
    SmolVLMForConditionalGeneration,
    SmolVLMImageProcessor,
    SmolVLMProcessor,
    SmolVLMVideoProcessor,
)

from catts.agents.miniatures.qwen_vl import CHAT_TEMPLATE, VISION_TOKENS, mrope_sections
from catts.agents.miniatures.random_model import (
    TINY,
    byte_tokenizer,
    random_qwen2_5_vl,
    random_qwen3_vl,
    random_weights,
    text_config,
)

TILE = 28
"""Side of a tile in pixels, for those that cut a picture into tiles: 4 x 4 patches of 7 pixels."""
PATCH = 7
ROPE = {"rope_parameters": {"rope_type": "default", "rope_theta": 1e4}}
VISION = {
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "image_size": TILE,
    "patch_size": PATCH,
}


def qwen2_vl() -> tuple[Any, Any]:
    tokenizer = byte_tokenizer()
    sections = mrope_sections(TINY.hidden // TINY.heads)
    config = Qwen2VLConfig(
        text_config={
            **text_config(TINY, tokenizer),
            "rope_parameters": {**ROPE["rope_parameters"], "mrope_section": sections},
        },
        vision_config={
            "depth": 2,
            "embed_dim": 32,
            "hidden_size": TINY.hidden,
            "num_heads": 4,
            "mlp_ratio": 2,
        },
        tie_word_embeddings=False,
        **{
            f"{name}_token_id": tokenizer.convert_tokens_to_ids(text)
            for name, text in VISION_TOKENS.items()
        },
    )
    pixels = {"shortest_edge": 28 * 28, "longest_edge": 112 * 112}
    processor = Qwen2VLProcessor(
        Qwen2VLImageProcessor(size=pixels),
        tokenizer,
        Qwen2VLVideoProcessor(size=pixels),
        chat_template=CHAT_TEMPLATE,
    )
    return random_weights(Qwen2VLForConditionalGeneration, config, tokenizer, 0), processor


def internvl() -> tuple[Any, Any]:
    names = {
        "start_image_token": "<img>",
        "end_image_token": "</img>",
        "context_image_token": "<IMG_CONTEXT>",
        "video_token": "<video>",
    }
    tokenizer = byte_tokenizer(
        ["<|endoftext|>", "<|im_start|>", "<|im_end|>", *names.values()],
        extra_special_tokens=names,
    )
    config = InternVLConfig(
        text_config={
            "model_type": "qwen2",
            **text_config(TINY, tokenizer),
            **ROPE,
            "tie_word_embeddings": True,
        },
        vision_config={"model_type": "internvl_vision", **VISION},
        image_token_id=tokenizer.context_image_token_id,
        image_seq_length=4,
        tie_word_embeddings=True,  # as those of 1 and 2 billion weights have them
    )
    tile = {"height": TILE, "width": TILE}
    processor = InternVLProcessor(
        GotOcr2ImageProcessor(size=tile, max_patches=6),
        tokenizer,
        InternVLVideoProcessor(size=tile),
        image_seq_length=4,
        chat_template=(
            "{% for message in messages %}{{'<|im_start|>' + message['role'] + '\n'}}"
            "{% if message['content'] is string %}{{ message['content'] }}{% else %}"
            "{% for content in message['content'] %}"
            "{% if content['type'] == 'image' %}{{ '<IMG_CONTEXT>\n' }}"
            "{% elif content['type'] == 'video' %}{{ '<video>\n' }}"
            "{% elif content['type'] == 'text' %}{{ content['text'] }}{% endif %}"
            "{% endfor %}{% endif %}{{'<|im_end|>\n'}}{% endfor %}"
            "{% if add_generation_prompt %}{{'<|im_start|>assistant\n' }}{% endif %}"
        ),
    )
    return random_weights(InternVLForConditionalGeneration, config, tokenizer, 0), processor


def smolvlm(first: bool = False) -> tuple[Any, Any]:
    """SmolVLM2, or the first SmolVLM, whose checkpoints are of Idefics3's class."""
    tiles = [f"<row_{row}_col_{column}>" for row in range(1, 7) for column in range(1, 7)]
    tokenizer = byte_tokenizer(
        [
            "<|endoftext|>",
            "<|im_start|>",
            "<|im_end|>",
            "<global-img>",
            *tiles,
            "<fake_token_around_image>",
            "<image>",
            "<end_of_utterance>",
        ],
        end="<end_of_utterance>",
        pad="<|im_end|>",
        bos_token="<|im_start|>",
    )
    sides = {"size": {"longest_edge": 3 * TILE}, "max_image_size": {"longest_edge": TILE}}
    frames = {"fps": 1, "max_frames": 4, "video_size": {"longest_edge": TILE}}
    rest: dict[str, Any] = {
        "image_seq_len": 4,
        "chat_template": (
            "<|im_start|>{% for message in messages %}{{message['role'] | capitalize}}"
            "{% if message['content'][0]['type'] == 'image' %}{{':'}}{% else %}{{': '}}{% endif %}"
            "{% for line in message['content'] %}"
            "{% if line['type'] == 'text' %}{{line['text']}}"
            "{% elif line['type'] == 'image' %}{{ '<image>' }}{% endif %}{% endfor %}"
            "<end_of_utterance>\n{% endfor %}"
            "{% if add_generation_prompt %}{{ 'Assistant:' }}{% endif %}"
        ),
    }
    processor = (
        Idefics3Processor(Idefics3ImageProcessor(**sides), tokenizer, **rest)
        if first
        else SmolVLMProcessor(
            SmolVLMImageProcessor(**sides),
            tokenizer,
            SmolVLMVideoProcessor(**sides, video_sampling=frames),
            **rest,
        )
    )
    config = (Idefics3Config if first else SmolVLMConfig)(
        text_config={"model_type": "llama", **text_config(TINY, tokenizer), **ROPE},
        vision_config={"model_type": "idefics3_vision" if first else "smolvlm_vision", **VISION},
        image_token_id=tokenizer.convert_tokens_to_ids("<image>"),
        scale_factor=2,
        tie_word_embeddings=False,
        pad_token_id=tokenizer.pad_token_id,
    )
    model_class = Idefics3ForConditionalGeneration if first else SmolVLMForConditionalGeneration
    return random_weights(model_class, config, tokenizer, 0), processor


def llava_onevision() -> tuple[Any, Any]:
    tokenizer = byte_tokenizer(
        ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<image>", "<video>"]
    )
    grids = [[TILE * rows, TILE * columns] for rows in range(1, 4) for columns in range(1, 4)]
    config = LlavaOnevisionConfig(
        text_config={"model_type": "qwen2", **text_config(TINY, tokenizer), **ROPE},
        vision_config={"model_type": "siglip_vision_model", "vision_use_head": False, **VISION},
        image_token_index=tokenizer.convert_tokens_to_ids("<image>"),
        video_token_index=tokenizer.convert_tokens_to_ids("<video>"),
        image_grid_pinpoints=grids,
        vision_aspect_ratio="anyres_max_4",
        tie_word_embeddings=False,
    )
    tile = {"height": TILE, "width": TILE}
    processor = LlavaOnevisionProcessor(
        LlavaOnevisionImageProcessor(size=tile, image_grid_pinpoints=grids),
        tokenizer,
        LlavaOnevisionVideoProcessor(size=tile),
        num_image_tokens=(TILE // PATCH) ** 2,
        vision_feature_select_strategy="full",
        vision_aspect_ratio="anyres_max_4",
        chat_template=(
            "{% for message in messages %}{{'<|im_start|>' + message['role'] + ' '}}"
            "{% for content in message['content'] | selectattr('type', 'equalto', 'image') %}"
            "{{ '<image>' }}{% endfor %}"
            "{% for content in message['content'] | selectattr('type', 'equalto', 'video') %}"
            "{{ '<video>' }}{% endfor %}"
            "{% for content in message['content'] | selectattr('type', 'equalto', 'text') %}"
            "{{ '\n' + content['text'] }}{% endfor %}{{'<|im_end|>'}}{% endfor %}"
            "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
        ),
    )
    return random_weights(LlavaOnevisionForConditionalGeneration, config, tokenizer, 0), processor


ARCHITECTURES = {
    "qwen2_vl": qwen2_vl,
    "qwen2_5_vl": partial(random_qwen2_5_vl, TINY, max_pixels=112 * 112),
    "qwen3_vl": partial(random_qwen3_vl, TINY, max_pixels=128 * 128),
    "internvl": internvl,
    "smolvlm": smolvlm,
    "idefics3": partial(smolvlm, first=True),
    "llava_onevision": llava_onevision,
}
"""By their `model_type`."""
