"""Random-weight checkpoints of real architectures, pictures for them, and a stand-in server."""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

sys.path.insert(0, str(Path(__file__).parent / "helpers"))

from standin import standin

__all__ = ["standin"]


@pytest.fixture(scope="session", autouse=True)
def no_cards_of_the_user(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Models have the cards that lie beside them, whatever somebody has calibrated here."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CATTS_CARDS", str(tmp_path_factory.mktemp("no-cards")))
        yield


@pytest.fixture
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    """Requests are sent again after next to no time."""
    monkeypatch.setattr("catts.agents.experts.requests._FIRST_PAUSE_S", 0.001)
    monkeypatch.setattr("catts.agents.experts.requests._JITTER_S", 0.001)
    monkeypatch.setattr("google.genai._api_client._RETRY_INITIAL_DELAY", 0.001)
    monkeypatch.setattr("google.genai._api_client._RETRY_JITTER", 0.001)
    monkeypatch.setattr("openai._base_client.INITIAL_RETRY_DELAY", 0.001)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--kills", type=int, default=3, help="random points at which runs are killed")


@pytest.fixture(scope="session")
def tiny_checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Qwen2.5-VL of 0.1 M random weights with processor and byte tokenizer (265 tokens)."""
    from catts.agents.miniatures.random_model import TINY, random_qwen2_5_vl

    folder = tmp_path_factory.mktemp("tiny-qwen2.5-vl")
    for part in random_qwen2_5_vl(TINY, max_pixels=224 * 224):
        part.save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def tiny_qwen3_checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Qwen3-VL of the same size."""
    from catts.agents.miniatures.random_model import TINY, random_qwen3_vl

    folder = tmp_path_factory.mktemp("tiny-qwen3-vl")
    for part in random_qwen3_vl(TINY, max_pixels=224 * 224):
        part.save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def random_picture() -> Callable[..., Image.Image]:
    """`random_picture(seed, width, height)`: a picture of random pixels."""

    def draw(seed: int = 0, width: int = 84, height: int = 56) -> Image.Image:
        rng = np.random.default_rng(seed)
        return Image.fromarray(rng.integers(0, 256, (height, width, 3), dtype=np.uint8))

    return draw
