"""c_t and KL out of the very forward pass in which TRL takes its log-probabilities.

TRL gives a model a fused head (`add_fused_lm_head`), which runs the backbone and returns
log-probabilities, never hidden states. What is added here listens to that backbone: the same hidden
states go through `token_terms`, so CDRL costs no forward pass of its own. The head runs inside the
model's forward, where sharded weights are whole and autocast is on.
"""

import functools
import types
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor

from catts.training.sharded import whole
from catts.training.token_terms import Reference, token_terms


@dataclass(frozen=True)
class Terms:
    """What was found of a batch, over the last `keep` tokens of each row."""

    confidence: Tensor
    """c_t, shape (rows, keep); 0 where there is no completion token."""
    divergence: Tensor | None
    """KL to the reference in nats, of the same shape; None without a reference."""


class Listener:
    """Listens to the fused forward passes of one or two models (the policy, its reference)."""

    def __init__(self, models: Sequence[Any], *, k: int) -> None:
        """Patch each model's `forward`, which TRL has patched before.

        Args:
            models: without PEFT's wrapper.
            k: of c_t.
        """
        self._k = k
        self._wanted: Literal["nothing", "hidden", "terms"] = "nothing"
        self._keep = 0
        self._reference: tuple[Tensor, Tensor] | None = None
        self._hidden: list[Tensor] = []
        self._terms: list[Terms] = []
        for model in models:
            self._patch(model)

    @contextmanager
    def hidden_states(self) -> Iterator[None]:
        """Keep hidden states of the passes inside, see `take_hidden`."""
        with self._listening("hidden"):
            yield

    @contextmanager
    def terms(self, reference: tuple[Tensor, Tensor] | None = None) -> Iterator[None]:
        """Compute c_t in the passes inside, and KL where there is a reference, see `take_terms`.

        Args:
            reference: hidden states of the reference for the same batch, shape (rows, keep, width),
                and its head.
        """
        self._reference = reference
        try:
            with self._listening("terms"):
                yield
        finally:
            self._reference = None

    def begin(self, keep: int) -> None:
        """A call begins, of as many passes as its batch is cut into; forget the one before.

        Args:
            keep: how many tokens at the end of each row are completions.
        """
        self._keep = keep
        self._hidden, self._terms = [], []

    def take_hidden(self) -> Tensor:
        """Hidden states of the last call that predict completions, shape (rows, keep, width)."""
        found, self._hidden = self._hidden, []
        return torch.cat(found)

    def take_terms(self) -> Terms:
        """The terms of the last call, its passes one below the other."""
        found, self._terms = self._terms, []
        divergences = [each.divergence for each in found if each.divergence is not None]
        return Terms(
            torch.cat([each.confidence for each in found]),
            torch.cat(divergences) if divergences else None,
        )

    @contextmanager
    def _listening(self, wanted: Literal["hidden", "terms"]) -> Iterator[None]:
        self._wanted = wanted
        try:
            yield
        finally:
            self._wanted = "nothing"

    def _patch(self, model: Any) -> None:
        inner = model.forward

        @functools.wraps(type(model).forward)
        def forward(this: Any, *args: Any, labels: Tensor | None = None, **kwargs: Any) -> Any:
            if self._wanted == "nothing" or not kwargs.get("fused_lm_head") or labels is None:
                return (
                    inner(*args, **kwargs)
                    if labels is None
                    else inner(*args, labels=labels, **kwargs)
                )
            kept: list[Tensor] = []
            listening = this.base_model.register_forward_hook(
                lambda module, given, output: kept.append(output.last_hidden_state)
            )
            try:
                output = inner(*args, labels=labels, **kwargs)
            finally:
                listening.remove()
            window = kept[-1][:, -self._keep - 1 : -1]
            if self._wanted == "hidden":
                self._hidden.append(window.detach())
            else:
                head = whole(this.get_output_embeddings().weight)
                self._terms.append(self._of(window, labels, head))
            return output

        model.forward = types.MethodType(forward, model)

    def _of(self, window: Tensor, labels: Tensor, weight: Tensor) -> Terms:
        mask = labels[:, -self._keep :] != -100
        reference = None
        if self._reference is not None:
            hidden, head = self._reference
            reference = Reference(hidden[mask], head)
        confidence, divergence = token_terms(window[mask], weight, k=self._k, reference=reference)

        def spread(values: Tensor) -> Tensor:
            return values.new_zeros(mask.shape).masked_scatter(mask, values)

        return Terms(spread(confidence), None if divergence is None else spread(divergence))
