from PIL import Image
from rich.console import Console

from catts.evals.thumbnail import SIDE, thumbnail


def test_a_picture_is_drawn_in_its_colours():
    picture = Image.new("RGB", (112, 112), (10, 20, 30))
    picture.paste((200, 0, 0), (0, 56, 112, 112))
    text = thumbnail(picture)
    lines = text.plain.splitlines()
    assert len(lines) == SIDE // 2
    assert {len(line) for line in lines} == {SIDE}
    console = Console(force_terminal=True, color_system="truecolor", width=80)
    with console.capture() as capture:
        console.print(text)
    shown = capture.get()
    assert "38;2;10;20;30" in shown
    assert "48;2;200;0;0" in shown
