"""A stand-in for `TransformersEngine` that says, of each question's picture, what it is told."""

from collections.abc import Callable, Sequence

from PIL.Image import Image

from catts.agents.card import ModelCard
from catts.agents.protocol import (
    Contrast,
    ContrastParams,
    Generation,
    Sample,
    SamplingParams,
    Usage,
)
from catts.embedded.world import Stream
from catts.evals.shipped.items import Item, load_items
from catts.images import image_digest
from catts.prompts import FIELDS, PROMPT_NAMES, PromptSet
from catts.question import Question

FIRST_WORDS = {"voter": "Vote", "critic": "Criticise", "reanswer": "Again"}
PROMPTS = PromptSet(
    "scripted",
    {
        name: f"{FIRST_WORDS.get(name, name)}:\n" + "".join(f"{f}: ${f}\n" for f in FIELDS[name])
        for name in PROMPT_NAMES
    },
)
"""Prompts that show every field of their role."""


def truth(item: Item) -> str:
    return item.example.answer


def untruth(item: Item) -> str:
    """A wrong answer: another choice, or a number that no board holds."""
    letters = item.question.letters
    return next((letter for letter in letters if letter != truth(item)), "98")


def said(answer: str, confidence: float = 1.0, **kinds: float) -> Sample:
    """A completion with its confidence of kind `top_k_mean`, or with those given."""
    text = f"<think>look</think>\\boxed{{{answer}}}" if answer else "<think>I cannot"
    return Sample(text=text, confidence=kinds or {"top_k_mean": confidence})


class Script:
    """Questions of a stream, and what a base and an expert say of the question at each place.

    `samples`: the completions; `reply`: role and place to text; `contrast`: place, step of the
    noise and strength to the self-check's answer.
    """

    def __init__(
        self,
        stream: Stream,
        n: int,
        *,
        start: int = 0,
        samples: Callable[[int, Item], Sequence[Sample]],
        reply: Callable[[str, int, Item], str] = lambda role, place, item: "",
        contrast: Callable[[int, Item, int, float], str] = lambda place, item, t, alpha: "",
    ) -> None:
        self.items = load_items(stream, n, start=start)
        self.samples, self.reply, self.contrast = samples, reply, contrast
        self._place = {image_digest(i.example.image): p for p, i in enumerate(self.items)}

    def find(self, images: Sequence[Image]) -> tuple[int, Item]:
        (image,) = images
        place = self._place[image_digest(image)]
        return place, self.items[place]


class Scripted:
    """`asked` holds (role, place, prompt) of every reply that was wanted of it; `limits` the
    lengths and `betas` the plausibilities that it was given."""

    def __init__(self, script: Script, name: str, card: ModelCard | None = None) -> None:
        self.script, self.fingerprint = script, name
        self.card = card or ModelCard(max_new_tokens=99)
        self.prompts = PROMPTS
        self.asked: list[tuple[str, int, str]] = []
        self.limits: set[int] = set()
        self.betas: set[float] = set()

    def sample_many_sync(
        self,
        questions: Sequence[Question],
        images: Sequence[Sequence[Image]],
        params: SamplingParams,
    ) -> list[Generation]:
        self.limits.add(params.max_new_tokens)
        rows = [tuple(self.script.samples(*self.script.find(each))) for each in images]
        assert all(len(row) == params.n for row in rows)
        return [Generation(samples=row, usage=Usage()) for row in rows]

    def complete_many_sync(
        self, texts: Sequence[str], images: Sequence[Sequence[Image]], params: SamplingParams
    ) -> list[Generation]:
        assert (params.n, params.temperature) == (1, 0)
        self.limits.add(params.max_new_tokens)
        replies = []
        for text, each in zip(texts, images, strict=True):
            place, item = self.script.find(each)
            role = next(r for r, word in FIRST_WORDS.items() if text.startswith(f"{word}:"))
            self.asked.append((role, place, text))
            reply = Sample(text=self.script.reply(role, place, item))
            replies.append(Generation(samples=(reply,), usage=Usage()))
        return replies

    def contrast_many_sync(
        self,
        questions: Sequence[Question],
        images: Sequence[Sequence[Image]],
        noised: Sequence[Sequence[Image]],
        params: ContrastParams,
    ) -> list[Contrast]:
        self.limits.add(params.max_new_tokens)
        self.betas.add(params.beta)
        contrasts = []
        for each, (shown,) in zip(images, noised, strict=True):
            place, item = self.script.find(each)
            (t,) = (t for t in (500, 800) if item.noised(t, key_region=False) == shown)
            answer = said(self.script.contrast(place, item, t, params.alpha))
            contrasts.append(Contrast(sample=answer, method="lock_step", usage=Usage()))
        return contrasts
