import random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from catts.embedded.drawing import SIDE, cell_box, is_board
from catts.embedded.questions import FAMILIES, FREE_FAMILIES, solve
from catts.embedded.scene import GRADES, misread
from catts.embedded.world import example
from catts.images import image_digest

INDICES = st.integers(0, 10**6)
STREAMS = st.sampled_from(["train", "validation", "test"])


@given(STREAMS, INDICES)
def test_an_example_is_the_same_every_time(stream, index):
    a, b = example(stream, index), example(stream, index)
    assert (a.question, a.choices, a.answer, a.solution) == (
        b.question,
        b.choices,
        b.answer,
        b.solution,
    )
    assert image_digest(a.image) == image_digest(b.image)


@given(STREAMS, INDICES)
def test_the_truth_never_needs_a_guess(stream, index):
    made = example(stream, index)
    things = made.scene.things
    solutions = {solve(made.ask, things, random.Random(seed)).answer for seed in range(5)}
    assert solutions == {made.answer}


@given(STREAMS, INDICES)
def test_evidence_is_what_decides_the_answer(stream, index):
    """Without its evidence a question loses its chain; the rest of the board may be anything."""
    made = example(stream, index)
    assert made.evidence
    kept = {c: t for c, t in made.scene.things.items() if c in made.solution.evidence}
    assert solve(made.ask, kept, random.Random(0)).answer == made.answer
    for left, top, right, bottom in made.evidence:
        assert 0 <= left < right <= SIDE
        assert 0 <= top < bottom <= SIDE


@given(STREAMS, INDICES)
def test_choices_hold_the_answer_once(stream, index):
    made = example(stream, index)
    if made.family in FREE_FAMILIES:
        assert made.choices == ()
        return
    assert len(set(made.choices)) == 4
    named = made.choices["ABCD".index(made.answer)]
    assert f" {named}" in f" {made.solution.chain}"


def test_streams_share_no_picture():
    seen = {
        stream: {image_digest(example(stream, i).image) for i in range(150)}
        for stream in ("train", "validation", "test")
    }
    assert sum(map(len, seen.values())) == len(set.union(*seen.values())) == 450


def test_grades_and_families_alternate_evenly():
    examples = [example("test", i) for i in range(len(GRADES) * len(FAMILIES) * 3)]
    for grade in GRADES:
        for family in FAMILIES:
            assert sum(e.grade == grade and e.family == family for e in examples) == 3


def test_harder_grades_show_less_contrast():
    def contrast(grade):
        looks = [x for i in range(60) for x in example("test", i, grade=grade).scene.looks.values()]
        return sum(look.contrast * look.radius for look in looks) / len(looks)

    assert contrast(1) > 1.5 * contrast(2) > 1.5 * 1.5 * contrast(3)


def test_a_blind_guess_gains_little():
    """The most frequent answer of a family must not be worth much: the prior is balanced."""
    for family in FAMILIES:
        answers = [example("train", i, family=family).answer for i in range(600)]
        top = max(answers.count(a) for a in set(answers)) / len(answers)
        assert top < 0.42, (family, top)


@given(INDICES, st.floats(0, 1), st.integers(0, 2**32))
def test_a_misread_board_still_gets_an_answer(index, rate, seed):
    made = example("train", index)
    rng = random.Random(seed)
    seen = misread(made.scene.things, rate, rng)
    assert set(seen) <= set(made.scene.things)
    solution = solve(made.ask, seen, rng)
    assert solution.answer
    if rate == 0:
        assert seen == made.scene.things


def test_cell_boxes_tile_the_picture():
    area = sum((r - left) * (b - t) for left, t, r, b in map(cell_box, range(16)))
    assert area == SIDE * SIDE


def test_a_negative_index_is_refused():
    with pytest.raises(ValueError, match="negative"):
        example("test", -1)


def test_the_benchmark_is_what_it_was():
    """A change here changes every number in the documents.

    From the first release on, raise WORLD_VERSION with it.
    """
    import hashlib

    digest = hashlib.sha256()
    for i in range(36):
        made = example("test", i)
        digest.update(f"{made.question}{made.choices}{made.answer}{made.solution.chain}".encode())
        digest.update(made.image.tobytes())
    assert digest.hexdigest()[:16] == "491eea4552c4e6a8"


@given(STREAMS, INDICES)
def test_every_picture_of_the_world_is_a_board(stream, index):
    assert is_board(example(stream, index).image)


@pytest.mark.parametrize(
    "picture",
    [
        Image.linear_gradient("L").resize((SIDE, SIDE)),
        Image.new("RGB", (SIDE, SIDE), "red"),
        example("test", 0).image.resize((224, 224)),
        Image.effect_noise((SIDE, SIDE), 80),
    ],
    ids=["gradient", "red", "another size", "noise"],
)
def test_other_pictures_are_none(picture):
    assert not is_board(picture)
