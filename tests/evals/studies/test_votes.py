"""A vote taken apart: grades by key, majorities, tallies over some modules, and what is missing."""

from typing import Any

import pytest
from asked import Told, item, run, said
from scripted_models import ScriptedExpert

from catts.errors import EngineError, RoleError
from catts.evals.studies.votes import Voted, voted
from catts.names import Source

ALL: tuple[Source, ...] = ("sample", "voter", "critic", "self_check")


async def vote(*answers: str, gold: str = "3", expert: Any = None, **options: Any) -> Voted:
    told = Told({"one": [said(a, 2.0) for a in answers]}, **options)
    return await run(item(gold=gold), told, expert, samples=len(answers))


async def test_samples_modules_and_the_run_are_graded_by_the_item_s_answer() -> None:
    made = await vote("3", "4", "3", "", reanswer="5", contrast="4")
    assert made.keys == ["3", "4", "3", None]
    assert made.hits == [1.0, 0.0, 1.0, 0.0]
    assert made.grades == {"3": True, "4": False, "5": False}
    assert (made.right("3"), made.right("5"), made.right(None)) == (1.0, 0.0, 0.0)
    assert made.majority() == 1.0
    # without replacement, of 6 pairs: 3 3, four with one 3, and 4 alone; 3 4 is a tie twice
    assert made.majority(2) == pytest.approx((1 + 2 * 1 + 2 * 0.5) / 6)
    assert made.majority(1) == pytest.approx(0.5)
    assert made.winner(("sample",)) == 1.0
    assert made.winner(("critic",)) == made.winner(("self_check",)) == made.winner(()) == 0.0
    assert made.winner(ALL) == made.answered


async def test_the_voter_s_word_can_turn_the_tally() -> None:
    made = await vote("3", "4", "4", expert=ScriptedExpert(votes={"3": 1.0, "4": 0.0}))
    assert (made.winner(("sample",)), made.winner(("voter",))) == (0.0, 1.0)
    assert made.winner(("sample", "voter")) == 1.0, "1/3 + 0.5 > 2/3"


async def test_two_units_are_two_answers_each_graded_by_its_own_words() -> None:
    made = await vote("5 minutes", "5 hours", "5 minutes", gold="5 hours", reanswer="5 hours")
    first, second, third = made.keys
    assert first == third != second
    assert made.hits == [0.0, 1.0, 0.0]
    assert (made.majority(), made.winner(("critic",))) == (0.0, 1.0)


async def test_a_run_without_an_answer_is_wrong() -> None:
    made = await vote("", "")
    assert made.trace.answer is None
    assert (made.hits, made.majority(), made.winner(ALL), made.answered) == ([0, 0], 0, 0, 0)


async def test_a_failed_role_leaves_a_vote_without_its_ballots() -> None:
    silent = ScriptedExpert(fail={"voter": RoleError("voter", "no reply")})
    made = await vote("3", "4", "3", expert=silent)
    assert made.trace.failed_nodes == ("voter",)
    assert (made.winner(("voter",)), made.winner(ALL)) == (0.0, 1.0)


async def test_a_failed_sampler_leaves_nothing() -> None:
    made = await vote("3", fail={"sample": EngineError("out of memory")})
    assert (made.hits, made.majority(), made.majority(4), made.answered) == ([], 0, 0, 0)


async def test_the_self_check_s_own_answer_is_graded_too() -> None:
    made = await vote("4", "4", contrast="3")
    assert made.grades == {"4": False, "3": True}
    assert made.winner(("self_check",)) == 1.0


async def test_items_and_traces_are_as_many() -> None:
    made = await vote("3")
    assert voted([made.item], [made.trace]) == [made]
    with pytest.raises(ValueError, match="shorter"):
        voted([made.item, made.item], [made.trace])
