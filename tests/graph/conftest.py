import sys
from pathlib import Path

import pytest
from PIL import Image

sys.path.insert(0, str(Path(__file__).parent))  # for `scripted_models`


@pytest.fixture
def picture() -> Image.Image:
    return Image.new("RGB", (24, 16), "teal")
