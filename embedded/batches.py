"""From lessons to training tensors, without the processor's per-call cost; equal to its output."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from PIL.Image import Image
from torch import Tensor

from catts.embedded.drawing import GRID, SHAPES

_PATCH = 14
_MERGE = 2
PATCHES = GRID * GRID * _MERGE * _MERGE
"""Patches of a picture; four make one visual token."""
VISUAL_TOKENS = GRID * GRID
IGNORED = -100
"""Label of a token that carries no loss."""
DECISION_WEIGHT = 4.0
LENGTHS = 16
"""Batches are padded to a multiple of this many tokens: oneDNN compiles and keeps a kernel for each
shape of a product, so a stream of ever new shapes fills the memory."""


class Encoded(NamedTuple):
    """One conversation as numbers."""

    pixels: NDArray[np.float32]
    """(PATCHES, 3 * 14 * 14), in [-1, 1], in the processor's order."""
    prompt: list[int]
    completion: list[int]
    weights: list[float]
    """Weight of each token of the completion in the loss."""


def patches(image: Image) -> NDArray[np.float32]:
    """The picture as the vision tower reads it, shape (PATCHES, 588)."""
    pixels = np.asarray(image.convert("RGB"), dtype=np.float32) / 127.5 - 1
    blocks = pixels.reshape(GRID, _MERGE, _PATCH, GRID, _MERGE, _PATCH, 3)
    return np.ascontiguousarray(blocks.transpose(0, 3, 1, 4, 6, 2, 5).reshape(PATCHES, -1))


def encode(tokenizer: Any, image: Image, prompt: str, completion: str) -> Encoded:
    """Encode a conversation in the form that the chat template gives it."""
    opening = (
        f"<|im_start|>user<|vision_start|>{'<|image_pad|>' * VISUAL_TOKENS}<|vision_end|>"
        f"{prompt}<|im_end|><|im_start|>assistant"
    )
    backend = tokenizer._tokenizer
    written = backend.encode(f"{completion}<|im_end|>", add_special_tokens=False)
    return Encoded(
        patches(image),
        backend.encode(opening, add_special_tokens=False).ids,
        written.ids,
        _weights([token.removeprefix("Ġ") for token in written.tokens]),
    )


def _weights(tokens: list[str]) -> list[float]:
    """`DECISION_WEIGHT` for what decides, else 1.

    What is decided behind each thing that was read (does it count? is it sought?), all numbers, and
    everything from the last step of the reasoning on. It is a quarter of the tokens, and once the
    picture is read it is all that makes an answer right.
    """
    end = tokens.index("</think>") if "</think>" in tokens else len(tokens)
    steps = [i for i in range(end) if tokens[i] == ";"]
    concluding = steps[-1] if steps else end
    return [
        DECISION_WEIGHT
        if i >= concluding or token.isdigit() or (i > 0 and tokens[i - 1] in SHAPES)
        else 1.0
        for i, token in enumerate(tokens)
    ]


def collate(items: Sequence[Encoded], image_token: int) -> dict[str, Tensor]:
    """Right-padded inputs, labels and their weights of B conversations.

    Only completions carry loss. The length is a multiple of `LENGTHS`.
    """
    longest = max(len(i.prompt) + len(i.completion) for i in items)
    longest += -longest % LENGTHS
    ids = torch.zeros(len(items), longest, dtype=torch.long)
    labels = torch.full((len(items), longest), IGNORED)
    mask = torch.zeros(len(items), longest, dtype=torch.long)
    weights = torch.zeros(len(items), longest)
    for row, item in enumerate(items):
        start, stop = len(item.prompt), len(item.prompt) + len(item.completion)
        ids[row, :stop] = torch.tensor(item.prompt + item.completion)
        labels[row, start:stop] = torch.tensor(item.completion)
        mask[row, :stop] = 1
        weights[row, start:stop] = torch.tensor(item.weights)
    return {
        "input_ids": ids,
        "attention_mask": mask,
        "labels": labels,
        "weights": weights,
        "pixel_values": torch.from_numpy(np.concatenate([i.pixels for i in items])),
        "image_grid_thw": torch.tensor([[1, GRID * _MERGE, GRID * _MERGE]] * len(items)),
        "mm_token_type_ids": (ids == image_token).int(),
    }
