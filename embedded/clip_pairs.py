"""What the embedded CLIP is taught: boards, texts about them, and which text is true of which.

Contrastive training usually takes a picture's own text as its only match and every other text of
the batch as a mismatch. Here half of the texts of a batch are true of other boards as well, so that
would mostly teach noise; and since it is known what stands on a board, every pair of the batch gets
its true label instead.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL.Image import Image

from catts.embedded.drawing import COLOURS, SHAPES
from catts.embedded.questions import (
    Ask,
    Sort,
    distractor,
    line_cells,
    line_name,
    name,
    place_name,
)
from catts.embedded.scene import CELLS, Grade, Scene, Things
from catts.embedded.world import Example, example

START = 2_000_000_000
"""Training-stream index at which the CLIP reads, far from what the other models were taught on."""


@dataclass(frozen=True, slots=True)
class Text:
    """A text, and what it looks for on a board."""

    words: str
    sorts: tuple[Sort, ...]
    together: bool
    """One thing must be of all sorts (`the red star`); else each sort must be there somewhere."""
    cells: tuple[int, ...] = CELLS
    """Where it looks."""


def question_text(ask: Ask) -> Text:
    """A question as a text: it is true of a board on which everything it speaks of is found."""
    cells = tuple(line_cells(ask.line, ask.number)) if ask.number else CELLS
    counted = ask.family in ("count", "comparison", "arithmetic")
    return Text(ask.text, ask.sorts, together=not counted, cells=cells)


def answered(ask: Ask, things: Things, rng: random.Random) -> Text:
    """A question about one thing with an answer behind it, mostly its right one.

    So a question with each of its choices is read, too.
    """
    plain = question_text(ask)
    cell = next(c for c in plain.cells if set(ask.sorts) <= set(things.get(c, ())))
    shape, colour = things[cell]
    value: Sort = shape if ask.wanted == "shape" else colour
    if rng.random() < 0.3:
        value = rng.choice(SHAPES if ask.wanted == "shape" else COLOURS)
    return replace(plain, words=f"{ask.text} {value}", sorts=(*ask.sorts, value))


def caption(things: Things, rng: random.Random) -> Text:
    """A caption of one thing of the board, in the words of the questions."""
    cell = rng.choice(sorted(things))
    thing = things[cell]
    shape, colour = thing
    line, number = rng.choice((("row", cell // 4 + 1), ("column", cell % 4 + 1)))
    along = tuple(line_cells(line, number))  # type: ignore[arg-type]
    where = line_name(line, number)  # type: ignore[arg-type]
    return rng.choice(
        (
            Text(f"a {name(thing)}", (shape, colour), True),
            Text(f"a {name(thing)} at {place_name(cell)}", (shape, colour), True, (cell,)),
            Text(f"a {name(thing)} in {where}", (shape, colour), True, along),
            Text(f"a {shape} in {where}", (shape,), True, along),
            Text(f"a {colour} thing in {where}", (colour,), True, along),
        )
    )


class Pairs(NamedTuple):
    """A batch: B boards, T texts."""

    images: list[Image]
    words: list[str]
    true: NDArray[np.bool_]
    """(B, T): whether the board has everything that the text speaks of."""
    evidence: NDArray[np.bool_]
    """(B, T, cells): the things that the text speaks of, where it is true; else none."""


def draw_pairs(indices: Sequence[int], grades: dict[Grade, float], seed: int) -> Pairs:
    """Boards of the training stream, each with a twin in which one thing of its question differs.

    The twins are the hard negatives: the same picture, but for the one thing that decides whether
    the question can be answered. Each board brings two texts, its question and a caption.

    Args:
        indices: of the stream, counted from `START`; B is twice their number.
        grades: shares of the perceptual grades.
        seed: of everything that the stream does not decide.
    """
    boards: list[Scene] = []
    texts: list[Text] = []
    for index in indices:
        rng = random.Random(f"{seed}/clip/{index}")
        grade = rng.choices(list(grades), list(grades.values()))[0]
        shown = example("train", START + index, grade=grade)
        twin = _twin(shown, rng)
        boards += [shown.scene, twin]
        asked = question_text(shown.ask)
        if shown.ask.wanted in ("shape", "colour") and rng.random() < 0.5:
            asked = answered(shown.ask, shown.scene.things, rng)
        texts += [asked, caption(rng.choice(boards[-2:]).things, rng)]
    shapes, colours = _arrays(boards)
    evidence = np.stack([_evidence(text, shapes, colours) for text in texts], axis=1)
    return Pairs(
        [board.picture() for board in boards],
        [text.words for text in texts],
        np.asarray(evidence.any(axis=-1)),
        evidence,
    )


def _twin(shown: Example, rng: random.Random) -> Scene:
    """The board with one thing of the evidence changed, moved or taken away."""
    scene, cell = shown.scene, rng.choice(shown.solution.evidence)
    things, looks = dict(scene.things), dict(scene.looks)
    how = rng.random()
    if how < 0.6:
        things[cell] = distractor(things[cell], rng)
    else:
        thing, look = things.pop(cell), looks.pop(cell)
        if how < 0.85:
            free = rng.choice([c for c in CELLS if c not in things and c != cell])
            things[free], looks[free] = thing, look
    return replace(scene, things=dict(sorted(things.items())), looks=looks)


def _arrays(boards: Sequence[Scene]) -> tuple[NDArray[np.int8], NDArray[np.int8]]:
    """Shape and colour of each cell of each board, (B, cells) each, -1 where nothing stands."""
    shapes = np.full((len(boards), len(CELLS)), -1, dtype=np.int8)
    colours = shapes.copy()
    for row, board in enumerate(boards):
        for cell, (shape, colour) in board.things.items():
            shapes[row, cell], colours[row, cell] = SHAPES.index(shape), COLOURS.index(colour)
    return shapes, colours


def _evidence(text: Text, shapes: NDArray[np.int8], colours: NDArray[np.int8]) -> NDArray[np.bool_]:
    """(B, cells): what the text speaks of, on the boards of which it is true."""
    where = np.isin(np.arange(len(CELLS)), text.cells)
    found = [
        where & (shapes == SHAPES.index(s) if s in SHAPES else colours == COLOURS.index(s))
        for s in text.sorts
    ]
    if text.together:
        return np.asarray(np.logical_and.reduce(found))
    everything = np.logical_and.reduce([f.any(axis=-1) for f in found])
    found_any: NDArray[np.bool_] = np.logical_or.reduce(found) & everything[:, None]
    return found_any
