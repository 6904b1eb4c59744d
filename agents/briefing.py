"""What the expert is shown of the base model's answers, and how pictures travel to a chat model."""

import base64
import io
from collections.abc import Sequence
from typing import Any

from PIL.Image import Image

from catts.agents.expert import Candidate

MAX_ANSWER_CHARS = 200
"""Characters of a candidate that the expert sees; an answer is model output and may be anything."""


def list_answers(candidates: Sequence[Candidate]) -> str:
    """The candidates as the voter sees them: `1. red`, a line each.

    Counts and confidences are left out: V_internal holds them already, and a voter that repeats
    them would count the same evidence twice.
    """
    return "\n".join(f"{i}. {_one_line(c.answer)}" for i, c in enumerate(candidates, 1))


def list_candidates(candidates: Sequence[Candidate]) -> str:
    """The candidates as the planner sees them: `1. red: 5 samples, share 0.62, confidence 2.31`."""
    return "\n".join(
        f"{i}. {_one_line(c.answer)}: {c.count} sample{'s' if c.count > 1 else ''}, "
        f"share {c.share:.2f}, confidence {c.confidence:.2f}"
        for i, c in enumerate(candidates, 1)
    )


def image_blocks(images: Sequence[Image]) -> list[str | dict[str, Any]]:
    """Pictures as LangChain's standard image content blocks: RGB PNGs in base64."""
    return [{"type": "image", "base64": _png(i), "mime_type": "image/png"} for i in images]


def _png(image: Image) -> str:
    buffer = io.BytesIO()
    image.convert("RGB").save(buffer, format="PNG")
    return base64.b64encode(buffer.getvalue()).decode("ascii")


def _one_line(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= MAX_ANSWER_CHARS else line[: MAX_ANSWER_CHARS - 1] + "…"
