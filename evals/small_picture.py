"""Pictures small enough for logs and pages that hold thousands of them."""

import base64
import io

from PIL import Image

from catts.errors import ReportError

MOST = 48_000
"""Bytes of a picture, unless it is to be smaller."""

_SIDES = (480, 360, 288, 224, 176, 128, 96, 64)
_KINDS = {b"\x89PNG\r\n\x1a\n": "png", b"\xff\xd8\xff": "jpeg"}


def thumbnail(image: Image.Image, most: int = MOST, *, noised: bool = False) -> bytes:
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
