"""The public REST formats of Gemini and OpenAI: what a request asks, and what replies look like."""

import base64
import io
import json
import re
from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

from PIL import Image

from catts.images import image_digest
from catts.names import Role

Provider = Literal["gemini", "openai"]

OPENINGS: dict[Role, str] = {
    "planner": "You plan how",
    "voter": "You judge candidate answers",
    "critic": "You review an answer",
}
"""How the `default` prompts of the roles begin."""

_ROWS = re.compile(r"\nCandidates:\n((?:\d+\. .*\n)+)\n")
_ROW = re.compile(r"\d+\. (.*)\n")
_CRITICISED = re.compile(r"\nThe answer: (.*)\n")
_TOKENS = {"read": 300, "written": 20}


class Asked(NamedTuple):
    """What a request asks for the first time; a retry repeats it."""

    role: Role
    text: str
    pictures: tuple[str, ...]
    """Digests, as `catts.question.Question` has them."""

    @property
    def candidates(self) -> tuple[str, ...]:
        """The rows of its list of candidates; of the critic, the answer."""
        if self.role == "critic":
            return tuple(_CRITICISED.findall(self.text))
        rows = _ROWS.search(self.text)
        return tuple(_ROW.findall(rows[1])) if rows else ()


def provider_of(path: str) -> Provider:
    """The format that is spoken at a path of the server."""
    return "gemini" if ":generateContent" in path else "openai"


def read_request(provider: Provider, body: Mapping[str, Any]) -> Asked:
    """What the first user turn of a request asks.

    Raises:
        ValueError: it is none of the roles' requests, which is a defect of the package.
    """
    if provider == "gemini":
        parts = body["contents"][0]["parts"]
        text = parts[-1]["text"]
        files = [base64.urlsafe_b64decode(part["inlineData"]["data"]) for part in parts[:-1]]
    else:
        parts = body["messages"][0]["content"]
        text = parts[-1]["text"]
        urls = [part["image_url"]["url"] for part in parts[:-1]]
        files = [base64.b64decode(url.partition(",")[2]) for url in urls]
    role = next((r for r, opening in OPENINGS.items() if text.startswith(opening)), None)
    if role is None:
        raise ValueError(f"no role asks so: {text[:80]!r}")
    pictures = tuple(image_digest(Image.open(io.BytesIO(file)).convert("RGB")) for file in files)
    return Asked(role, text, pictures)


def says(provider: Provider, text: str, *, cut: bool = False) -> bytes:
    """The body of a reply of a model."""
    if provider == "gemini":
        body = {
            "candidates": [
                {
                    "content": {"role": "model", "parts": [{"text": text}]},
                    "finishReason": "MAX_TOKENS" if cut else "STOP",
                    "index": 0,
                }
            ],
            "usageMetadata": {
                "promptTokenCount": _TOKENS["read"],
                "candidatesTokenCount": _TOKENS["written"],
                "totalTokenCount": sum(_TOKENS.values()),
            },
            "modelVersion": "scripted",
        }
    else:
        body = _completion({"role": "assistant", "content": text}, "length" if cut else "stop")
    return json.dumps(body).encode()


def blocked(provider: Provider) -> bytes:
    """The body where the provider keeps the reply back."""
    if provider == "gemini":
        return json.dumps({"promptFeedback": {"blockReason": "SAFETY"}}).encode()
    message = {"role": "assistant", "content": "The picture"}
    return json.dumps(_completion(message, "content_filter")).encode()


def fails(provider: Provider, status: int, message: str) -> bytes:
    """The body of an HTTP error."""
    if provider == "gemini":
        names = {401: "UNAUTHENTICATED", 429: "RESOURCE_EXHAUSTED", 503: "UNAVAILABLE"}
        error: dict[str, Any] = {"code": status, "status": names[status], "message": message}
    else:
        error = {"message": message, "type": "error", "code": None}
    return json.dumps({"error": error}).encode()


def _completion(message: dict[str, Any], reason: str) -> dict[str, Any]:
    return {
        "id": "c",
        "object": "chat.completion",
        "created": 1,
        "model": "scripted",
        "choices": [{"index": 0, "message": message, "finish_reason": reason}],
        "usage": {
            "prompt_tokens": _TOKENS["read"],
            "completion_tokens": _TOKENS["written"],
            "total_tokens": sum(_TOKENS.values()),
        },
    }
