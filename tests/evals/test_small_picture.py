"""Small copies of pictures for logs and pages: their bytes, their shape, their noise."""

import io

import numpy as np
import pytest
from PIL import Image

from catts.errors import ReportError
from catts.evals.small_picture import data_uri, thumbnail


@pytest.fixture
def picture() -> Image.Image:
    return Image.linear_gradient("L").resize((48, 32)).convert("RGB")


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


def test_an_address_names_the_kind_of_the_picture(picture):
    assert data_uri(thumbnail(picture)).startswith("data:image/png;base64,")
    with pytest.raises(ReportError, match="neither PNG nor JPEG"):
        data_uri(b"<svg onload=alert(1)>")
