import json

import pytest
from safetensors.torch import load_file

from catts.embedded import clip_train
from catts.embedded.clip_model import build_tokenizer
from catts.embedded.clip_train import CELL_OF_PATCH, ClipRecipe, train_clip
from catts.embedded.drawing import cell_box
from catts.embedded.world import example
from catts.errors import InputError
from catts.perception.saliency import Saliency

pytestmark = pytest.mark.slow

TINY = ClipRecipe(steps=6, boards=4, warmup=2)


@pytest.fixture(autouse=True)
def small_tokenizer(monkeypatch):
    tokenizer = build_tokenizer(lessons=300)
    monkeypatch.setattr(clip_train, "build_tokenizer", lambda: tokenizer)


def weights(folder):
    return load_file(folder / "open_clip_model.safetensors")


def test_a_killed_run_resumes_to_the_same_model(tmp_path, monkeypatch):
    whole = train_clip(tmp_path / "whole", recipe=TINY, checkpoint_every=2)

    def stop(run):
        if run.done == 5:
            raise KeyboardInterrupt
        return step(run)

    step = clip_train._Run._step
    with monkeypatch.context() as patch:
        patch.setattr(clip_train._Run, "_step", stop)
        with pytest.raises(KeyboardInterrupt):
            train_clip(tmp_path / "killed", recipe=TINY, checkpoint_every=2)
    resumed = train_clip(tmp_path / "killed", recipe=TINY, checkpoint_every=2)
    one, other = weights(whole), weights(resumed)
    assert one.keys() == other.keys()
    assert all((one[name] == other[name]).all() for name in one)
    assert json.loads((whole / "recipe.json").read_text())["steps"] == 6
    # a finished run is not trained again, and is no other recipe's
    assert train_clip(tmp_path / "whole", recipe=TINY) == whole
    with pytest.raises(InputError, match="another recipe or seed"):
        train_clip(tmp_path / "whole", recipe=TINY, seed=1)
    # open_clip loads it like any other
    shown = example("test", 0)
    saliency = Saliency.load(whole, device="cpu").map(shown.image, shown.question)
    assert saliency.shape == (8, 8)


def test_a_patch_lies_in_its_cell():
    for patch, cell in enumerate(CELL_OF_PATCH):
        left, top, right, bottom = cell_box(cell)
        x, y = patch % 8 * 14, patch // 8 * 14
        assert left <= x < right
        assert top <= y < bottom
