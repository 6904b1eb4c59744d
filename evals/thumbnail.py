"""A picture in a terminal: two pixels a character, the upper one in its colour on the lower one."""

from PIL.Image import Image, Resampling
from rich.color import Color
from rich.style import Style
from rich.text import Text

SIDE = 40
"""Pixels of the thumbnail's side: columns, and twice its lines."""


def thumbnail(image: Image) -> Text:
    """The picture, scaled to SIDE x SIDE pixels, as SIDE columns and SIDE / 2 lines."""
    small = image.convert("RGB").resize((SIDE, SIDE), Resampling.BOX)
    data = small.tobytes()
    pixels = [Color.from_rgb(*data[i : i + 3]) for i in range(0, len(data), 3)]
    text = Text()
    for row in range(0, SIDE, 2):
        for column in range(SIDE):
            upper, lower = (pixels[r * SIDE + column] for r in (row, row + 1))
            text.append("▀", Style(color=upper, bgcolor=lower))
        text.append("\n")
    text.rstrip()
    return text
