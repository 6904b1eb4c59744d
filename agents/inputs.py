"""From texts and images to model inputs: one user turn each, left-padded into a batch."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from PIL.Image import Image
from torch import Tensor


class Turn(NamedTuple):
    """One user turn: the images, then the text."""

    text: str
    images: Sequence[Image]
    key: str
    """What seeds the draws of its completions besides the seed that the caller gives."""


class Batch(NamedTuple):
    """Model inputs of B turns."""

    inputs: dict[str, Tensor]
    """What the processor made; `input_ids` and `attention_mask` are (B, L), padded on the left."""
    lengths: tuple[int, ...]
    """Tokens of each turn without padding, visual tokens among them."""


def encode(
    turns: Sequence[Turn], processor: Any, reserved: Sequence[str], dtype: torch.dtype
) -> Batch:
    """Encode user turns, each ended by what opens the model's reply.

    Every turn goes through the processor alone: a processor call that pads leaves the tokenizer
    padding in all later calls.

    Args:
        turns: B of them, at least one.
        processor: the checkpoint's processor; its tokenizer has a chat template.
        reserved: texts of the tokens that mean something to the chat format or the vision tower. A
            text that spells one is shown with a space in it, so neither a user nor a model's
            critique can open a turn or fake an image.
        dtype: dtype of the pixels.
    """
    encoded = [_encode_one(turn, processor, reserved) for turn in turns]
    lengths = tuple(item["input_ids"].shape[1] for item in encoded)
    longest = max(lengths)
    pad = processor.tokenizer.pad_token_id or 0
    columns: dict[str, list[Tensor]] = {}
    for item, length in zip(encoded, lengths, strict=True):
        for name, value in item.items():
            if value.shape == (1, length):
                fill = pad if name == "input_ids" else 0
                value = torch.nn.functional.pad(value, (longest - length, 0), value=fill)
            elif value.is_floating_point():
                value = value.to(dtype)
            columns.setdefault(name, []).append(value)
    return Batch({name: torch.cat(values) for name, values in columns.items()}, lengths)


def seen_size(image: Image, processor: Any) -> tuple[int, int]:
    """Width and height in pixels that the processor scales `image` to.

    A processor that reports no grid of patches tells no size: then it is the image's own.
    """
    vision = processor.image_processor
    grid = vision(images=[image.convert("RGB")], return_tensors="pt").get("image_grid_thw")
    if grid is None:
        return image.size
    _, rows, columns = grid[0].tolist()
    return columns * vision.patch_size, rows * vision.patch_size


def _encode_one(turn: Turn, processor: Any, reserved: Sequence[str]) -> dict[str, Tensor]:
    text = turn.text
    for spelling in reserved:
        text = text.replace(spelling, f"{spelling[0]} {spelling[1:]}")
    content = [*({"type": "image"} for _ in turn.images), {"type": "text", "text": text}]
    prompt = processor.apply_chat_template(
        [{"role": "user", "content": content}], tokenize=False, add_generation_prompt=True
    )
    images = [image.convert("RGB") for image in turn.images] or None
    return dict(processor(text=[prompt], images=images, return_tensors="pt"))
