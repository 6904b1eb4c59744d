"""Where does a question look? A saliency map of a text over a picture, by a CLIP.

What a patch has to do with a text is found by the attention to it (`catts.perception.relevance`);
the score that is explained is the cosine of the picture's and the text's embeddings. A CLIP that
was trained to tell patches by texts, as the shipped one, is asked about each patch itself.
"""

import threading
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from PIL.Image import Image
from torch import Tensor
from torch.nn import functional as F  # noqa: N812

from catts.images import image_digest
from catts.perception.attention import attention_layers, attention_of
from catts.perception.clip import Clip, load_clip
from catts.perception.key_region import KeyRegion, key_region
from catts.perception.relevance import rollout, similarity
from catts.perception.saliency_store import FloatMap, SaliencyStore, map_key

_MOST = 64
"""Pictures that are looked at together, at most."""
_HELD = 1 << 30
"""Bytes that the attention of a batch's layers and its gradients may take together."""


def texts_of(question: str, choices: Sequence[str] = ()) -> tuple[str, ...]:
    """What a question asks the picture for: itself, and itself with each of its choices."""
    return (question, *(f"{question} {choice}" for choice in choices))


class Saliency:
    """Maps of texts over pictures by one CLIP. Safe in threads; one batch runs at a time."""

    def __init__(self, clip: Clip, store: SaliencyStore | None = None) -> None:
        """Look with `clip`; what was looked at once is read from `store`."""
        self.clip = clip
        self._store = SaliencyStore() if store is None else store
        self._lock = threading.Lock()

    @classmethod
    def load(
        cls,
        spec: str | Path = "embedded",
        *,
        device: str | None = None,
        folder: str | Path | None = None,
    ) -> "Saliency":
        """Load a CLIP (see `catts.perception.clip.load_clip`) and keep its maps, also in `folder`.

        Raises:
            SaliencyError: there is no such model or device, or the folder cannot be made.
        """
        store = SaliencyStore(folder)
        return cls(load_clip(spec, device), store)

    @property
    def fingerprint(self) -> str:
        """Hex digest of everything that decides a map, besides picture and text."""
        return self.clip.fingerprint

    def map(self, image: Image, question: str, choices: Sequence[str] = ()) -> FloatMap:
        """`maps` of one picture."""
        return self.maps([image], [texts_of(question, choices)])[0]

    def region(
        self, image: Image, question: str, choices: Sequence[str], share: float
    ) -> KeyRegion:
        """The fewest patches that hold `share`, in [0, 1], of a question's saliency; with it."""
        found = self.map(image, question, choices)
        return key_region(found, share).with_saliency(found)

    def maps(self, images: Sequence[Image], texts: Sequence[Sequence[str]]) -> list[FloatMap]:
        """The map of each picture's texts over it: the weighted mean of the texts' maps.

        Of several texts the first one, the question, counts as much as all others together. They
        are mixed before they are scaled, so a text counts the less, the less in the picture speaks
        for it: of the choices mostly those that fit.

        Args:
            images: RGB, any size, as `catts.images.load_image` returns them. The whole of a picture
                is scaled to the model's square.
            texts: of each picture, at least one; longer ones than the model reads are cut.

        Returns:
            For each picture an array of shape (rows, columns) of the model's patches, float32, each
            in [0, 1], summing to 1; read-only. Uniform where nothing speaks for the texts.

        Raises:
            ValueError: there are not as many lists of texts as pictures, or one is empty.
            ImageError: a picture is not RGB.
        """
        if len(images) != len(texts) or not all(texts):
            raise ValueError(f"{len(images)} pictures need as many lists of at least one text")
        digests = [image_digest(image) for image in images]
        wanted = [
            [map_key(self.fingerprint, digest, text) for text in own]
            for digest, own in zip(digests, texts, strict=True)
        ]
        found: dict[str, FloatMap] = {}
        missing: dict[str, tuple[Image, str]] = {}
        for image, own, keys in zip(images, texts, wanted, strict=True):
            for text, key in zip(own, keys, strict=True):
                kept = self._store.get(key)
                if kept is None:
                    missing[key] = image, text
                else:
                    found[key] = kept
        rows = list(missing.items())
        size = self._batch
        for start in range(0, len(rows), size):
            part = rows[start : start + size]
            for (key, _), saliency in zip(part, self._look([r for _, r in part]), strict=True):
                self._store.put(key, saliency)
                found[key] = saliency
        return [_mixed([found[key] for key in keys]) for keys in wanted]

    @property
    def _batch(self) -> int:
        layers = attention_layers(self.clip.model.visual)
        rows, columns = self.clip.grid
        heads = sum(int(layer.num_heads) for layer in layers)
        each = 2 * 4 * heads * (rows * columns + 1) ** 2
        return max(1, min(_MOST, _HELD // each))

    def _look(self, pairs: Sequence[tuple[Image, str]]) -> list[FloatMap]:
        """The relevance of every patch to each text over its picture, at least 0."""
        with self._lock, torch.enable_grad():  # hooks of two threads would hear of each other
            pixels = self.clip.pixels([image for image, _ in pairs])
            words = self.clip.embed([text for _, text in pairs])
            look = self._by_patches if self.clip.aligned_patches else self._by_attention
            relevance = look(pixels, words)
        return list(relevance.view(-1, *self.clip.grid).cpu().numpy().astype(np.float32))

    def _by_attention(self, pixels: Tensor, words: Tensor) -> Tensor:
        with attention_of(self.clip.model.visual) as attention:
            seen = F.normalize(self.clip.model.encode_image(pixels), dim=-1)
        gradients = torch.autograd.grad((seen * words).sum(), attention)
        return rollout([a.detach() for a in attention], gradients)

    def _by_patches(self, pixels: Tensor, words: Tensor) -> Tensor:
        visual = self.clip.model.visual
        found = visual.forward_intermediates(
            pixels,
            indices=1,
            normalize_intermediates=True,
            intermediates_only=True,
            output_fmt="NLC",
        )
        return similarity(found["image_intermediates"][-1] @ visual.proj, words)


def _mixed(maps: Sequence[FloatMap]) -> FloatMap:
    """Half the first text, half the mean of the others, scaled to sum 1."""
    first, *others = (relevance.astype(np.float64) for relevance in maps)
    both = first + sum(others) / len(others) if others else first
    total = both.sum()
    shares = both / total if total > 0 else np.full_like(both, 1 / both.size)
    mixed: FloatMap = shares.astype(np.float32)
    mixed.flags.writeable = False
    return mixed
