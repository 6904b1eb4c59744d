"""What stands in a message's content blocks: texts, and pictures in every form they are sent in.

LangChain's `message.content_blocks` brings the blocks of most providers into one form. What it
leaves to its readers is done here: data URLs that it does not take apart, an `image_url` that is a
plain text, and OpenAI's Responses (`input_text`, `input_image`).
"""

import base64
from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote, unquote_to_bytes

from catts.errors import ImageError


def text_in(block: Mapping[str, Any]) -> str | None:
    """The text of a block of `content_blocks`; None where it holds none."""
    sent = _as_sent(block)
    text = sent.get("text") if sent.get("type") in ("text", "input_text") else None
    return text if isinstance(text, str) else None


def picture_in(block: Mapping[str, Any]) -> bytes | None:
    """The image file in a block of `content_blocks`; None where the block is for something else.

    Raises:
        ImageError: the picture is an address or a provider's file, which are not fetched, or what
            it was sent as cannot be decoded.
    """
    sent = _as_sent(block)
    if sent.get("type") == "image":
        data, url = sent.get("base64"), sent.get("url")
    elif sent.get("type") in ("image_url", "input_image"):
        data, url = None, sent.get("image_url")
        url = url.get("url") if isinstance(url, Mapping) else url
    else:
        return None
    if data is not None:
        return _decoded(data)
    head, comma, body = url.partition(",") if isinstance(url, str) else ("", "", "")
    if not comma or not head.lower().startswith("data:"):
        raise ImageError(
            "a picture in the messages is an address or a file's id; images are not fetched: send "
            "it as base64 or as a data URL"
        )
    # parameters before the last one, such as charset, do not matter to a picture
    return _decoded(body) if head.lower().endswith(";base64") else unquote_to_bytes(body)


def _as_sent(block: Mapping[str, Any]) -> Mapping[str, Any]:
    """The block itself, or what LangChain keeps of one in a form that it does not know."""
    value = block.get("value")
    return value if block.get("type") == "non_standard" and isinstance(value, Mapping) else block


def _decoded(data: Any) -> bytes:
    try:
        # many encoders break lines, and in a URL some signs may be escaped
        return base64.b64decode("".join(unquote(data).split()), validate=True)
    except (AttributeError, TypeError, ValueError) as error:
        raise ImageError("a picture in the messages is not base64; encode it again") from error
