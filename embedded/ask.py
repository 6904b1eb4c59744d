"""Asking: for each family, a scene in which the question is worth asking, and the question."""

import random
from dataclasses import replace

from catts.embedded.drawing import COLOURS, GRID, SHAPES
from catts.embedded.questions import (
    Ask,
    Family,
    Line,
    Sort,
    distractor,
    line_cells,
    line_name,
    name,
)
from catts.embedded.scene import CELLS, LOOKALIKE, Thing, Things, neighbours


def compose(family: Family, rng: random.Random) -> tuple[Ask, Things]:
    """A question of the family and what stands on the board it is asked about.

    Answers are balanced within a family, so that a reader who cannot see the picture gains little
    from the prior.
    """
    return _COMPOSERS[family](rng)


def _random_thing(rng: random.Random) -> Thing:
    return rng.choice(SHAPES), rng.choice(COLOURS)


def _thing_of(sort: Sort, rng: random.Random) -> Thing:
    shape, colour = _random_thing(rng)
    return (sort, colour) if sort in SHAPES else (shape, sort)  # type: ignore[return-value]


def _place_all(wanted: list[Thing], banned: tuple[Sort, ...], rng: random.Random) -> Things:
    """The wanted things and two to four others without the banned sorts, look-alikes first."""
    others: list[Thing] = []
    target = rng.randint(2, 4)
    while len(others) < target:
        thing = distractor(rng.choice(wanted), rng) if rng.random() < 0.6 else _random_thing(rng)
        if not set(thing) & set(banned):
            others.append(thing)
    cells = rng.sample(CELLS, len(wanted) + len(others))
    return dict(sorted(zip(cells, wanted + others, strict=True)))


def _two_sorts(rng: random.Random) -> tuple[Sort, Sort]:
    a, b = rng.sample(SHAPES if rng.random() < 0.5 else COLOURS, 2)
    return a, b


def _plural(sort: Sort) -> str:
    return f"{sort}s" if sort in SHAPES else f"{sort} shapes"


def _count(rng: random.Random) -> tuple[Ask, Things]:
    sort: Sort = rng.choice(SHAPES) if rng.random() < 0.5 else rng.choice(COLOURS)
    wanted = [_thing_of(sort, rng) for _ in range(rng.randint(1, 5))]
    ask = Ask("count", f"How many {_plural(sort)} are there?", (sort,))
    return ask, _place_all(wanted, (sort,), rng)


def _pair(counts: tuple[int, int], rng: random.Random) -> tuple[tuple[Sort, Sort], Things]:
    a, b = _two_sorts(rng)
    wanted = [_thing_of(s, rng) for s, k in zip((a, b), counts, strict=True) for _ in range(k)]
    return (a, b), _place_all(wanted, (a, b), rng)


def _comparison(rng: random.Random) -> tuple[Ask, Things]:
    small = rng.randint(1, 3)
    large = min(4, small + rng.choice((1, 1, 2)))
    counts = rng.choice(((small, large), (large, small), (small, small)))
    (a, b), things = _pair(counts, rng)
    return Ask("comparison", f"Are there more {_plural(a)} or {_plural(b)}?", (a, b)), things


def _arithmetic(rng: random.Random) -> tuple[Ask, Things]:
    (a, b), things = _pair((rng.randint(1, 3), rng.randint(1, 3)), rng)
    if rng.random() < 0.5:
        text = f"What is the number of {_plural(a)} plus the number of {_plural(b)}?"
        return Ask("arithmetic", text, (a, b), wanted="plus"), things
    text = f"What is the number of {_plural(a)} times the number of {_plural(b)}?"
    return Ask("arithmetic", text, (a, b), wanted="times"), things


def _place(rng: random.Random) -> tuple[Ask, Things]:
    target = _random_thing(rng)
    shape, colour = target
    others: list[Thing] = []
    while len(others) < rng.randint(4, 7):
        thing = distractor(target, rng) if rng.random() < 0.5 else _random_thing(rng)
        if thing != target:
            others.append(thing)
    cells = rng.sample(CELLS, len(others) + 1)
    things = dict(sorted(zip(cells, [target, *others], strict=True)))
    line: Line = rng.choice(("row", "column"))
    return Ask("place", f"In which {line} is the {name(target)}?", (shape, colour), line), things


def _line_scene(rng: random.Random) -> tuple[Line, int, int, list[int]]:
    """A line, its number, the target's cell in it, and the line's other occupied cells."""
    line: Line = rng.choice(("row", "column"))
    number = rng.randint(1, GRID)
    cells = rng.sample(line_cells(line, number), rng.randint(2, 4))
    return line, number, cells[0], cells[1:]


def _elsewhere(occupied: list[int], line_of: list[int], rng: random.Random) -> Things:
    free = [c for c in CELLS if c not in line_of and c not in occupied]
    return {c: _random_thing(rng) for c in rng.sample(free, rng.randint(2, 4))}


def _attribute(rng: random.Random) -> tuple[Ask, Things]:
    line, number, cell, rest = _line_scene(rng)
    target = _random_thing(rng)
    shape, colour = target
    by_shape = rng.random() < 0.5
    key: Sort = shape if by_shape else colour
    things: Things = {cell: target}
    for other in rest:
        thing = distractor(target, rng) if rng.random() < 0.5 else _random_thing(rng)
        while key in thing:
            thing = _random_thing(rng)
        things[other] = thing
    things |= _elsewhere(list(things), line_cells(line, number), rng)
    if by_shape:
        text = f"What colour is the {shape} in {line_name(line, number)}?"
    else:
        text = f"What shape is the {colour} thing in {line_name(line, number)}?"
    ask = Ask("attribute", text, (key,), line, number, "colour" if by_shape else "shape")
    return ask, dict(sorted(things.items()))


def _choice(rng: random.Random) -> tuple[Ask, Things]:
    """An attribute question with four choices, the look-alikes of the answer among them."""
    ask, things = _attribute(rng)
    cell = next(c for c in line_cells(ask.line, ask.number) if ask.sorts[0] in things.get(c, ()))
    shape, colour = things[cell]
    options: list[Sort]
    if ask.wanted == "shape":
        options, all_sorts = [shape, LOOKALIKE[shape]], list[Sort](SHAPES)
    else:
        options, all_sorts = [colour, *neighbours(colour)], list[Sort](COLOURS)
    options += rng.sample([s for s in all_sorts if s not in options], 4 - len(options))
    rng.shuffle(options)
    return replace(ask, family="choice", choices=tuple(options)), things


_COMPOSERS = {
    "count": _count,
    "attribute": _attribute,
    "place": _place,
    "comparison": _comparison,
    "arithmetic": _arithmetic,
    "choice": _choice,
}
