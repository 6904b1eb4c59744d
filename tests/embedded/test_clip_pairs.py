import random

import numpy as np
import pytest

from catts.embedded.clip_pairs import answered, caption, draw_pairs, question_text
from catts.embedded.questions import FAMILIES
from catts.embedded.world import example

GRADES = {1: 0.5, 3: 0.5}


@pytest.fixture(scope="module")
def pairs():
    return draw_pairs(range(18), GRADES, seed=0)


def test_each_board_comes_with_a_twin_and_two_texts(pairs) -> None:
    assert len(pairs.images) == len(pairs.words) == 36
    assert pairs.true.shape == (36, 36)
    assert pairs.evidence.shape == (36, 36, 16)
    assert (pairs.evidence.any(-1) == pairs.true).all()


def test_what_a_question_speaks_of_is_the_world_s_evidence() -> None:
    for index, family in enumerate(FAMILIES):
        shown = example("validation", index, family=family)
        text = question_text(shown.ask)
        found = {
            cell
            for cell in text.cells
            for thing in [shown.scene.things.get(cell, ())]
            if (set(text.sorts) <= set(thing) if text.together else set(text.sorts) & set(thing))
        }
        assert found == set(shown.solution.evidence)


def test_a_twin_differs_in_the_evidence_of_its_question(pairs) -> None:
    decided = 0
    for board in range(0, 36, 2):
        one, other = (np.asarray(pairs.images[i], dtype=int) for i in (board, board + 1))
        changed = np.abs(one - other).max(axis=-1).reshape(4, 28, 4, 28).max(axis=(1, 3)) > 0
        assert 1 <= changed.sum() <= 2
        if pairs.true[board, board]:
            assert (changed.ravel() & pairs.evidence[board, board]).any()
            decided += not pairs.true[board + 1, board]
    assert decided > 3


def test_a_caption_is_true_of_its_board() -> None:
    for seed in range(30):
        shown = example("validation", seed)
        text = caption(shown.scene.things, random.Random(seed))
        assert any(
            set(text.sorts) <= set(shown.scene.things.get(cell, ())) for cell in text.cells
        ), text.words


def test_a_question_with_its_answer_is_true_and_with_another_is_not() -> None:
    shown = example("validation", 0, family="choice")
    told = {}
    for seed in range(60):
        text = answered(shown.ask, shown.scene.things, random.Random(seed))
        assert text.words.startswith(f"{shown.question} ")
        told[text.words.split()[-1]] = any(
            set(text.sorts) <= set(shown.scene.things.get(cell, ())) for cell in text.cells
        )
    right = shown.choices["ABCD".index(shown.answer)]
    assert told.pop(right)
    assert told
    assert not any(told.values())


def test_the_same_indices_give_the_same_pairs() -> None:
    one, other = (draw_pairs(range(3, 6), GRADES, seed=1) for _ in range(2))
    assert one.words == other.words
    assert [i.tobytes() for i in one.images] == [i.tobytes() for i in other.images]
