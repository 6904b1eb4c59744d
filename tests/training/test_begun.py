"""What a folder was begun with, and what may not change on the way."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from datasets import Dataset
from PIL import Image

from catts.errors import InputError
from catts.training.arguments import parsed
from catts.training.begun import Begun, begin, begun_with
from catts.training.dataset_source import DatasetSource
from catts.training.embedded_source import EmbeddedSource

BASE: Any = SimpleNamespace(fingerprint="base")


def begun(*more: str, adapter: bool = False, source: Any = None) -> Begun:
    run, config, _ = parsed("embedded", more)
    return begun_with(BASE, source or EmbeddedSource(4), run, config, adapter=adapter)


@pytest.mark.parametrize(
    ("now", "words"),
    [
        (begun("--reward_weights", "4", "1"), r"reward_weights None \(now 4.0 1.0\)"),
        (begun("--temperature", "0.7"), r"temperature 1.0 \(now 0.7\)"),
        (begun("--loss_type", "grpo"), r"loss_type dapo \(now grpo\)"),
        (begun(adapter=True), r"adapter False \(now True\)"),
        (begun(source=EmbeddedSource(8)), "other data"),
    ],
    ids=lambda given: given if isinstance(given, str) else "",
)
def test_another_run_is_refused(tmp_path: Path, now: Begun, words: str) -> None:
    begin(tmp_path / "run", begun())
    begin(tmp_path / "run", begun("--learning_rate", "1e-6", "--max_steps", "999"))
    with pytest.raises(InputError, match=f"was begun with {words}"):
        begin(tmp_path / "run", now)


def test_weights_of_a_run_are_read_back(tmp_path: Path) -> None:
    for _ in range(2):
        begin(tmp_path, begun("--reward_weights", "4", "1"))


def pairs(colour: str) -> DatasetSource:
    picture = Image.new("RGB", (28, 28))
    row = {"image": picture, "question": "?", "answer": "1"}
    rows = [row | {"twin": Image.new("RGB", (28, 28), colour)}]
    return DatasetSource(Dataset.from_list(rows), "pairs", quiet=True)


def test_pairs_are_others_when_their_twins_are(tmp_path: Path) -> None:
    begin(tmp_path, begun(source=pairs("blue")))
    begin(tmp_path, begun(source=pairs("blue")))
    with pytest.raises(InputError, match="was begun with other data"):
        begin(tmp_path, begun(source=pairs("green")))


def test_the_noise_of_pairs_is_their_own() -> None:
    said = begun(source=pairs("blue")).settings
    assert said["noise_low"] is said["noise_high"] is said["region_share"] is None
    assert begun().settings["noise_low"] == 400
