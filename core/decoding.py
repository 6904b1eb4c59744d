"""Decoding images that may come from anywhere into plain 8-bit RGB.

An image is checked by its header before it is decoded. Only formats are opened whose header bounds
what decoding takes: the size in an ICO, ICNS or AVIF container need not be that of the picture
inside, and opening EPS would start an interpreter (Ghostscript).
"""

import io
import struct
import warnings
from collections.abc import Callable
from pathlib import PurePath
from typing import TypeVar

import numpy as np
from PIL import Image, ImageFile, ImageOps, TiffImagePlugin, UnidentifiedImageError

from catts.errors import ImageError

MAX_PIXELS = 64_000_000
"""Largest image that is decoded, in pixels; RGB takes three bytes a pixel."""

_Used = TypeVar("_Used")

_FORMATS = ("PNG", "JPEG", "GIF", "BMP", "PPM", "WEBP", "TIFF")
_READ = "give a PNG, JPEG, WebP, GIF, BMP, TIFF or PPM file"
_TIFF_LAYOUTS = {b"II*\0": ("<H", "<H10x"), b"MM\0*": (">H", ">H10x"), b"II+\0": ("<Q", "<H18x")}
"""First bytes of a TIFF: how its directory's count and each entry (its tag alone) are laid out."""
_WIDE_MODES = ("I;16", "I;16L", "I;16B", "I;16N", "I", "F")


def is_picture(name: str) -> bool:
    """Whether a file of this name would be of a format that is opened here."""
    return Image.registered_extensions().get(PurePath(name).suffix.lower()) in _FORMATS


def use_opened(
    file: io.BytesIO | io.BufferedReader,
    name: str,
    max_pixels: int,
    use: Callable[[Image.Image, str, int], _Used],
) -> _Used:
    """What `use` makes of the image in an open file, not decoded yet; errors call it `name`.

    Raises:
        ImageError: it is no image, of another format, or what `use` refuses.
    """
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


def check_header(image: Image.Image, name: str, max_pixels: int) -> None:
    """Refuse an image for what is known before it is decoded; errors call it `name`.

    Raises:
        ImageError: it is empty, has more than `max_pixels` pixels, or of a format that hides them.
    """
    _check_format(image, name, max_pixels)
    width, height = image.size
    if width * height > max_pixels:
        raise ImageError(_too_large(name, f" ({width} x {height})", max_pixels))
    if width == 0 or height == 0:
        raise ImageError(f"{name} is empty: {width} x {height} pixels; give one with content")


def decode_image(image: Image.Image, name: str, max_pixels: int) -> Image.Image:
    """A copy of `image`: RGB, upright, its transparency on white; errors call it `name`.

    Raises:
        ImageError: it is broken, or what `check_header` refuses.
    """
    check_header(image, name, max_pixels)
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
