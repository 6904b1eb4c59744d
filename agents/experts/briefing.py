"""What the expert is shown of the base model's answers, and how pictures travel to a chat model."""

import json
import re
import unicodedata
from collections.abc import Sequence
from typing import Any

from PIL.Image import Image

from catts.agents.expert import Candidate
from catts.agents.pictures import encode

MAX_ANSWER_CHARS = 200
"""Characters of a candidate that the expert sees; an answer is model output and may be anything."""

_UNSEEN = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
"""Kinds of characters that break a line or hide what stands beside them."""
_MORE_THAN_AN_ANSWER = re.compile(
    r"(?:^|\s)\d{1,2}\.\s"  # a row of its own
    r"|\bsamples?, share\b"  # figures like those behind a candidate
    r"|```|<\||</?[A-Za-z]\w*\s*>"
    r'|"(?:order|probabilities|critique)"'
)
"""What could be taken for a part of the prompt, or of the reply that is asked for."""


def list_answers(candidates: Sequence[Candidate]) -> str:
    """The candidates as the voter sees them: `1. red`, a line each.

    Counts and confidences are left out: V_internal holds them already, and a voter that repeats
    them would count the same evidence twice.
    """
    return "\n".join(f"{i}. {quoted(c.answer)}" for i, c in enumerate(candidates, 1))


def list_candidates(candidates: Sequence[Candidate]) -> str:
    """The candidates as the planner sees them: `1. red: 5 samples, share 0.62, confidence 2.31`."""
    return "\n".join(
        f"{i}. {quoted(c.answer)}: {c.count} sample{'s' if c.count > 1 else ''}, "
        f"share {c.share:.2f}, confidence {c.confidence:.2f}"
        for i, c in enumerate(candidates, 1)
    )


def image_blocks(images: Sequence[Image]) -> list[str | dict[str, Any]]:
    """Pictures as LangChain's standard image content blocks: see `catts.agents.pictures.encode`."""
    made = map(encode, images)
    return [{"type": "image", "base64": e.base64, "mime_type": e.mime_type} for e in made]


def quoted(answer: str) -> str:
    """An answer as a prompt shows it: on one line, as it stands where it is nothing but an answer.

    One that spells rows, tags or JSON of the prompt is put into quotes, as a JSON string.
    """
    seen = (" " if unicodedata.category(char) in _UNSEEN else char for char in answer)
    line = " ".join("".join(seen).split())
    if len(line) > MAX_ANSWER_CHARS:
        line = line[: MAX_ANSWER_CHARS - 1] + "…"
    return json.dumps(line, ensure_ascii=False) if _MORE_THAN_AN_ANSWER.search(line) else line
