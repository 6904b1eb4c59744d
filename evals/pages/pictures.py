"""Where a page's pictures come from, and how small they have to be."""

import contextlib
from functools import cached_property
from pathlib import Path

from PIL import Image

from catts.errors import ImageError, ReportError
from catts.evals.small_picture import MOST
from catts.images import ImageStore, image_digest, load_image

BUDGET = 40_000_000
"""Bytes of all pictures of one file together."""

_LEAST = 2_000
_SUFFIXES = {".png", ".jpg", ".jpeg", ".webp", ".gif", ".bmp"}
_DIGEST = 64
"""Characters of a digest, which is how a store names its files."""


def share_of_budget(pictures: int) -> int:
    """Bytes that one of so many pictures may take."""
    return min(MOST, max(_LEAST, BUDGET // max(1, pictures)))


class PictureFolder:
    """Pictures of a folder by digest: an `ImageStore`'s, or any pictures under any names."""

    def __init__(self, folder: Path) -> None:
        """Look into `folder` when asked.

        Raises:
            ReportError: there is no such folder.
        """
        if not folder.is_dir():
            raise ReportError(f"there is no folder {folder}; --images takes one with pictures")
        self._folder = folder

    def get(self, digest: str) -> Image.Image | None:
        """The picture with this digest, None where the folder has none."""
        try:
            # a store of its own each time, since a store keeps what it has opened
            return ImageStore(self._folder).get(digest)
        except ImageError:
            path = self._by_digest.get(digest)
            return None if path is None else load_image(path)

    @cached_property
    def _by_digest(self) -> dict[str, Path]:
        """Pictures that are not named by their digest: every one has to be opened once."""
        found = {}
        for path in sorted(self._folder.iterdir()):
            if path.suffix.lower() in _SUFFIXES and len(path.stem) != _DIGEST:
                with contextlib.suppress(ImageError):  # some other file of that folder
                    found[image_digest(load_image(path))] = path
        return found
