"""What the embedded models are taught: conversations, written with the very prompts used later."""

import json
import math
import random
import re
from typing import Literal, NamedTuple

from catts.agents.briefing import list_answers, list_candidates
from catts.agents.expert import MODULES, Candidate, Module
from catts.embedded.drawing import Look
from catts.embedded.questions import name, place_name, solve
from catts.embedded.scene import CELLS, Grade, misread
from catts.embedded.world import Example
from catts.prompts import PromptSet, format_choices

Task = Literal["look", "answer", "reanswer", "planner", "voter", "critic"]
"""`look` names cells by their address and is taught first; the others are the prompts' roles."""

MISREAD: dict[Grade, float] = {1: 0.06, 2: 0.2, 3: 0.45}
"""Share of things that the imagined reader mistakes, by grade: the samples of a base model."""
CRITIC_MISREAD: dict[Grade, float] = {1: 0.02, 2: 0.06, 3: 0.2}
"""The same for the imagined critic, who sees better but is not always right."""

PLAN_ORDER: tuple[Module, ...] = MODULES
"""The planner's target; `catts embedded order` measures which one helps most."""

_READING = re.compile(r"\b([a-d][1-4]) ([a-z]+ [a-z]+)")

_LOOKS = 16
"""Cells named in one `look` lesson."""

READING_IS_RIGHT = "The reading is right."


class Lesson(NamedTuple):
    """One conversation of one turn."""

    task: Task
    example: Example
    prompt: str
    completion: str


def completion(chain: str, answer: str) -> str:
    """How the embedded models answer: the form that the prompts for big models ask for."""
    return f"<think>{chain}</think>\\boxed{{{answer}}}"


def lesson(
    task: Task, example: Example, prompts: PromptSet, rng: random.Random, *, slips: float = 0.0
) -> Lesson:
    """A lesson on an example's question.

    Args:
        task: what is taught.
        example: the question and its picture.
        prompts: wording of the prompts.
        rng: decides what imagined readers mistake.
        slips: share of things that the writer of an `answer` mistakes, in [0, 1].
    """
    prompt, reply = _WRITERS[task](example, prompts, rng)
    if slips and task == "answer":
        reply = completion(*_read(example, slips, rng))
    return Lesson(task, example, prompt, reply)


def truth(example: Example) -> str:
    """The right completion."""
    return completion(example.solution.chain, example.answer)


def critique_of(chain: str, seen: str) -> str:
    """What a critic who read `seen` says of a chain: the places that it reads otherwise."""
    said, told = (dict(_READING.findall(text)) for text in (chain, seen))
    wrong = [f"{place} {told.get(place, 'none')}" for place in sorted({*said, *told})
             if said.get(place) != told.get(place)]  # fmt: skip
    return f"Look again: {', '.join(wrong)}." if wrong else READING_IS_RIGHT


def visibility_loss(look: Look) -> float:
    """Probability that a careful reader misreads a thing of this look; in (0, 0.6)."""
    return min(0.6, 0.4 * math.exp(-1.8 * look.contrast * look.radius) + 0.15 * look.cover)


def _read(example: Example, rate: float, rng: random.Random) -> tuple[str, str]:
    """Chain and answer of a reader with that misreading rate."""
    things = misread(example.scene.things, rate, rng)
    solution = solve(example.ask, things, rng)
    return solution.chain, solution.answer


def _asked(example: Example) -> dict[str, str]:
    return {"question": example.question, "choices": format_choices(example.choices)}


def _look(example: Example, prompts: PromptSet, rng: random.Random) -> tuple[str, str]:
    """Cells in random order: how a place leads to its cell."""
    things = example.scene.things
    cells = rng.sample(CELLS, _LOOKS)
    parts = [f"{place_name(c)} {name(things[c]) if c in things else 'none'}" for c in cells]
    return "Look.\n", ", ".join(parts)


def _answer(example: Example, prompts: PromptSet, rng: random.Random) -> tuple[str, str]:
    return prompts.render("answer", **_asked(example)), truth(example)


def _reanswer(example: Example, prompts: PromptSet, rng: random.Random) -> tuple[str, str]:
    chain, answer = _read(example, MISREAD[example.grade], rng)
    seen, _ = _read(example, CRITIC_MISREAD[example.grade], rng)
    prompt = prompts.render(
        "reanswer",
        **_asked(example),
        previous=completion(chain, answer),
        critique=critique_of(chain, seen),
    )
    return prompt, truth(example)


def _critic(example: Example, prompts: PromptSet, rng: random.Random) -> tuple[str, str]:
    chain, answer = _read(example, MISREAD[example.grade], rng)
    prompt = prompts.render(
        "critic", **_asked(example), answer=answer, reasoning=completion(chain, answer)
    )
    reply = json.dumps({"critique": critique_of(chain, example.solution.chain)})
    return prompt, f"<think>{example.solution.chain}</think>{reply}"


def _candidates(example: Example, rng: random.Random) -> list[Candidate]:
    """The distinct answers of eight imagined samples, in random order."""
    answers = [_read(example, MISREAD[example.grade], rng)[1] for _ in range(8)]
    distinct = sorted(set(answers))
    rng.shuffle(distinct)
    return [
        Candidate(
            answer=a,
            count=answers.count(a),
            confidence=rng.uniform(6, 16),
            share=answers.count(a) / len(answers),
        )
        for a in distinct
    ]


def _voter(example: Example, prompts: PromptSet, rng: random.Random) -> tuple[str, str]:
    candidates = _candidates(example, rng)
    while len(candidates) == 1 and rng.random() < 0.8:
        candidates = _candidates(example, rng)
    prompt = prompts.render("voter", **_asked(example), candidates=list_answers(candidates))
    looks = [example.scene.looks[cell] for cell in example.solution.evidence]
    certain = math.prod(1 - visibility_loss(look) for look in looks)
    shares = vote_shares([c.answer == example.answer for c in candidates], certain)
    reply = json.dumps({"probabilities": shares})
    return prompt, f"<think>{example.solution.chain}</think>{reply}"


def vote_shares(right: list[bool], certain: float) -> list[float]:
    """A voter's target: `certain` (kept in [0.3, 0.95]) for the right candidate, rounded to 0.05.

    The rest is shared evenly; all candidates get the same where none is right.
    """
    n = len(right)
    if n == 1:
        return [1.0]
    if not any(right):
        return [round(1 / n, 2)] * n
    top = max(round(min(0.95, max(0.3, certain)) * 20) / 20, round(1 / n, 2))
    rest = round((1 - top) / (n - 1), 2)
    return [top if hit else rest for hit in right]


def _planner(example: Example, prompts: PromptSet, rng: random.Random) -> tuple[str, str]:
    candidates = _candidates(example, rng)
    prompt = prompts.render("planner", **_asked(example), candidates=list_candidates(candidates))
    share = max(c.share for c in candidates)
    reason = "The lead is clear." if share >= 0.6 else "The lead is thin."
    return prompt, json.dumps({"order": list(PLAN_ORDER), "reason": reason})


_WRITERS = {
    "look": _look,
    "answer": _answer,
    "reanswer": _reanswer,
    "planner": _planner,
    "voter": _voter,
    "critic": _critic,
}
