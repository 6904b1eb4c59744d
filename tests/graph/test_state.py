"""A fresh state empties every channel, and the channels that gather keep all in one order."""

import itertools

import pytest
from langgraph.types import Overwrite
from pydantic import ValidationError

from catts.graph.ledger import Ballot
from catts.graph.state import Input, State, fresh, gather
from catts.question import Question

QUESTION = Question(text="?")


def test_a_fresh_state_is_that_of_a_question_just_asked() -> None:
    update = fresh("f" * 64)
    assert {"question", *update} == State.model_fields.keys()
    gathered = {name for name, value in update.items() if isinstance(value, Overwrite)}
    assert gathered == {"ballots", "route", "runs", "failures"}, "what would else be added to"
    plain = {k: v.value if isinstance(v, Overwrite) else v for k, v in update.items()}
    assert State(question=QUESTION, **plain) == State(
        question=QUESTION, context_fingerprint="f" * 64
    )


def test_two_fresh_states_share_nothing() -> None:
    fresh("f")["votes"]["3"] = 1.0
    assert fresh("f")["votes"] == {}


def test_gathered_items_have_one_order_and_repeat() -> None:
    ballots = [
        Ballot(source=source, answer=answer, weight=0.5, reason="")  # type: ignore[arg-type]
        for source, answer in (("critic", "3"), ("sample", "4"), ("sample", "3"), ("sample", "3"))
    ]
    for left, right in ((ballots, []), (ballots[:1], ballots[1:]), (ballots[3:], ballots[:3])):
        for order in itertools.permutations(right):
            told = [(b.source, b.answer) for b in gather(left, order)]
            assert told == [("sample", "3"), ("sample", "3"), ("sample", "4"), ("critic", "3")]


def test_a_caller_gives_a_question_and_nothing_else() -> None:
    with pytest.raises(ValidationError, match="samples"):
        Input(question=QUESTION, samples=())  # type: ignore[call-arg]
