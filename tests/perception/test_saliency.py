import threading
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from catts.perception.attention import attention_of
from catts.perception.clip import load_clip
from catts.perception.relevance import rollout
from catts.perception.saliency import Saliency, texts_of
from catts.perception.saliency_store import SaliencyStore

QUESTION = "Is there a cup?"


@pytest.fixture(scope="module")
def clip(tiny_clip):
    return load_clip(tiny_clip, "cpu")


def test_the_attention_is_what_the_tower_computes_by_and_has_gradients(clip, random_picture):
    pixels = clip.pixels([random_picture(0), random_picture(1)])
    plain = clip.model.encode_image(pixels)
    with attention_of(clip.model.visual) as attention:
        seen = clip.model.encode_image(pixels)
    assert torch.allclose(plain, seen, atol=1e-5)
    assert [tuple(a.shape) for a in attention] == [(2, 2, 17, 17)] * 3
    for weights in attention:
        assert torch.allclose(weights.sum(-1), torch.ones(2, 2, 17), atol=1e-5)
    gradients = torch.autograd.grad(seen.sum(), attention)
    assert all(g.abs().sum() > 0 for g in gradients)
    # afterwards the model is as it was
    assert torch.equal(plain, clip.model.encode_image(pixels))
    assert len(attention) == 3


def test_the_gradient_is_the_slope_of_the_score(clip, random_picture):
    """Push one entry of the last layer's attention, and see what the score does."""
    layer = clip.model.visual.transformer.resblocks[-1].attn
    pixels = clip.pixels([random_picture(0)]).double()
    model = clip.model.double()
    try:
        with attention_of(model.visual) as attention:
            score = model.encode_image(pixels).sum()
        gradient = torch.autograd.grad(score, attention)[-1]

        def pushed(step: float) -> float:
            def push(m, args, out):
                x = args[0]
                _, _, value = torch.nn.functional.linear(x, m.in_proj_weight, m.in_proj_bias).chunk(
                    3, dim=-1
                )
                value = value.view(1, 17, 2, 8).transpose(1, 2)
                changed = attention[-1].detach().clone()
                changed[0, 1, 0, 5] += step
                return m.out_proj((changed @ value).transpose(1, 2).reshape(1, 17, 16)), None

            handle = layer.register_forward_hook(push)
            try:
                return model.encode_image(pixels).sum().item()
            finally:
                handle.remove()

        slope = (pushed(1e-4) - pushed(-1e-4)) / 2e-4
        assert slope == pytest.approx(gradient[0, 1, 0, 5].item(), rel=1e-4)
    finally:
        clip.model.float()


def test_the_roll_out_by_hand():
    first = torch.tensor([[[[0.2, 0.8], [0.5, 0.5]]]])
    last = torch.tensor([[[[0.4, 0.6], [1.0, 0.0]]]])
    up, down = torch.tensor([[[[1.0, 2.0], [1.0, 1.0]]]]), torch.tensor([[[[1.0, -3.0], [1, 1]]]])
    # after layer 1: [[1.2, 1.6], [0.5, 1.5]]; the class token's row of layer 2 is [0.4, 0]
    assert rollout([first, last], [up, down]).tolist() == [[pytest.approx(1.6 + 0.4 * 1.6)]]


def test_aligned_patches_are_asked_about_themselves(clip, random_picture):
    aligned = Saliency(replace(clip, aligned_patches=True, fingerprint="aligned"))
    picture = random_picture(0)
    visual = clip.model.visual
    visual.output_tokens = True
    try:
        _, tokens = visual(clip.pixels([picture]))
    finally:
        visual.output_tokens = False
    seen = torch.nn.functional.normalize(tokens @ visual.proj, dim=-1)[0]
    cosine = (seen @ clip.embed([QUESTION])[0]).clamp(min=0).view(4, 4)
    expected = cosine / cosine.sum() if cosine.sum() > 0 else torch.full((4, 4), 1 / 16)
    assert np.allclose(aligned.map(picture, QUESTION), expected, atol=1e-5)


def test_a_text_that_nothing_speaks_for_gives_an_even_map(clip, random_picture, monkeypatch):
    blind = Saliency(clip)
    nothing = np.zeros((4, 4), dtype=np.float32)
    monkeypatch.setattr(blind, "_look", lambda pairs: [nothing.copy() for _ in pairs])
    assert (blind.map(random_picture(0), QUESTION) == 1 / 16).all()


def test_heads_that_disagree_about_a_patch_are_balanced():
    weights = torch.tensor([[[[0.5, 0.5], [1.0, 0.0]], [[0.2, 0.8], [1.0, 0.0]]]])
    gradient = torch.zeros(1, 2, 2, 2)
    gradient[0, :, 0, 1] = torch.tensor([1.0, -0.5])
    assert rollout([weights], [gradient]).item() == pytest.approx((0.5 - 0.4) / 2)


def test_a_map_is_a_distribution_over_the_patches(clip, random_picture):
    saliency = Saliency(clip)
    wide = saliency.map(random_picture(0, 90, 30), QUESTION)
    assert wide.shape == (4, 4)
    assert wide.dtype == np.float32
    assert wide.min() >= 0
    assert wide.sum() == pytest.approx(1, abs=1e-5)
    assert not wide.flags.writeable


def test_pictures_in_a_batch_do_not_see_each_other(clip, random_picture):
    pictures = [random_picture(seed) for seed in range(3)]
    texts = [texts_of(f"Is there {thing}?") for thing in ("a cup", "a dog", "a red star")]
    together = Saliency(clip).maps(pictures, texts)
    alone = [Saliency(clip).maps([p], [t])[0] for p, t in zip(pictures, texts, strict=True)]
    assert np.allclose(together, alone, atol=1e-5)
    assert not np.allclose(together[0], together[1], atol=1e-3)


def test_of_a_question_with_choices_the_question_counts_half(clip, random_picture):
    picture, saliency = random_picture(0), Saliency(clip)
    texts = texts_of(QUESTION, ("yes", "no"))
    assert texts == (QUESTION, f"{QUESTION} yes", f"{QUESTION} no")
    question, yes, no = saliency._look([(picture, text) for text in texts])
    mixed = question + (yes + no) / 2
    found = saliency.map(picture, QUESTION, ("yes", "no"))
    assert np.allclose(found, mixed / mixed.sum(), atol=1e-6)


def test_what_was_looked_at_once_is_kept_also_for_another_process(
    clip, random_picture, tmp_path, monkeypatch
):
    picture = random_picture(0)
    first = Saliency(clip, SaliencyStore(tmp_path)).map(picture, QUESTION)
    other = Saliency(clip, SaliencyStore(tmp_path))
    monkeypatch.setattr(other, "_look", lambda pairs: pytest.fail("looked again"))
    assert np.array_equal(other.map(picture, QUESTION), first)
    assert [path.suffix for path in tmp_path.iterdir()] == [".npy"]
    with pytest.raises(pytest.fail.Exception):
        other.map(picture, "Another question?")


def test_a_broken_file_of_the_store_is_computed_again(clip, random_picture, tmp_path):
    picture = random_picture(0)
    first = Saliency(clip, SaliencyStore(tmp_path)).map(picture, QUESTION)
    next(tmp_path.iterdir()).write_bytes(b"half a file")
    again = Saliency(clip, SaliencyStore(tmp_path)).map(picture, QUESTION)
    assert np.array_equal(again, first)


def test_threads_get_what_they_would_get_alone(clip, random_picture):
    pictures = [random_picture(seed) for seed in range(6)]
    alone = [Saliency(clip).map(p, QUESTION) for p in pictures]
    shared, found = Saliency(clip), {}
    threads = [
        threading.Thread(target=lambda i=i: found.update({i: shared.map(pictures[i], QUESTION)}))
        for i in range(6)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(np.allclose(found[i], alone[i], atol=1e-6) for i in range(6))


def test_pictures_and_texts_come_in_pairs(clip, random_picture):
    with pytest.raises(ValueError, match="1 pictures"):
        Saliency(clip).maps([random_picture(0)], [])
    with pytest.raises(ValueError, match="at least one text"):
        Saliency(clip).maps([random_picture(0)], [()])


def test_any_size_of_picture_is_looked_at_whole(clip):
    """What stands at the edge of a wide picture counts; open_clip's default would cut it off."""
    wide = Image.new("RGB", (200, 40), "white")
    changed = wide.copy()
    changed.paste("black", (0, 0, 20, 40))
    saliency = Saliency(clip)
    assert not np.allclose(saliency.map(wide, QUESTION), saliency.map(changed, QUESTION))
