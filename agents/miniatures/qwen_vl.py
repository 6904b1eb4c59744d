"""What Qwen-VL checkpoints made here share: special tokens, chat template, rotary sections."""

PAD = "<|endoftext|>"
END_OF_TURN = "<|im_end|>"
VISION_TOKENS = {
    "image": "<|image_pad|>",
    "video": "<|video_pad|>",
    "vision_start": "<|vision_start|>",
    "vision_end": "<|vision_end|>",
}
"""By their name in a model's configuration, which calls them `image_token_id` and so on."""
SPECIAL_TOKENS = (
    PAD,
    "<|im_start|>",
    END_OF_TURN,
    VISION_TOKENS["vision_start"],
    VISION_TOKENS["vision_end"],
    VISION_TOKENS["image"],
    VISION_TOKENS["video"],
)
"""In the order of their ids."""

CHAT_TEMPLATE = (
    "{%- for message in messages -%}<|im_start|>{{ message.role }}"
    "{%- if message.content is string -%}{{ message.content }}{%- else -%}"
    "{%- for part in message.content -%}{%- if part.type == 'image' or 'image' in part -%}"
    "<|vision_start|><|image_pad|><|vision_end|>"
    "{%- elif part.type == 'text' -%}{{ part.text }}{%- endif -%}{%- endfor -%}{%- endif -%}"
    "<|im_end|>{%- endfor -%}{%- if add_generation_prompt -%}<|im_start|>assistant{%- endif -%}"
)


def mrope_sections(head: int) -> list[int]:
    """Rotary pairs of a head of `head` dimensions for time, height and width.

    About a quarter, three eighths and three eighths; they sum to head / 2.
    """
    side = head // 2 * 3 // 8
    return [head // 2 - 2 * side, side, side]
