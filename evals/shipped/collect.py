"""Ask the models once and keep what they said: the raw material of every table.

Each collection is one JSON-lines file named by what decides it (model, questions, settings) and
written atomically, so a killed measurement resumes with the collections that it has finished.
"""

import hashlib
import json
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TypeVar

from PIL.Image import Image
from pydantic import TypeAdapter
from rich.progress import track

from catts.agents.engines.transformers_engine import TransformersEngine
from catts.agents.expert import Candidate
from catts.agents.experts.briefing import list_answers
from catts.agents.experts.replies import ReplyError, parse_critique, parse_vote
from catts.agents.protocol import ContrastParams, Sample, SamplingParams
from catts.evals.shipped.items import Item
from catts.files import write_whole
from catts.perception.key_region import KeyRegion
from catts.prompts import format_choices

_T = TypeVar("_T")

Samples = tuple[Sample, ...]

_ROWS = 256
"""Completions decoded as one batch."""

_SAMPLES: TypeAdapter[Samples] = TypeAdapter(Samples)


class Collection:
    """Collects from models into a folder; what is there already is read instead of asked again."""

    def __init__(self, folder: Path, items: Sequence[Item], *, quiet: bool = False) -> None:
        self.items = list(items)
        self._folder = folder
        self._quiet = quiet
        self._data = hashlib.sha256(
            "\0".join(item.question.digest for item in self.items).encode()
        ).hexdigest()[:16]

    def answers(
        self,
        engine: TransformersEngine,
        params: SamplingParams,
        *,
        images: Sequence[Image] | None = None,
        shown: str = "clean",
        title: str = "answers",
    ) -> list[Samples]:
        """`params.n` answers to each question; `shown` names `images` when they are not its own."""
        pictures = images or [item.example.image for item in self.items]

        def ask(indices: range) -> list[Samples]:
            generations = engine.sample_many_sync(
                [self.items[i].question for i in indices],
                [[pictures[i]] for i in indices],
                params,
            )
            return [g.samples for g in generations]

        key = ["answers", engine.fingerprint, shown, params.model_dump_json()]
        return self._collect(key, max(1, _ROWS // params.n), ask, title)

    def replies(
        self,
        engine: TransformersEngine,
        texts: Sequence[str],
        params: SamplingParams,
        *,
        title: str,
    ) -> list[Samples]:
        """Replies to one rendered prompt for each question, with its clean picture."""

        def ask(indices: range) -> list[Samples]:
            generations = engine.complete_many_sync(
                [texts[i] for i in indices],
                [[self.items[i].example.image] for i in indices],
                params,
            )
            return [g.samples for g in generations]

        digest = hashlib.sha256("\0".join(texts).encode()).hexdigest()
        key = ["replies", engine.fingerprint, digest, params.model_dump_json()]
        return self._collect(key, max(1, _ROWS // 4 // params.n), ask, title)

    def contrasts(
        self,
        engine: TransformersEngine,
        params: ContrastParams,
        t: int,
        *,
        regions: Sequence[KeyRegion] | None = None,
        title: str,
    ) -> list[Samples]:
        """The self-check's answer to each question: noise at step `t`, everywhere or in regions."""
        regions_of = [None] * len(self.items) if regions is None else list(regions)

        def ask(indices: range) -> list[Samples]:
            contrasts = engine.contrast_many_sync(
                [self.items[i].question for i in indices],
                [[self.items[i].example.image] for i in indices],
                [[self.items[i].noised_in(t, regions_of[i])] for i in indices],
                params,
            )
            return [(contrast.sample,) for contrast in contrasts]

        key = ["contrast", engine.fingerprint, str(t), params.model_dump_json()]
        if regions is not None:
            places = "\0".join(region.model_dump_json(exclude={"saliency"}) for region in regions)
            key.append(hashlib.sha256(places.encode()).hexdigest())
        return self._collect(key, _ROWS // 4, ask, title)

    def votes(
        self,
        engine: TransformersEngine,
        candidates: Sequence[Sequence[Candidate]],
        params: SamplingParams,
        *,
        title: str = "voter",
    ) -> list[tuple[float, ...] | None]:
        """The voter's probabilities for each question's candidates; None for a malformed reply.

        As in the graph, a single candidate has probability 1 and nobody is asked.
        """
        probabilities: list[tuple[float, ...] | None] = [
            (1.0,) if len(field) == 1 else None for field in candidates
        ]
        several = [i for i, field in enumerate(candidates) if len(field) > 1]
        asked = Collection(self._folder, [self.items[i] for i in several], quiet=self._quiet)
        texts = [
            engine.prompts.render(
                "voter", **_asked(self.items[i]), candidates=list_answers(candidates[i])
            )
            for i in several
        ]
        for i, reply in zip(
            several, asked.replies(engine, texts, params, title=title), strict=True
        ):
            vote = _parsed(partial(parse_vote, candidates=len(candidates[i])), reply)
            probabilities[i] = None if vote is None else vote.probabilities
        return probabilities

    def critiques(
        self,
        engine: TransformersEngine,
        leaders: Sequence[tuple[str, str]],
        params: SamplingParams,
        *,
        title: str = "critic",
    ) -> list[str | None]:
        """What the critic says of each (answer, completion); None for a malformed reply."""
        texts = [
            engine.prompts.render("critic", **_asked(item), answer=answer, reasoning=said)
            for item, (answer, said) in zip(self.items, leaders, strict=True)
        ]
        replies = self.replies(engine, texts, params, title=title)
        critiques = [_parsed(parse_critique, reply) for reply in replies]
        return [None if critique is None else critique.text for critique in critiques]

    def reanswers(
        self,
        engine: TransformersEngine,
        previous: Sequence[str],
        critiques: Sequence[str],
        params: SamplingParams,
        *,
        title: str,
    ) -> list[Samples]:
        """The base model's answer to each question under a critique."""
        texts = [
            engine.prompts.render("reanswer", **_asked(item), previous=said, critique=critique)
            for item, said, critique in zip(self.items, previous, critiques, strict=True)
        ]
        return self.replies(engine, texts, params, title=title)

    def _collect(
        self,
        key: Sequence[str],
        batch: int,
        ask: Callable[[range], list[Samples]],
        title: str,
    ) -> list[Samples]:
        digest = hashlib.sha256(json.dumps([self._data, *key]).encode()).hexdigest()[:24]
        path = self._folder / f"{key[0]}-{digest}.jsonl"
        if path.is_file():
            return [_SAMPLES.validate_json(line) for line in path.read_bytes().splitlines()]
        starts = range(0, len(self.items), batch)
        rows: list[Samples] = []
        for start in track(starts, description=title, disable=self._quiet):
            rows += ask(range(start, min(start + batch, len(self.items))))
        self._folder.mkdir(parents=True, exist_ok=True)
        write_whole(path, b"".join(_SAMPLES.dump_json(row) + b"\n" for row in rows))
        return rows


def _asked(item: Item) -> dict[str, str]:
    return {
        "question": item.question.text,
        "choices": format_choices(item.question.choices),
    }


def _parsed(parse: Callable[[str], _T], reply: Samples) -> _T | None:
    try:
        return parse(reply[0].text)
    except ReplyError:
        return None
