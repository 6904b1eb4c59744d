import json

import numpy as np
import pytest
from PIL import Image

from catts import cli
from catts.errors import InputError
from catts.perception.clip import load_clip
from catts.perception.key_region import KeyRegion
from catts.perception.looked import account_of, look
from catts.perception.panels import heat_map, region_map, side_by_side
from catts.perception.saliency import Saliency


@pytest.fixture
def looker(tiny_clip):
    return Saliency(load_clip(tiny_clip, "cpu"))


def test_what_was_found_is_told_and_drawn(looker, random_picture, tmp_path):
    picture = random_picture(0, 90, 60)
    out = tmp_path / "panels.png"
    looked = look(looker, picture, "Is there a cup?", ("yes",), share=0.5, t=500, out=out)
    assert looked.texts == ("Is there a cup?", "Is there a cup? yes")
    assert looked.region == looker.region(picture, "Is there a cup?", ("yes",), 0.5)
    assert looked.held >= 0.5
    assert looked.covered == len(looked.region.patches) / 16
    left, top, right, bottom = looked.peak.box
    assert 0 <= left < right <= 90
    assert 0 <= top < bottom <= 60
    panels = Image.open(out)
    assert panels.width > 4 * 90
    assert f"{looked.covered:.1%} of the picture" in account_of(looked)
    with pytest.raises(InputError, match="cannot write"):
        look(looker, picture, "?", (), share=0.5, t=500, out=tmp_path / "no" / "x.png")


def test_the_command_prints_what_it_found(tiny_clip, random_picture, tmp_path, capsys):
    random_picture(0).save(tmp_path / "picture.png")
    with pytest.raises(SystemExit) as ended:
        cli.main([
            "saliency", str(tmp_path / "picture.png"), "Is there a cup?", "--model", str(tiny_clip),
            "--share", "0.4", "--t", "700", "--out", str(tmp_path / "out.png"), "--json",
        ])  # fmt: skip
    assert ended.value.code == 0
    told = json.loads(capsys.readouterr().out)
    assert told["share"] == 0.4
    assert told["t"] == 700
    assert told["region"]["grid"] == [4, 4]
    assert (tmp_path / "out.png").is_file()


def test_the_heat_is_where_the_saliency_is():
    grey = Image.new("RGB", (40, 40), (128, 128, 128))
    saliency = np.zeros((4, 4), dtype=np.float32)
    saliency[1, 2] = 0.5
    heat = np.asarray(heat_map(grey, saliency)).astype(int)
    redness = heat[..., 0] - heat[..., 2]
    assert redness[15, 25] == redness.max() > 100
    assert redness[35, 5] == 0


def test_outside_the_region_it_is_dark():
    white = Image.new("RGB", (40, 40), "white")
    shown = np.asarray(region_map(white, KeyRegion(grid=(4, 4), patches=(0,))))
    assert (shown[:10, :10] == 255).all()
    assert (shown[20:, 20:] == 64).all()


def test_small_pictures_are_magnified_in_whole_steps():
    dot = Image.new("RGB", (28, 28), "white")
    dot.putpixel((0, 0), (0, 0, 0))
    row = np.asarray(side_by_side([("a", dot), ("b", dot)]).convert("L"))
    dark = (row[18:] == 0).sum()
    assert dark == 2 * 8 * 8
