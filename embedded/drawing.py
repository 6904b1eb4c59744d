"""Drawing the world's pictures: anti-aliased shapes on a grid of cells, with numpy alone.

A cell is exactly one visual token of the embedded models (28 x 28 px: patch 14, merge 2). Shapes
are signed distance functions, so size and softness are continuous and a picture is the same on
every machine.
"""

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray
from PIL import Image

GRID = 4
"""Rows and columns of cells."""
CELL = 28
"""Side of a cell in pixels."""
SIDE = GRID * CELL
"""Side of a picture in pixels."""

Shape = Literal["circle", "hexagon", "square", "diamond", "triangle", "star"]
Colour = Literal["red", "orange", "yellow", "green", "blue", "purple"]
SHAPES: tuple[Shape, ...] = get_args(Shape)
COLOURS: tuple[Colour, ...] = get_args(Colour)

_RGB: dict[Colour, tuple[float, float, float]] = {
    "red": (215, 40, 45),
    "orange": (240, 135, 30),
    "yellow": (225, 205, 40),
    "green": (40, 155, 70),
    "blue": (45, 85, 215),
    "purple": (140, 55, 175),
}

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Look:
    """How one object appears; everything that makes it easy or hard to see."""

    radius: float
    """Pixels from the centre to the outline's farthest point."""
    contrast: float
    """Share of the object's own colour; the rest is the background's. In (0, 1]."""
    softness: float
    """Width in pixels over which the edge fades; 0.5 is a crisp anti-aliased edge."""
    dx: float
    dy: float
    """Offset of the centre from the cell's centre, in pixels."""
    tint: tuple[float, float, float]
    """Added to the colour, per channel, in units of 0..255."""
    cover: float
    """Share of the object's height hidden by a bar of the background; 0 when nothing hides it."""
    cover_angle: float
    """Direction from which the bar covers it, in radians."""


def draw(
    objects: dict[int, tuple[Shape, Colour, Look]],
    background: float,
    specks: list[tuple[float, float, float, float]],
) -> Image.Image:
    """A picture of SIDE x SIDE pixels, RGB.

    Args:
        objects: cell index (row * GRID + column) to what stands in it.
        background: grey level of the empty board, 0..255.
        specks: distracting dots as (x, y, radius, grey level), drawn under the objects.
    """
    canvas = np.full((SIDE, SIDE, 3), background, dtype=np.float64)
    y, x = np.mgrid[0:SIDE, 0:SIDE] + 0.5
    for speck_x, speck_y, radius, grey in specks:
        x0, y0 = int(max(0, speck_x - 4)), int(max(0, speck_y - 4))
        window = (slice(y0, y0 + 9), slice(x0, x0 + 9))
        mask = _coverage(np.hypot(x[window] - speck_x, y[window] - speck_y) - radius, 0.5)
        canvas[window] += (grey - canvas[window]) * mask[..., None]
    for cell, (shape, colour, look) in objects.items():
        row, column = divmod(cell, GRID)
        window = np.s_[row * CELL : (row + 1) * CELL, column * CELL : (column + 1) * CELL]
        px = x[:CELL, :CELL] - CELL / 2 - look.dx
        py = y[:CELL, :CELL] - CELL / 2 - look.dy
        mask = _coverage(_distance(shape, px, py, look.radius), look.softness) * look.contrast
        if look.cover > 0:
            along = px * np.cos(look.cover_angle) + py * np.sin(look.cover_angle)
            mask *= _coverage(along - look.radius * (1 - 2 * look.cover), 0.5)
        rgb = np.clip(np.array(_RGB[colour]) + look.tint, 0, 255)
        canvas[window] += (rgb - canvas[window]) * mask[..., None]
    return Image.fromarray(np.rint(np.clip(canvas, 0, 255)).astype(np.uint8), "RGB")


def cell_box(cell: int) -> tuple[int, int, int, int]:
    """Pixel box (left, top, right, bottom; right and bottom exclusive) of a cell."""
    row, column = divmod(cell, GRID)
    return (column * CELL, row * CELL, (column + 1) * CELL, (row + 1) * CELL)


def _coverage(distance: Floats, softness: float) -> Floats:
    """Share of each pixel inside an outline, from the signed distance to it (negative inside)."""
    return np.clip(0.5 - distance / (2 * softness), 0.0, 1.0)


def _distance(shape: Shape, x: Floats, y: Floats, radius: float) -> Floats:
    if shape == "circle":
        return np.hypot(x, y) - 0.92 * radius
    if shape == "star":
        return _star(x, y, radius)
    sides, turn = {"hexagon": (6, 0.0), "square": (4, np.pi / 4), "diamond": (4, 0.0)}.get(
        shape, (3, -np.pi / 2)
    )
    angle = np.arctan2(y, x) - turn
    sector = 2 * np.pi / sides
    folded = (angle % sector) - sector / 2
    outline: Floats = np.hypot(x, y) * np.cos(folded) - radius * np.cos(sector / 2)
    return outline


def _star(x: Floats, y: Floats, radius: float) -> Floats:
    """Five-pointed star with a point up: distance to the nearer edge of the folded tenth."""
    length = np.hypot(x, y)
    sector = 2 * np.pi / 5
    angle = np.abs((np.arctan2(y, x) + np.pi / 2 + sector / 2) % sector - sector / 2)
    px, py = length * np.cos(angle), length * np.sin(angle)
    inner = 0.42 * radius
    ix, iy = inner * np.cos(np.pi / 5), inner * np.sin(np.pi / 5)
    ex, ey = ix - radius, iy
    distance: Floats = ((px - radius) * ey - py * ex) / np.hypot(ex, ey)
    return distance


FOREIGN_PICTURE = (
    "The embedded models read only boards of their own world, and this picture is none: the answer "
    "means nothing. For pictures like this give a real model: --base Qwen/Qwen2.5-VL-3B-Instruct"
)
"""What to tell a person who shows the embedded models something else."""


def is_board(image: Image.Image) -> bool:
    """Whether a picture looks like one of this world: its size, and a plain light background.

    A board that was noised all over is none: it does not look like one any more.
    """
    if image.size != (SIDE, SIDE):
        return False
    pixels = np.asarray(image.convert("RGB"), dtype=np.float64)
    ground = np.median(pixels.reshape(-1, 3), axis=0)
    plain = np.abs(pixels - ground).max(axis=-1) < 12
    return bool(np.ptp(ground) < 6 and ground.min() > 210 and plain.mean() > 0.4)
