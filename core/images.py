"""Images: opened safely, named by their content, and kept once.

An image that may come from anywhere reaches every engine as plain 8-bit RGB; how it is opened
stands in `catts.decoding`.
"""

import hashlib
import io
import os
import re
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from PIL import Image

from catts.decoding import MAX_PIXELS, check_header, decode_image, use_opened
from catts.errors import ImageError
from catts.files import whole_file

ImageSource = str | Path | bytes | Image.Image
"""A path, the bytes of an image file, or an image already open. URLs are not fetched."""

_Used = TypeVar("_Used")

_URL = re.compile(r"[a-z][a-z0-9+.\-]+://|data:", re.IGNORECASE)
_DIGEST = re.compile(r"[0-9a-f]{64}")


def load_image(source: ImageSource, *, max_pixels: int = MAX_PIXELS) -> Image.Image:
    """Open an image as RGB, upright (EXIF orientation applied), shape (width, height, 3) of uint8.

    Transparency is put on white, the first frame stands for an animation, and images of more than
    8 bits are scaled to 8: 16-bit ones by their range, 32-bit ones by their own extremes when those
    exceed 255. The caller's image is never changed.

    Args:
        source: PNG, JPEG, WebP, GIF, BMP, TIFF or PPM; an image that the caller has decoded may
            come from any format.
        max_pixels: Largest width times height.

    Raises:
        ImageError: `source` is none, nothing is there, it is not an image or of another format, it
            is broken or truncated, it has more than `max_pixels` pixels (seen in its header, before
            decoding), or it is a URL.
    """
    return _with_image(source, max_pixels, decode_image)


def check_image(source: ImageSource, *, max_pixels: int = MAX_PIXELS) -> None:
    """Check what the header of an image says, without decoding it: cheap for thousands of files.

    Raises what `load_image` would, except for pixels that turn out to be truncated or broken.

    Raises:
        ImageError: as `load_image`.
    """
    _with_image(source, max_pixels, check_header)


def _with_image(
    source: ImageSource, max_pixels: int, use: Callable[[Image.Image, str, int], _Used]
) -> _Used:
    """What `use` makes of the open, not yet decoded image, its name and the limit."""
    if isinstance(source, Image.Image):
        return use(source, "the image", max_pixels)
    if isinstance(source, bytes):
        return use_opened(io.BytesIO(source), "the image data", max_pixels, use)
    if not isinstance(source, (str, os.PathLike)):
        raise ImageError(
            f"{type(source).__name__} is no image: give a path, the bytes of an image file (of a "
            "buffer or an open file: its bytes), or a PIL image (of an array: Image.fromarray)"
        )
    if isinstance(source, str) and _URL.match(source):
        raise ImageError(
            f"{_shown(source)} is a URL; images are not fetched: download it first, give its path"
        )
    if not str(source).strip():  # as a path it would be the working directory
        raise ImageError("the path of the image is empty; give one")
    try:
        with Path(source).expanduser().open("rb") as file:
            return use_opened(file, _shown(str(source)), max_pixels, use)
    except FileNotFoundError:
        raise ImageError(f"no file at {_shown(str(source))}; check the path") from None
    except IsADirectoryError:
        raise ImageError(f"{_shown(str(source))} is a folder; give an image file") from None
    except (OSError, ValueError, TypeError, RuntimeError) as error:  # the last: no such ~user
        reason = getattr(error, "strerror", None) or "not a path"
        raise ImageError(f"cannot read {_shown(str(source))}: {reason.lower()}") from error


def image_digest(image: Image.Image) -> str:
    """SHA-256 (hex) over width, height and RGB bytes; equal pictures have equal digests.

    The image is taken as `load_image` returns it; other modes raise `ImageError`.
    """
    if image.mode != "RGB":
        raise ImageError(f"a digest is of an RGB image, not of mode {image.mode}; use load_image")
    digest = hashlib.sha256(f"{image.width}x{image.height}:".encode())
    digest.update(image.tobytes())
    return digest.hexdigest()


class ImageStore:
    """Images by digest: in memory, and in a folder as well when one is given.

    A checkpoint holds digests only; a run that is resumed in another process finds its images in
    the folder. Safe in threads, and several processes may share a folder.
    """

    def __init__(self, folder: str | Path | None = None) -> None:
        """Keep images in memory; also as PNG files in `folder`, which is made when missing."""
        self._images: dict[str, Image.Image] = {}
        self._scaled: dict[tuple[str, int], Image.Image] = {}
        self._lock = threading.Lock()
        self._folder = None if folder is None else Path(folder)
        if self._folder is not None:
            self._folder.mkdir(parents=True, exist_ok=True)

    def on_same_folder(self) -> "ImageStore":
        """Another store, empty in memory, that shares this one's folder if it has one."""
        return ImageStore(self._folder)

    def put(self, image: ImageSource) -> str:
        """Load `image` (see `load_image`), keep it, and return its digest."""
        loaded = load_image(image)
        digest = image_digest(loaded)
        if self._folder is not None and not self._path(self._folder, digest).exists():
            _write_png(loaded, self._path(self._folder, digest))
        with self._lock:
            self._images.setdefault(digest, loaded)
        return digest

    def get(self, digest: str, *, max_side: int | None = None) -> Image.Image:
        """The image with this digest, RGB; treat it as read-only, since all callers share it.

        With `max_side` its longest side has at most so many pixels: a larger image is scaled down,
        once, and kept with the other.

        Raises:
            ImageError: the store has no such image, or the file in the folder was changed.
        """
        image = self._whole(digest)
        if max_side is None or max(image.size) <= max_side:
            return image
        with self._lock:
            scaled = self._scaled.get((digest, max_side))
        if scaled is None:
            smaller = image.copy()
            smaller.thumbnail((max_side, max_side), Image.Resampling.LANCZOS, reducing_gap=None)
            with self._lock:
                scaled = self._scaled.setdefault((digest, max_side), smaller)
        return scaled

    def _whole(self, digest: str) -> Image.Image:
        with self._lock:
            image = self._images.get(digest)
        if image is not None:
            return image
        if not _DIGEST.fullmatch(digest):
            raise ImageError(f"{_shown(digest)} is not a digest; get one from ImageStore.put")
        if self._folder is None or not self._path(self._folder, digest).exists():
            where = "this store" if self._folder is None else str(self._folder)
            raise ImageError(
                f"no image {digest[:12]}... in {where}; put it again, or open the folder it is in"
            )
        path = self._path(self._folder, digest)
        image = load_image(path)
        if image_digest(image) != digest:
            raise ImageError(f"{path} is not the image that was stored; delete it, put it again")
        with self._lock:
            return self._images.setdefault(digest, image)

    def __contains__(self, digest: object) -> bool:
        if not isinstance(digest, str):
            return False
        with self._lock:
            known = digest in self._images
        return known or (
            self._folder is not None
            and _DIGEST.fullmatch(digest) is not None
            and self._path(self._folder, digest).exists()
        )

    @staticmethod
    def _path(folder: Path, digest: str) -> Path:
        return folder / f"{digest}.png"


def _write_png(image: Image.Image, path: Path) -> None:
    with whole_file(path) as file:
        image.save(file, format="PNG", compress_level=1)


def _shown(text: str) -> str:
    """A path for a one-line message: printable, and not endless."""
    line = "".join(char if char.isprintable() else "?" for char in text)
    return line if len(line) <= 200 else f"{line[:197]}..."
