"""What a model has read so far: the cache of R rows, their positions, and what follows."""

from typing import Any

import torch
from torch import Tensor

_POSITION_INPUTS = ("input_ids", "attention_mask", "mm_token_type_ids", "image_grid_thw")


class Prefix:
    """R rows of tokens that went through the model, ready to be extended.

    The image passes through the vision tower, and the prompt through the language model, once, in
    `read`; `repeat` then copies the cache for n continuations of each row.
    """

    def __init__(
        self, model: Any, cache: Any, logits: Tensor, positions: Tensor, mask: Tensor | None
    ) -> None:
        self._model = model
        self._cache = cache
        self._axes = positions.shape[0] if positions.ndim == 3 else None
        self._next = positions.amax(dim=(0, 2) if positions.ndim == 3 else 1) + 1
        self._mask = mask
        self.logits = logits
        """Raw logits of the token that follows each row, shape (R, V)."""

    @classmethod
    def read(cls, model: Any, inputs: dict[str, Tensor]) -> "Prefix":
        """Run prompts through the model.

        Args:
            model: a causal model of transformers with image inputs.
            inputs: what the processor made; `input_ids` and `attention_mask` are (R, L), padded on
                the left.
        """
        positions = _positions(model, inputs)
        mask = inputs["attention_mask"]
        padded = not bool(mask.all())
        output = model(
            **{k: v for k, v in inputs.items() if k != "attention_mask"},
            # without padding no mask is needed, and attention takes its faster path
            attention_mask=mask if padded else None,
            position_ids=positions,
            use_cache=True,
            logits_to_keep=1,
        )
        return cls(
            model, output.past_key_values, output.logits[:, -1], positions, mask if padded else None
        )

    @property
    def rows(self) -> int:
        """Number of rows R."""
        return self._next.shape[0]

    def repeat(self, n: int) -> None:
        """Make each row n rows, side by side."""
        if n == 1:
            return
        self._cache.batch_repeat_interleave(n)
        self._next = self._next.repeat_interleave(n, dim=0)
        self.logits = self.logits.repeat_interleave(n, dim=0)
        if self._mask is not None:
            self._mask = self._mask.repeat_interleave(n, dim=0)

    def select(self, rows: Tensor) -> None:
        """Keep only the given rows, an int64 tensor of indices."""
        # layers on several devices each index their own part of the cache: from the CPU all can
        spread = getattr(self._model, "hf_device_map", None) is not None
        self._cache.batch_select_indices(rows.cpu() if spread else rows)
        self._next = self._next[rows]
        self.logits = self.logits[rows]
        if self._mask is not None:
            self._mask = self._mask[rows]

    def extend(self, token_ids: Tensor) -> Tensor:
        """Append q tokens to each row.

        Args:
            token_ids: shape (R, q), int64.

        Returns:
            Raw logits of what follows each of them, shape (R, q, V); the last of them become
            `logits`.
        """
        width = token_ids.shape[1]
        positions = self._next[:, None] + torch.arange(width, device=self._next.device)
        if self._mask is not None:
            self._mask = torch.cat([self._mask, torch.ones_like(token_ids)], dim=1)
        output = self._model(
            input_ids=token_ids,
            attention_mask=self._mask,
            position_ids=positions if self._axes is None else positions.expand(self._axes, -1, -1),
            past_key_values=self._cache,
            use_cache=True,
        )
        self._next = self._next + width
        logits: Tensor = output.logits
        self.logits = logits[:, -1]
        return logits


def _positions(model: Any, inputs: dict[str, Tensor]) -> Tensor:
    """Rotary positions of a left-padded prompt: (3, R, L) for M-RoPE with images, else (R, L).

    They are given to the model rather than left to it, because it remembers the offset of its last
    prompt, and ignores padding in a prompt without images.
    """
    rope_index = getattr(getattr(model, "model", None), "get_rope_index", None)
    if rope_index is not None and "image_grid_thw" in inputs:
        positions: Tensor = rope_index(
            **{name: inputs[name] for name in _POSITION_INPUTS if name in inputs}
        )[0]
        return positions
    return (inputs["attention_mask"].long().cumsum(dim=1) - 1).clamp_min(0)
