"""Six families of questions, each solved by scanning the picture and naming the evidence.

A question is a family with its parameters; `solve` writes the chain of thought and the answer that
follow from what a reader sees. Solving the scene itself gives the truth; solving a misread scene
gives a consistent wrong account, as a careless reader would.
"""

import random
from dataclasses import dataclass
from typing import Literal, get_args

from catts.embedded.drawing import COLOURS, GRID, SHAPES, Colour, Shape
from catts.embedded.scene import LOOKALIKE, Thing, Things, neighbours
from catts.question import choice_letter

Family = Literal["count", "attribute", "place", "comparison", "arithmetic", "choice"]
FAMILIES: tuple[Family, ...] = get_args(Family)
FREE_FAMILIES: tuple[Family, ...] = ("count", "attribute", "place", "comparison", "arithmetic")
"""The families with a free answer; `choice` is multiple choice with (A)-(D)."""

Line = Literal["row", "column"]
Sort = Shape | Colour


@dataclass(frozen=True, slots=True)
class Ask:
    """A question's family and parameters."""

    family: Family
    text: str
    sorts: tuple[Sort, ...] = ()
    """The shapes or colours that it speaks of."""
    line: Line = "row"
    number: int = 0
    """1-based row or column that it speaks of; 0 for the whole board."""
    wanted: Literal["shape", "colour", "plus", "times", ""] = ""
    choices: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Solution:
    """A chain of thought, its answer, and the cells of the key visual evidence."""

    chain: str
    answer: str
    evidence: tuple[int, ...]


def name(thing: Thing) -> str:
    """`red star`: how a thing is called in questions and chains."""
    return f"{thing[1]} {thing[0]}"


def place_name(cell: int) -> str:
    """`b3`: column b, row 3. One token, so that a place leads to its cell in one step."""
    return f"{'abcd'[cell % GRID]}{cell // GRID + 1}"


def line_name(line: Line, number: int) -> str:
    """`row 3` or `column b`; lines are numbered from 1."""
    return f"row {number}" if line == "row" else f"column {'abcd'[number - 1]}"


def line_cells(line: Line, number: int) -> list[int]:
    """Cells of a 1-based row or column, in reading order."""
    k = number - 1
    return [k * GRID + i for i in range(GRID)] if line == "row" else [
        i * GRID + k for i in range(GRID)
    ]  # fmt: skip


def solve(ask: Ask, things: Things, rng: random.Random) -> Solution:
    """Answer a question on what was seen.

    The chain reads thing after thing and decides about each one once it is written down: a count
    goes up behind a thing that counts, and a search ends with the thing that is sought. A decision
    *before* the thing is named (listing only what matches) is far harder to learn.

    `rng` only decides a guess where what was seen leaves the question without an answer; that never
    happens on the scene that the question was asked about.
    """
    if ask.family in ("count", "comparison", "arithmetic"):
        return _solve_by_counting(ask, things)
    return _solve_by_search(ask, things, rng)


def _solve_by_counting(ask: Ask, things: Things) -> Solution:
    counts = [0] * len(ask.sorts)
    read, hits = [], []
    for cell, thing in sorted(things.items()):
        read.append(f"{place_name(cell)} {name(thing)}")
        matched = [i for i, sort in enumerate(ask.sorts) if sort in thing]
        if matched:
            hits.append(cell)
            counts[matched[0]] += 1
            read[-1] += f" {' '.join(map(str, counts))}"
    chain = ", ".join(read) or "none"
    if ask.family == "count":
        return Solution(f"{chain}; total {counts[0]}", str(counts[0]), tuple(hits))
    first, second = counts
    if ask.family == "arithmetic":
        sign, value = ("+", first + second) if ask.wanted == "plus" else ("*", first * second)
        return Solution(f"{chain}; {first} {sign} {second} = {value}", str(value), tuple(hits))
    a, b = ask.sorts
    winner = a if first > second else b if second > first else "equal"
    return Solution(f"{chain}; {a} {first}, {b} {second}", winner, tuple(hits))


def _solve_by_search(ask: Ask, things: Things, rng: random.Random) -> Solution:
    """Read the line, or the board line by line, up to the first thing of all the sorts."""
    numbers = [ask.number] if ask.number else range(1, GRID + 1)
    read = []
    for cell in (c for number in numbers for c in line_cells(ask.line, number) if c in things):
        read.append(f"{place_name(cell)} {name(things[cell])}")
        if set(ask.sorts) <= set(things[cell]):
            found, answer = _found(ask, cell, things[cell])
            return Solution(f"{', '.join(read)}; {found}", answer, (cell,))
    cell = rng.choice(sorted(things) or [0])
    guess = things.get(cell, (rng.choice(SHAPES), rng.choice(COLOURS)))
    found, answer = _found(ask, cell, guess)
    return Solution(f"{', '.join(read) or 'none'}; {found}", answer, ())


def _found(ask: Ask, cell: int, thing: Thing) -> tuple[str, str]:
    """What the thing that was sought gives, and the answer.

    Choices are gone through up to the one that fits, so that the letter stands next to the answer.
    """
    if ask.family == "place":
        return place_name(cell), place_name(cell)[ask.line == "row"]
    value = thing[0] if ask.wanted == "shape" else thing[1]
    if ask.family == "attribute":
        return value, value
    last = ask.choices.index(value) if value in ask.choices else len(ask.choices) - 1
    tried = [f"({choice_letter(i)}) {ask.choices[i]}" for i in range(last + 1)]
    return f"{value} {' '.join(tried)}", choice_letter(last)


def distractor(thing: Thing, rng: random.Random) -> Thing:
    """A thing that is easily taken for another: one of its two properties looks alike."""
    shape, colour = thing
    if rng.random() < 0.5:
        return LOOKALIKE[shape], colour
    return shape, rng.choice(neighbours(colour))
