import io

import numpy as np
import pytest
from PIL import Image

from catts.errors import ReportError
from catts.evals.pages.pictures import (
    BUDGET,
    PictureFolder,
    data_uri,
    share_of_budget,
    thumbnail,
)
from catts.images import ImageStore, image_digest


def _opened(data: bytes) -> Image.Image:
    return Image.open(io.BytesIO(data))


def test_a_small_drawing_stays_as_it_is(picture):
    opened = _opened(thumbnail(picture))
    assert opened.size == picture.size
    assert opened.format == "PNG"


def test_a_large_picture_becomes_small_and_keeps_its_shape(random_picture):
    data = thumbnail(random_picture(width=1600, height=800), most=20_000)
    assert len(data) <= 20_000
    width, height = _opened(data).size
    assert width == 2 * height


def test_a_picture_that_will_not_be_small_enough_is_as_small_as_it_gets(random_picture):
    assert max(_opened(thumbnail(random_picture(width=900, height=900), most=10)).size) == 64


def test_scaling_takes_no_noise_away(random_picture):
    noise = random_picture(width=960, height=960)
    spread = np.asarray(noise).std()
    assert np.asarray(_opened(thumbnail(noise, noised=True))).std() > 0.8 * spread
    assert np.asarray(_opened(thumbnail(noise))).std() < 0.7 * spread


def test_the_budget_is_shared():
    assert share_of_budget(0) == share_of_budget(10)
    assert share_of_budget(4000) * 4000 <= BUDGET
    assert share_of_budget(10**9) > 0


def test_an_address_names_the_kind_of_the_picture(picture):
    assert data_uri(thumbnail(picture)).startswith("data:image/png;base64,")
    with pytest.raises(ReportError, match="neither PNG nor JPEG"):
        data_uri(b"<svg onload=alert(1)>")


def test_a_folder_is_a_stores_or_any(tmp_path, picture):
    ImageStore(tmp_path / "store").put(picture)
    (tmp_path / "any").mkdir()
    picture.save(tmp_path / "any" / "photo.png")
    (tmp_path / "any" / "broken.png").write_text("no picture")
    digest = image_digest(picture)
    for name in ("store", "any"):
        folder = PictureFolder(tmp_path / name)
        found = folder.get(digest)
        assert found is not None
        assert image_digest(found) == digest
        assert folder.get("0" * 64) is None
        assert folder.get("../photo") is None


def test_no_such_folder(tmp_path):
    with pytest.raises(ReportError, match="--images"):
        PictureFolder(tmp_path / "none")
