"""What finds a key region, as the graph asks for it; imports nothing heavy."""

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

from PIL.Image import Image

from catts.perception.key_region import KeyRegion


@runtime_checkable
class Looker(Protocol):
    """Finds where a question looks; `catts.perception.saliency.Saliency` is one."""

    @property
    def fingerprint(self) -> str:
        """Hex digest of everything that decides a region, besides picture, text and share."""
        ...

    def region(
        self, image: Image, question: str, choices: Sequence[str], share: float
    ) -> KeyRegion:
        """The key region of a question over an RGB picture, which holds `share` of the saliency.

        Traces show the saliency itself where the region has it (`KeyRegion.with_saliency`).
        Called from any thread.
        """
        ...
