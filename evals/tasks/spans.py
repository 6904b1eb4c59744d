"""The graph's nodes as spans of Inspect's transcript, with what they decided and small pictures."""

import re
from base64 import b64decode
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from inspect_ai.event import Event, InfoEvent
from inspect_ai.log import transcript
from inspect_ai.util import span
from PIL.Image import Image, Resampling
from pydantic import BaseModel

from catts.evals.small_picture import data_uri, thumbnail
from catts.graph.ledger import Ballot
from catts.graph.nodes import render
from catts.graph.records import ContrastRecord, Decision, NodeRun, SampleRecord
from catts.perception.key_region import KeyRegion
from catts.perception.panels import region_map, saliency_map

MOST = 40_000
"""Bytes of a picture in a transcript."""

_SOURCE = "catts"
_NOISED = "noised picture"
_REGION = "key region"
_HEAT = "saliency"
_SHOWN = re.compile(
    r"(?P<caption>[^\n]+)\n\n!\[[^\n]+\]\(data:image/\w+;base64,(?P<data>[^\n)]+)\)"
)


class TranscriptObserver:
    """An observer for one sample: each node becomes a span of the transcript that is current.

    Texts of models go in as data, which the viewer shows as they are; only captions and pictures of
    ours are markdown.
    """

    def __init__(self, pictures: Sequence[Image]) -> None:
        """`pictures` are the question's, from which the noised ones are made again."""
        self._pictures = pictures

    @asynccontextmanager
    async def node(self, name: str, question: str) -> AsyncIterator["_Told"]:
        """A span from the start to the end of node `name`; a failure is told in it."""
        async with span(name, type="catts"):
            told = _Told()
            try:
                yield told
            except BaseException as error:
                transcript().info(
                    {"failed": type(error).__name__, "message": str(error)}, source=_SOURCE
                )
                raise
            if told.facts:
                transcript().info(told.facts, source=_SOURCE)
            if told.checked is not None:
                for noised, picture in zip(told.checked.noised, self._pictures, strict=True):
                    if isinstance(noised.region, KeyRegion):
                        covered = f"{noised.region.covered:.0%} of the picture"
                        clean = picture.resize(noised.size, Resampling.BICUBIC)
                        if (heat := saliency_map(clean, noised.region)) is not None:
                            show_picture(_HEAT, heat)
                        show_picture(f"{_REGION}, {covered}", region_map(clean, noised.region))
                    caption = f"{_NOISED}, t = {noised.t}"
                    show_picture(caption, render(noised, picture), noised=True)


class _Told:
    """What a node changes, as the transcript shows it."""

    def __init__(self) -> None:
        self.facts: dict[str, Any] = {}
        self.checked: ContrastRecord | None = None

    def result(self, update: Mapping[str, object]) -> None:
        """Keep the facts of the update that are new to a reader."""
        self.facts = {name: _fact(value) for name, value in update.items() if value}
        checked = update.get("self_check")
        self.checked = checked if isinstance(checked, ContrastRecord) else None


def show_picture(caption: str, picture: Image, *, noised: bool = False) -> None:
    """Put a small copy of a picture into the transcript."""
    small = data_uri(thumbnail(picture, MOST, noised=noised))
    transcript().info(f"{caption}\n\n![{caption}]({small})", source=_SOURCE)


@dataclass(frozen=True)
class Pictures:
    """The small copies that a transcript holds."""

    clean: tuple[bytes, ...] = ()
    """The question's pictures, in its order."""
    noised: tuple[bytes, ...] = ()
    """What the self-check saw of them."""
    maps: tuple[bytes, ...] = ()
    """Where it put the noise, for runs that looked for a key region."""
    heats: tuple[bytes, ...] = ()
    """The saliency that those regions were found in."""


def pictures_of(events: Iterable[Event]) -> Pictures:
    """What `show_picture` put into a transcript, whose attachments are resolved."""
    found: dict[str, list[bytes]] = {"": [], _NOISED: [], _REGION: [], _HEAT: []}
    for event in events:
        if not (isinstance(event, InfoEvent) and event.source == _SOURCE):
            continue
        shown = _SHOWN.fullmatch(event.data) if isinstance(event.data, str) else None
        if shown is not None:
            kinds = (_NOISED, _REGION, _HEAT, "")
            kind = next(k for k in kinds if shown["caption"].startswith(k))
            found[kind].append(b64decode(shown["data"]))
    return Pictures(*(tuple(found[kind]) for kind in ("", _NOISED, _REGION, _HEAT)))


def _fact(value: object) -> Any:
    """A record as a reader wants it: the trace in the sample's store holds the rest."""
    match value:
        case SampleRecord():
            return value.model_dump(mode="json", include={"answer", "confidence", "weight", "text"})
        case ContrastRecord():
            return {"method": value.method, **_fact(value.sample)}
        case Ballot():
            return f"{value.weight:+.4g} for {value.answer} ({value.source}: {value.reason})"
        case Decision():
            return {"to": ", ".join(value.to), "reason": value.reason, **value.numbers}
        case NodeRun():
            shown = {"status", "seconds", "attempts", "usage"}
            return value.model_dump(mode="json", include=shown)
        case BaseModel():
            return value.model_dump(mode="json")
        case tuple():
            return [_fact(item) for item in value]
        case _:
            return value
