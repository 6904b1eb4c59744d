"""Pictures as a chat model is sent them: encoded once, for as long as the picture lives."""

import base64
import io
import weakref
from concurrent.futures import Future
from typing import NamedTuple

from PIL.Image import Image

from catts.images import image_digest

MAX_PNG_BYTES = 1_000_000
"""A picture whose PNG is larger is sent as JPEG: a photo at full size, hardly ever a drawing."""

_JPEG = {"quality": 90, "subsampling": "4:4:4"}  # coloured text stays readable

_known: "dict[str, Future[Encoded]]" = {}


class Encoded(NamedTuple):
    """An image file as text."""

    mime_type: str
    base64: str


def encode(image: Image) -> Encoded:
    """`image` as RGB: a PNG, exact to the pixel, up to `MAX_PNG_BYTES`; else a JPEG.

    What was made of an image is kept for others that have the same pixels, and goes when the image
    does. Several threads that ask for one picture wait for one encoding.
    """
    rgb = image if image.mode == "RGB" else image.convert("RGB")
    digest = image_digest(rgb)
    mine: Future[Encoded] = Future()
    made = _known.setdefault(digest, mine)
    if made is mine:
        weakref.finalize(image, _known.pop, digest, None).atexit = False
        try:
            mine.set_result(_compress(rgb))
        except BaseException as error:
            _known.pop(digest, None)
            mine.set_exception(error)
    return made.result()


def _compress(image: Image) -> Encoded:
    mime_type, data = "image/png", _saved(image, "PNG")
    if len(data) > MAX_PNG_BYTES:
        mime_type, data = "image/jpeg", _saved(image, "JPEG", **_JPEG)
    return Encoded(mime_type, base64.b64encode(data).decode("ascii"))


def _saved(image: Image, form: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format=form, **options)
    return buffer.getvalue()
