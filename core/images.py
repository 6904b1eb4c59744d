"""Images: opened safely, named by their content, and kept once.

An image that may come from anywhere is checked by its header before it is decoded, and reaches
every engine as plain 8-bit RGB. Only formats are opened whose header bounds what decoding takes:
the size in an ICO, ICNS or AVIF container need not be that of the picture inside, and opening EPS
would start an interpreter (Ghostscript).
"""

import contextlib
import hashlib
import io
import os
import re
import struct
import tempfile
import threading
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import numpy as np
from PIL import Image, ImageFile, ImageOps, TiffImagePlugin, UnidentifiedImageError

from catts.errors import ImageError

MAX_PIXELS = 64_000_000
"""Largest image that is decoded, in pixels; RGB takes three bytes a pixel."""

ImageSource = str | Path | bytes | Image.Image
"""A path, the bytes of an image file, or an image already open. URLs are not fetched."""

_Used = TypeVar("_Used")

_FORMATS = ("PNG", "JPEG", "GIF", "BMP", "PPM", "WEBP", "TIFF")
_READ = "give a PNG, JPEG, WebP, GIF, BMP, TIFF or PPM file"
_TIFF_LAYOUTS = {b"II*\0": ("<H", "<H10x"), b"MM\0*": (">H", ">H10x"), b"II+\0": ("<Q", "<H18x")}
"""First bytes of a TIFF: how its directory's count and each entry (its tag alone) are laid out."""

_URL = re.compile(r"[a-z][a-z0-9+.\-]+://|data:", re.IGNORECASE)
_DIGEST = re.compile(r"[0-9a-f]{64}")
_WIDE_MODES = ("I;16", "I;16L", "I;16B", "I;16N", "I", "F")


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
    return _with_image(source, max_pixels, _decoded)


def check_image(source: ImageSource, *, max_pixels: int = MAX_PIXELS) -> None:
    """Check what the header of an image says, without decoding it: cheap for thousands of files.

    Raises what `load_image` would, except for pixels that turn out to be truncated or broken.

    Raises:
        ImageError: as `load_image`.
    """
    _with_image(source, max_pixels, _checked)


def _with_image(
    source: ImageSource, max_pixels: int, use: Callable[[Image.Image, str, int], _Used]
) -> _Used:
    """What `use` makes of the open, not yet decoded image, its name and the limit."""
    if isinstance(source, Image.Image):
        return use(source, "the image", max_pixels)
    if isinstance(source, bytes):
        return _opened(io.BytesIO(source), "the image data", max_pixels, use)
    if not isinstance(source, (str, os.PathLike)):
        raise ImageError(
            f"{type(source).__name__} is no image: give a path, the bytes of an image file (of a "
            "buffer or an open file: its bytes), or a PIL image (of an array: Image.fromarray)"
        )
    if isinstance(source, str) and _URL.match(source):
        raise ImageError(
            f"{_shown(source)} is a URL; images are not fetched: download it first, give its path"
        )
    try:
        with Path(source).expanduser().open("rb") as file:
            return _opened(file, _shown(str(source)), max_pixels, use)
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


def _opened(
    file: io.BytesIO | io.BufferedReader,
    name: str,
    max_pixels: int,
    use: Callable[[Image.Image, str, int], _Used],
) -> _Used:
    try:
        with warnings.catch_warnings():
            # Pillow's own pixel limits are looser than ours and speak of attacks.
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            opened = Image.open(file, formats=_FORMATS)
    except UnidentifiedImageError:
        raise ImageError(f"{name} is not an image that can be read: {_READ}") from None
    except Image.DecompressionBombError:
        raise ImageError(_too_large(name, "", max_pixels)) from None
    except Exception as error:
        raise ImageError(_broken(name)) from error
    with opened as image:
        return use(image, name, max_pixels)


def _checked(image: Image.Image, name: str, max_pixels: int) -> None:
    _check_format(image, name, max_pixels)
    width, height = image.size
    if width * height > max_pixels:
        raise ImageError(_too_large(name, f" ({width} x {height})", max_pixels))
    if width == 0 or height == 0:
        raise ImageError(f"{name} is empty: {width} x {height} pixels; give one with content")


def _decoded(image: Image.Image, name: str, max_pixels: int) -> Image.Image:
    _checked(image, name, max_pixels)
    try:
        image.load()
        upright = ImageOps.exif_transpose(image)
    except Exception as error:  # decoders raise whatever broken data makes them raise
        raise ImageError(_broken(name)) from error
    return _rgb(upright)


def _check_format(image: Image.Image, name: str, max_pixels: int) -> None:
    """Refuse a file, not decoded yet, whose size does not bound what decoding it takes."""
    if not isinstance(image, ImageFile.ImageFile) or not image.tile:
        return
    if isinstance(image, TiffImagePlugin.TiffImageFile):
        try:
            width, length = _tile_size(image)
        except Exception as error:
            raise ImageError(_broken(name)) from error
        if width * length > MAX_PIXELS:
            raise ImageError(_too_large(name, f" (a tile of {width} x {length})", max_pixels))
    elif image.format not in (*_FORMATS, "MPO"):  # an MPO is a JPEG with further frames
        raise ImageError(f"{name} is an open {image.format} file: decode it first, or {_READ}")


def _tile_size(image: TiffImagePlugin.TiffImageFile) -> tuple[int, int]:
    """Width and length of a TIFF's tiles, however small the picture; (1, 1) when it has none.

    libtiff holds a whole tile in memory. Of a tag that is there twice, or is of an odd type, it may
    read another value than Pillow does: such a file is broken.

    Raises:
        Exception: the file is broken.
    """
    file = image.fp
    if file is None:
        raise ValueError("the file is closed")
    file.seek(0)
    count, entry = _TIFF_LAYOUTS[file.read(4)]
    file.seek(image.tag_v2.offset)
    (entries,) = struct.unpack(count, file.read(struct.calcsize(count)))
    listed = file.read(min(entries, 2**16) * struct.calcsize(entry))
    tags = [tag for (tag,) in struct.iter_unpack(entry, listed)]
    sides = []
    for tag in (TiffImagePlugin.TILEWIDTH, TiffImagePlugin.TILELENGTH):
        side = image.tag_v2.get(tag)
        if tags.count(tag) != (side is not None) or not isinstance(side, int | None):
            raise ValueError(f"tag {tag} is ambiguous")
        sides.append(side or 1)
    return sides[0], sides[1]


def _broken(name: str) -> str:
    return f"{name} is truncated or broken; export or download it again"


def _too_large(name: str, size: str, max_pixels: int) -> str:
    return f"{name} is too large{size}: it may have {max_pixels:,} pixels; make it smaller"


def _rgb(image: Image.Image) -> Image.Image:
    if image.mode in _WIDE_MODES:
        image = _eight_bit(image)
    if image.has_transparency_data:
        layers = image.convert("RGBA")
        white = Image.new("RGBA", layers.size, "white")
        return Image.alpha_composite(white, layers).convert("RGB")
    rgb = image.convert("RGB")
    return rgb.copy() if rgb is image else rgb


def _eight_bit(image: Image.Image) -> Image.Image:
    values = np.nan_to_num(np.asarray(image).astype(np.float64))
    if image.mode.startswith("I;16"):
        low, high = 0.0, 65535.0
    elif values.min() < 0 or values.max() > 255:
        low, high = float(values.min()), float(values.max())
    else:
        low, high = 0.0, 255.0
    return Image.fromarray(np.round((values - low) * (255 / ((high - low) or 1))).astype(np.uint8))


def _write_png(image: Image.Image, path: Path) -> None:
    """Write beside `path`, then rename: a reader, or a crash, never meets half a file."""
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.stem}-", suffix=".part")
    try:
        with os.fdopen(handle, "wb") as file:
            image.save(file, format="PNG", compress_level=1)
        Path(temporary).replace(path)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            Path(temporary).unlink()
        raise


def _shown(text: str) -> str:
    """A path for a one-line message: printable, and not endless."""
    line = "".join(char if char.isprintable() else "?" for char in text)
    return line if len(line) <= 200 else f"{line[:197]}..."
