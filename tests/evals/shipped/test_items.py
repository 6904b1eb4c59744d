import numpy as np
import pytest

from catts.evals.shipped.items import load_items, shuffled
from catts.images import image_digest


@pytest.mark.parametrize("n", [72, 100])
def test_shuffled_pictures_belong_to_another_question_of_the_same_kind(n):
    items = load_items("test", n)
    for item, image in zip(items, shuffled(items), strict=True):
        others = [i for i in items if image_digest(i.example.image) == image_digest(image)]
        assert len(others) == 1
        other = others[0].example
        assert other.id != item.example.id
        assert (other.family, other.grade) == (item.example.family, item.example.grade)


def test_every_picture_is_used_once():
    items = load_items("validation", 50)
    digests = {image_digest(image) for image in shuffled(items)}
    assert digests == {image_digest(i.example.image) for i in items}


def test_one_question_has_no_shuffled_control():
    with pytest.raises(ValueError, match="two"):
        shuffled(load_items("test", 1))


def test_key_region_noise_stays_inside_the_evidence():
    item = load_items("test", 1)[0]
    clean = np.asarray(item.example.image)
    noised = np.asarray(item.noised(700, key_region=True))
    changed = (clean != noised).any(axis=-1)
    inside = np.zeros_like(changed)
    for left, top, right, bottom in item.example.evidence:
        inside[top:bottom, left:right] = True
    assert not changed[~inside].any()
    assert changed[inside].mean() > 0.9
    assert (np.asarray(item.noised(700, key_region=False)) != clean).any(axis=-1).mean() > 0.9


def test_noise_repeats():
    first, second = load_items("test", 1)[0], load_items("test", 1)[0]
    assert first.noised(500, key_region=True) == second.noised(500, key_region=True)


def test_items_start_where_they_are_told():
    assert [i.example.index for i in load_items("train", 3, start=7)] == [7, 8, 9]
    assert {i.example.grade for i in load_items("train", 7, grade=2)} == {2}
