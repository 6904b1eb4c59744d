import json

import pytest
import torch

from catts.errors import SaliencyError
from catts.perception.clip import load_clip


def test_a_folder_is_loaded_in_evaluation_mode_without_gradients(tiny_clip):
    clip = load_clip(tiny_clip, "cpu")
    assert not clip.model.training
    assert not any(p.requires_grad for p in clip.model.parameters())
    assert clip.grid == (4, 4)
    assert clip.embed(["a cup", "two cups"]).norm(dim=-1) == pytest.approx(torch.ones(2))


def test_the_configuration_says_whether_patches_are_aligned(tmp_path, save_clip):
    folder = save_clip(tmp_path / "clip")
    assert not load_clip(folder, "cpu").aligned_patches
    config = json.loads((folder / "open_clip_config.json").read_text())
    config["catts"] = {"aligned_patches": True}
    (folder / "open_clip_config.json").write_text(json.dumps(config))
    assert load_clip(folder, "cpu").aligned_patches


def test_the_fingerprint_is_of_the_content(tiny_clip, tmp_path, save_clip):
    same = save_clip(tmp_path / "same")
    other = save_clip(tmp_path / "other", layers=2)
    marks = [load_clip(folder, "cpu").fingerprint for folder in (tiny_clip, same, other)]
    assert marks[0] == marks[1] != marks[2]


def test_a_name_of_open_clip_s_list_takes_a_file_of_weights(tmp_path):
    from open_clip import create_model
    from safetensors.torch import save_file

    file = tmp_path / "weights.safetensors"
    save_file(create_model("ViT-S-32-alt").state_dict(), file)
    clip = load_clip(f"ViT-S-32-alt:{file}", "cpu")
    assert clip.grid == (7, 7)


@pytest.mark.parametrize(
    ("spec", "told"),
    [
        ("ViT-B-99:laion", "no saliency model"),
        ("ViT-B-32", "NAME:PRETRAINED"),
        ("ViT-B-32:no-such-tag", "its tags are"),
        ("nowhere", "no saliency model"),
    ],
)
def test_a_spec_that_names_nothing_says_what_to_give(spec, told):
    with pytest.raises(SaliencyError, match=told):
        load_clip(spec, "cpu")


def test_weights_that_can_run_code_are_refused(tmp_path, save_clip):
    file = tmp_path / "weights.pt"
    torch.save({}, file)
    with pytest.raises(SaliencyError, match="only safetensors"):
        load_clip(f"ViT-B-32:{file}", "cpu")
    folder = save_clip(tmp_path / "clip")
    (folder / "open_clip_model.safetensors").rename(folder / "open_clip_model.bin")
    with pytest.raises(SaliencyError, match="safetensors"):
        load_clip(folder, "cpu")


def test_a_folder_of_something_else_is_refused(tmp_path):
    with pytest.raises(SaliencyError, match="open_clip_config"):
        load_clip(tmp_path, "cpu")


def test_a_broken_folder_is_told_in_one_line(tmp_path, save_clip):
    folder = save_clip(tmp_path / "clip")
    config = json.loads((folder / "open_clip_config.json").read_text())
    config["model_cfg"]["embed_dim"] = 8
    (folder / "open_clip_config.json").write_text(json.dumps(config))
    with pytest.raises(SaliencyError, match="open_clip cannot load") as caught:
        load_clip(folder, "cpu")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "changes", [{"pool_type": "avg"}, {"attentional_pool": True}, {"qk_norm": True}]
)
def test_a_tower_that_shows_no_attention_of_a_class_token_is_refused(tmp_path, changes, save_clip):
    with pytest.raises(SaliencyError, match="class token"):
        load_clip(save_clip(tmp_path / "clip", **changes), "cpu")


def test_a_device_that_is_not_there_is_refused(tiny_clip):
    with pytest.raises(SaliencyError, match="cannot use"):
        load_clip(tiny_clip, "nonsense")
