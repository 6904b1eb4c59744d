"""From texts and images to model inputs: one user turn each, left-padded into a batch."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from PIL.Image import Image
from torch import Tensor

from catts.agents.engines.vocabulary import Vocabulary
from catts.errors import EngineError


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
    """What the processor made; `input_ids` and `attention_mask` are (B, L), padded on the left.
    Pictures of all turns lie one behind the other, those of fewer tiles filled up with zeros."""
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

    Raises:
        EngineError: the processor makes something that is no tensor.
    """
    content = [
        *({"type": "image", "image": image.convert("RGB")} for image in turn.images),
        {"type": "text", "text": vocabulary.plain(turn.text)},
    ]
    # in one call, as some processors treat several pictures of one turn unlike those of several,
    # and as it alone knows whether the template has written the tokenizer's first token already
    made = processor.apply_chat_template(
        [{"role": "user", "content": content}],
        add_generation_prompt=True,
        tokenize=True,
        return_dict=True,
        return_tensors="pt",
    )
    strange = [name for name, value in made.items() if not isinstance(value, Tensor)]
    if strange:
        raise EngineError(
            f"{type(processor).__name__} gives {strange[0]} as {type(made[strange[0]]).__name__}, "
            "not as a tensor: this engine cannot run its architecture, give another checkpoint"
        )
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
    return Batch({name: _concatenated(values) for name, values in columns.items()}, lengths)


def _concatenated(values: Sequence[Tensor]) -> Tensor:
    """Tensors one behind the other; on their other axes zeros fill up the shorter ones.

    That is how processors themselves make one array of pictures of few and many tiles, and models
    leave such tiles out again.
    """
    longest = [max(sizes) for sizes in zip(*(value.shape[1:] for value in values), strict=True)]
    filled = []
    for value in values:
        missing = [most - size for most, size in zip(longest, value.shape[1:], strict=True)]
        behind = [side for size in reversed(missing) for side in (0, size)]
        filled.append(torch.nn.functional.pad(value, behind) if any(missing) else value)
    return torch.cat(filled)
