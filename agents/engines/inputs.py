"""From texts and images to model inputs: one user turn each, left-padded into a batch."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from PIL.Image import Image
from torch import Tensor

from catts.agents.engines.vocabulary import Vocabulary


class Turn(NamedTuple):
    """One user turn: the images, then the text."""

    text: str
    images: Sequence[Image]
    key: str
    """What seeds the draws of its completions besides the seed that the caller gives."""


class Encoded(NamedTuple):
    """Model inputs of one turn."""

    inputs: dict[str, Tensor]
    """What the processor made; `input_ids` and `attention_mask` are (1, L)."""
    length: int
    """Its tokens L, visual tokens among them."""
    key: str
    """The turn's."""


class Batch(NamedTuple):
    """Model inputs of B turns."""

    inputs: dict[str, Tensor]
    """What the processor made; `input_ids` and `attention_mask` are (B, L), padded on the left."""
    lengths: tuple[int, ...]
    """Tokens of each turn without padding, visual tokens among them."""


def encode_turn(turn: Turn, processor: Any, vocabulary: Vocabulary, dtype: torch.dtype) -> Encoded:
    """Encode a user turn, ended by what opens the model's reply.

    Every turn goes through the processor alone: a processor call that pads leaves the tokenizer
    padding in all later calls.

    Args:
        turn: what to encode.
        processor: the checkpoint's processor; its tokenizer has a chat template.
        vocabulary: the checkpoint's; what spells one of its special tokens is shown with a space.
        dtype: dtype of the pixels.
    """
    text = {"type": "text", "text": vocabulary.plain(turn.text)}
    content = [*({"type": "image"} for _ in turn.images), text]
    prompt = processor.apply_chat_template(
        [{"role": "user", "content": content}], tokenize=False, add_generation_prompt=True
    )
    images = [image.convert("RGB") for image in turn.images] or None
    made = processor(text=[prompt], images=images, return_tensors="pt")
    inputs = {
        name: value.to(dtype) if value.is_floating_point() else value
        for name, value in made.items()
    }
    return Encoded(inputs, inputs["input_ids"].shape[1], turn.key)


def collate(encoded: Sequence[Encoded], processor: Any) -> Batch:
    """Turns that were encoded, at least one, as one batch."""
    lengths = tuple(item.length for item in encoded)
    longest = max(lengths)
    pad = processor.tokenizer.pad_token_id or 0
    columns: dict[str, list[Tensor]] = {}
    for item in encoded:
        for name, value in item.inputs.items():
            if value.shape == (1, item.length) and not value.is_floating_point():
                fill = pad if name == "input_ids" else 0
                value = torch.nn.functional.pad(value, (longest - item.length, 0), value=fill)
            columns.setdefault(name, []).append(value)
    return Batch({name: torch.cat(values) for name, values in columns.items()}, lengths)
