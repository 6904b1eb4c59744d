"""What the expert is shown of the base model's answers, and how pictures travel to a chat model."""

from collections.abc import Sequence
from typing import Any

from PIL.Image import Image

from catts.agents.expert import Candidate
from catts.agents.pictures import encode

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
    """Pictures as LangChain's standard image content blocks: see `catts.agents.pictures.encode`."""
    made = map(encode, images)
    return [{"type": "image", "base64": e.base64, "mime_type": e.mime_type} for e in made]


def _one_line(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= MAX_ANSWER_CHARS else line[: MAX_ANSWER_CHARS - 1] + "…"
