"""What the embedded models are taught: conversations, written with the very prompts used later."""

import json
import math
import random
from dataclasses import replace
from typing import Literal, NamedTuple

from catts.agents.expert import Candidate
from catts.agents.experts.briefing import list_answers, list_candidates
from catts.embedded.drawing import Look
from catts.embedded.questions import name, place_name, solve
from catts.embedded.scene import CELLS, Grade, misread
from catts.embedded.world import Example
from catts.names import MODULES, Module
from catts.prompts import PromptSet, format_choices

Task = Literal["look", "answer", "reanswer", "planner", "voter", "critic"]
"""`look` names cells by their address and is taught first; the others are the prompts' roles."""

MISREAD: dict[Grade, float] = {1: 0.06, 2: 0.2, 3: 0.45}
"""Share of things that the imagined reader mistakes, by grade: the samples of a base model.

Roles are practised at a grade's rate and at higher ones: a base model brings them wrong answers and
many candidates, and on clear pictures its own rate would show them few.
"""
CRITIC_MISREAD: dict[Grade, float] = {1: 0.01, 2: 0.03, 3: 0.08}
"""The same for the imagined critic, who sees better but is not always right."""

PLAN_ORDER: tuple[Module, ...] = MODULES
"""The planner's target; `catts embedded order` measures which one helps most."""

_LOOKS = 16
"""Cells named in one `look` lesson."""

_POOR = 0.5
"""Share of the `reanswer` lessons whose picture does not show what the critic saw."""
_POOR_MISREAD = 0.4
"""Share of things drawn as something else in such a picture."""
_POOR_ABSENT = 0.2
"""Share of things that it lacks."""


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

    A `reanswer` lesson's example may be another than the one given: half of them show a picture
    that is poorer than what the critic saw, so that a critique is worth heeding.

    Args:
        task: what is taught.
        example: the question and its picture.
        prompts: wording of the prompts.
        rng: decides what imagined readers mistake.
        slips: share of things that the writer of an `answer` mistakes, in [0, 1].
    """
    if task == "reanswer":
        return _reanswer(example, prompts, rng)
    prompt, reply = _WRITERS[task](example, prompts, rng)
    if slips and task == "answer":
        reply = completion(*_read(example, slips, rng))
    return Lesson(task, example, prompt, reply)


def truth(example: Example) -> str:
    """The right completion."""
    return completion(example.solution.chain, example.answer)


def critique_of(answer: str, chain: str, seen: str) -> str:
    """What a critic says of an answer: its own reading, where that leads, and both answers.

    The critic decides once it has named what it sees; a critic that lists differences before it has
    read anything lists differences that are none.

    Args:
        answer: what is criticised.
        chain: the critic's chain of thought.
        seen: the critic's own answer.
    """
    said = "as said" if answer == seen else f"not {answer}"
    return f"I read {chain}. It is {seen}, {said}."


def visibility_loss(look: Look) -> float:
    """Probability that a careful reader misreads a thing of this look; in (0, 0.6)."""
    return min(0.6, 0.4 * math.exp(-1.8 * look.contrast * look.radius) + 0.15 * look.cover)


def _read(example: Example, rate: float, rng: random.Random) -> tuple[str, str]:
    """Chain and answer of a reader with that misreading rate."""
    things = misread(example.scene.things, rate, rng)
    solution = solve(example.ask, things, rng)
    return solution.chain, solution.answer


def _misreading(grade: Grade, rng: random.Random) -> float:
    """Rate of an imagined base model: its grade's or a higher one."""
    return max(MISREAD[grade], rng.choice(list(MISREAD.values())))


def _poorly_shown(example: Example, rng: random.Random) -> Example:
    """The same question on a picture in which things are missing or look like others."""
    kept = {c: t for c, t in example.scene.things.items() if rng.random() >= _POOR_ABSENT}
    things = misread(kept, _POOR_MISREAD, rng)
    shown = replace(example.scene, things=things)
    return replace(example, scene=shown, solution=solve(example.ask, things, rng))


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


def _reanswer(example: Example, prompts: PromptSet, rng: random.Random) -> Lesson:
    """Answer again: look once more, then take the critic's word, who sees better.

    What a base model gets wrong it reads wrong again, so it can only gain by listening. It listens
    where it concludes: taking over the critic's reading thing by thing, against its own eyes, is
    not learned by so small a model.
    """
    shown = _poorly_shown(example, rng) if rng.random() < _POOR else example
    _, previous = _read(shown, _misreading(example.grade, rng), rng)
    chain, seen = _read(example, CRITIC_MISREAD[example.grade], rng)
    prompt = prompts.render(
        "reanswer",
        **_asked(example),
        previous=previous,
        critique=critique_of(previous, chain, seen),
    )
    thought = f"{shown.solution.chain}. The critic reads {seen}"
    return Lesson("reanswer", shown, prompt, completion(thought, seen))


def _critic(example: Example, prompts: PromptSet, rng: random.Random) -> tuple[str, str]:
    chain, answer = _read(example, _misreading(example.grade, rng), rng)
    prompt = prompts.render(
        "critic", **_asked(example), answer=answer, reasoning=completion(chain, answer)
    )
    said = critique_of(answer, example.solution.chain, example.answer)
    return prompt, json.dumps({"critique": said})


def _candidates(example: Example, rng: random.Random) -> list[Candidate]:
    """The distinct answers of eight imagined samples, in random order."""
    rate = _misreading(example.grade, rng)
    answers = [_read(example, rate, rng)[1] for _ in range(8)]
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
    """Vote: read, go through the candidates as they are listed, then give the numbers.

    A probability is given to a number whose verdict stands in the text; looking for the right place
    of the list while the JSON is written is never learned.
    """
    candidates = _candidates(example, rng)
    while len(candidates) == 1:  # on a single one no voter is asked
        candidates = _candidates(example, rng)
    prompt = prompts.render("voter", **_asked(example), candidates=list_answers(candidates))
    looks = [example.scene.looks[cell] for cell in example.solution.evidence]
    certain = math.prod(1 - visibility_loss(look) for look in looks)
    right = [c.answer == example.answer for c in candidates]
    checked = "".join(
        f"\n{i}. {candidate.answer} {'yes' if hit else 'no'}"
        for i, (candidate, hit) in enumerate(zip(candidates, right, strict=True), 1)
    )
    shares = {str(i): share for i, share in enumerate(vote_shares(right, certain), 1)}
    reply = json.dumps({"probabilities": shares})
    return prompt, f"<think>{example.solution.chain}{checked}</think>{reply}"


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
    "planner": _planner,
    "voter": _voter,
    "critic": _critic,
}
