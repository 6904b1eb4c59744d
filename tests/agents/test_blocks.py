"""Pictures and texts of a message, in the forms that clients send them in."""

import base64
from typing import Any

import pytest
from langchain_core.messages import HumanMessage

from catts.agents.blocks import picture_in, text_in
from catts.errors import ImageError

FILE = b"\x89PNG not really, but \xff\xfe bytes for two lines of base64, as encoders break them"
DATA = base64.b64encode(FILE).decode()
WRAPPED = base64.encodebytes(FILE).decode()
URL = f"data:image/png;base64,{DATA}"


def only(block: dict[str, Any]) -> Any:
    (found,) = HumanMessage([block]).content_blocks
    return found


@pytest.mark.parametrize(
    "block",
    [
        {"type": "image", "base64": DATA, "mime_type": "image/png"},
        {"type": "image", "base64": WRAPPED, "mime_type": "image/png"},
        {"type": "image", "url": URL},
        {"type": "image", "source_type": "base64", "data": DATA, "mime_type": "image/png"},
        {"type": "image", "source_type": "url", "url": URL},
        {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": DATA}},
        {"type": "image_url", "image_url": {"url": URL}},
        {"type": "image_url", "image_url": {"url": URL, "detail": "high"}},
        {"type": "image_url", "image_url": {"url": URL}, "cache_control": {"type": "ephemeral"}},
        {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{WRAPPED}"}},
        {"type": "image_url", "image_url": {"url": f"data:image/png;charset=utf-8;base64,{DATA}"}},
        {"type": "image_url", "image_url": {"url": f"DATA:image/png;name=a.png;BASE64,{DATA}"}},
        {"type": "image_url", "image_url": {"url": URL.replace("+", "%2B").replace("/", "%2F")}},
        {"type": "image_url", "image_url": URL},
        {"type": "input_image", "image_url": URL},
        {"type": "input_image", "image_url": URL, "detail": "auto"},
        {"image": {"format": "png", "source": {"bytes": FILE}}},
    ],
)
def test_the_file_in_a_picture_s_block(block: dict[str, Any]) -> None:
    found = only(block)
    assert picture_in(found) == FILE
    assert text_in(found) is None


@pytest.mark.parametrize(
    ("block", "says"),
    [
        ({"type": "image", "url": "https://a.example/b.png"}, "not fetched"),
        ({"type": "image_url", "image_url": {"url": "https://a.example/b.png"}}, "not fetched"),
        ({"type": "image_url", "image_url": "file:///etc/hostname"}, "not fetched"),
        ({"type": "input_image", "image_url": "https://a.example/b,c.png"}, "not fetched"),
        ({"type": "input_image", "file_id": "file-1"}, "not fetched"),
        ({"type": "image", "file_id": "file-1"}, "not fetched"),
        ({"type": "image_url"}, "not fetched"),
        ({"type": "image", "base64": "*", "mime_type": "image/png"}, "not base64"),
        ({"type": "image", "base64": 5}, "not base64"),
        ({"type": "image", "url": "data:image/png;base64,*"}, "not base64"),
        ({"type": "image", "url": "data:image/png;base64,é"}, "not base64"),
    ],
)
def test_a_picture_that_cannot_be_had(block: dict[str, Any], says: str) -> None:
    with pytest.raises(ImageError, match=says):
        picture_in(only(block))


@pytest.mark.parametrize("kind", ["text", "input_text"])
def test_a_text(kind: str) -> None:
    found = only({"type": kind, "text": "How many?"})
    assert text_in(found) == "How many?"
    assert picture_in(found) is None


@pytest.mark.parametrize(
    "block",
    [{"type": "audio", "base64": DATA}, {"type": "reasoning", "reasoning": "so"}, {"type": "text"}],
)
def test_anything_else_is_neither(block: dict[str, Any]) -> None:
    found = only(block)
    assert (text_in(found), picture_in(found)) == (None, None)
