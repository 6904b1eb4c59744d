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

    `rng` only decides a guess where what was seen leaves the question without an answer; that never
    happens on the scene that the question was asked about.
    """
    if ask.family == "attribute":
        return _solve_attribute(ask, things, rng)
    if ask.family == "choice":
        return _solve_choice(ask, things, rng)
    if ask.family == "place":
        return _solve_place(ask, things, rng)
    chain, hits = _scan(things, ask.sorts)
    counts = [sum(sort in things[c] for c in hits) for sort in ask.sorts]
    if ask.family == "count":
        return Solution(f"{chain}; total {counts[0]}", str(counts[0]), tuple(hits))
    first, second = counts
    if ask.family == "arithmetic":
        sign, value = ("+", first + second) if ask.wanted == "plus" else ("*", first * second)
        return Solution(f"{chain}; {first} {sign} {second} = {value}", str(value), tuple(hits))
    a, b = ask.sorts
    winner = a if first > second else b if second > first else "equal"
    return Solution(f"{chain}; {a} {first}, {b} {second}", winner, tuple(hits))


def _scan(things: Things, sorts: tuple[Sort, ...]) -> tuple[str, list[int]]:
    """Row by row, each thing that is of one of the sorts, with its place."""
    rows, hits = [], []
    for row in range(1, GRID + 1):
        found = [c for c in line_cells("row", row) if c in things and set(things[c]) & set(sorts)]
        hits += found
        rows.append(f"row {row}: {_listed(found, things)}")
    return "; ".join(rows), hits


def _read_line(ask: Ask, things: Things) -> tuple[str, list[int]]:
    cells = [c for c in line_cells(ask.line, ask.number) if c in things]
    return f"{line_name(ask.line, ask.number)}: {_listed(cells, things)}", cells


def _listed(cells: list[int], things: Things) -> str:
    return ", ".join(f"{place_name(c)} {name(things[c])}" for c in cells) or "none"


def _solve_attribute(ask: Ask, things: Things, rng: random.Random) -> Solution:
    chain, cells = _read_line(ask, things)
    hits = [c for c in cells if ask.sorts[0] in things[c]]
    part = 0 if ask.wanted == "shape" else 1
    if hits:
        return Solution(chain, things[hits[0]][part], (hits[0],))
    guesses: tuple[Sort, ...] = SHAPES if part == 0 else COLOURS
    seen = [things[c][part] for c in cells]
    return Solution(chain, rng.choice(seen or list(guesses)), ())


def _solve_choice(ask: Ask, things: Things, rng: random.Random) -> Solution:
    chain, cells = _read_line(ask, things)
    hits = [c for c in cells if name(things[c]) in ask.choices]
    if hits:
        letter = choice_letter(ask.choices.index(name(things[hits[0]])))
        return Solution(chain, letter, (hits[0],))
    words = [set(name(things[c]).split()) for c in cells]
    overlap = [max((len(set(o.split()) & w) for w in words), default=0) for o in ask.choices]
    best = [i for i, shared in enumerate(overlap) if shared == max(overlap)]
    return Solution(chain, choice_letter(rng.choice(best)), ())


def _solve_place(ask: Ask, things: Things, rng: random.Random) -> Solution:
    shape, colour = ask.sorts
    parts, target = [], None
    for number in range(1, GRID + 1):
        cells = [c for c in line_cells(ask.line, number) if c in things and colour in things[c]]
        parts.append(f"{line_name(ask.line, number)}: {_listed(cells, things)}")
        hit = [c for c in cells if shape in things[c]]
        if hit:
            target = hit[0]
            return Solution("; ".join(parts), line_name(ask.line, number).split()[1], (target,))
    colour_cells = [c for c, thing in things.items() if colour in thing] or list(things)
    cell = rng.choice(colour_cells)
    number = (cell // GRID if ask.line == "row" else cell % GRID) + 1
    return Solution("; ".join(parts), line_name(ask.line, number).split()[1], ())


def distractor(thing: Thing, rng: random.Random) -> Thing:
    """A thing that is easily taken for another: one of its two properties looks alike."""
    shape, colour = thing
    if rng.random() < 0.5:
        return LOOKALIKE[shape], colour
    return shape, rng.choice(neighbours(colour))
