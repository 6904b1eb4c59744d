"""Pictures small enough for a page that holds thousands of them."""

import base64
import contextlib
import io
from functools import cached_property
from pathlib import Path

from PIL import Image

from catts.errors import ImageError, ReportError
from catts.images import ImageStore, image_digest, load_image

BUDGET = 40_000_000
"""Bytes of all pictures of one file together."""

_MOST, _LEAST = 48_000, 2_000
_SIDES = (480, 360, 288, 224, 176, 128, 96, 64)
_SUFFIXES = {".png", ".jpg", ".jpeg", ".webp", ".gif", ".bmp"}
_DIGEST = 64
"""Characters of a digest, which is how a store names its files."""

_KINDS = {b"\x89PNG\r\n\x1a\n": "png", b"\xff\xd8\xff": "jpeg"}


def share_of_budget(pictures: int) -> int:
    """Bytes that one of so many pictures may take."""
    return min(_MOST, max(_LEAST, BUDGET // max(1, pictures)))


def thumbnail(image: Image.Image, most: int = _MOST, *, noised: bool = False) -> bytes:
    """The picture as PNG or JPEG of at most `most` bytes, or its smallest form.

    A noised picture is thinned out instead of averaged, which would take its noise away.
    """
    method = Image.Resampling.NEAREST if noised else Image.Resampling.LANCZOS
    data = b""
    for side in _SIDES:
        if data and side >= max(image.size):
            continue
        small = image.convert("RGB")
        small.thumbnail((side, side), method, reducing_gap=None)
        data = _smallest(small, most)
        if len(data) <= most:
            break
    return data


def data_uri(picture: bytes) -> str:
    """The picture as an address that needs no request.

    Raises:
        ReportError: it is neither PNG nor JPEG.
    """
    kind = next((kind for start, kind in _KINDS.items() if picture.startswith(start)), None)
    if kind is None:
        raise ReportError("a card's picture is neither PNG nor JPEG; make it with `thumbnail`")
    return f"data:image/{kind};base64,{base64.b64encode(picture).decode()}"


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


def _smallest(image: Image.Image, most: int) -> bytes:
    """PNG for drawings, JPEG for photos; a coarser JPEG before a smaller picture.

    Colours are kept at every pixel: JPEG would otherwise average the colour of noise away.
    """
    fine = _encoded(image, "JPEG", quality=82, subsampling=0)
    encoded = min(_encoded(image, "PNG"), fine, key=len)
    if len(encoded) <= most:
        return encoded
    return min(encoded, _encoded(image, "JPEG", quality=40, subsampling=0), key=len)


def _encoded(image: Image.Image, form: str, **options: int) -> bytes:
    data = io.BytesIO()
    image.save(data, format=form, **options)
    return data.getvalue()
