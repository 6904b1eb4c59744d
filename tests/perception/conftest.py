import json
from collections.abc import Callable
from pathlib import Path

import pytest

CONFIG = {
    "model_cfg": {
        "embed_dim": 16,
        "vision_cfg": {
            "image_size": 32,
            "patch_size": 8,
            "width": 16,
            "layers": 3,
            "head_width": 8,
        },
        "text_cfg": {"context_length": 12, "width": 16, "heads": 2, "layers": 1},
    },
    "preprocess_cfg": {"mean": [0.5, 0.5, 0.5], "std": [0.5, 0.5, 0.5]},
}


def _save(folder: Path, **changes: object) -> Path:
    """A CLIP of random weights; `changes` are of its vision tower's configuration."""
    import torch
    from open_clip import CLIP
    from safetensors.torch import save_file

    config = json.loads(json.dumps(CONFIG))
    config["model_cfg"]["vision_cfg"] |= changes
    torch.manual_seed(0)
    folder.mkdir(exist_ok=True)
    model = CLIP(**config["model_cfg"])
    (folder / "open_clip_config.json").write_text(json.dumps(config), "utf-8")
    save_file(model.state_dict(), folder / "open_clip_model.safetensors")
    return folder


@pytest.fixture(scope="session")
def tiny_clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A CLIP of random weights: 32 x 32 pixels, 4 x 4 patches, three layers."""
    return _save(tmp_path_factory.mktemp("tiny-clip"))


@pytest.fixture
def save_clip() -> Callable[..., Path]:
    """`save_clip(folder, **changes)` of the same model."""
    return _save
