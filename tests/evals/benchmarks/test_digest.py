"""Which questions a card has seen, told by what is asked and not by what it is called."""

from dataclasses import replace

from asked import item

from catts.agents.card import ChosenOn, ModelCard
from catts.evals.benchmarks.digest import overlap, question_digest


def card(*questions: str) -> ModelCard:
    return ModelCard(chosen_on=ChosenOn(task="t", split="s", expert="e", questions=questions))


def test_a_digest_is_the_same_for_ever() -> None:
    assert question_digest(item("a")) == "0ea5cf756a5f"


def test_what_is_asked_counts_and_its_id_and_answer_do_not() -> None:
    one = item("a")
    same = (replace(one, id="other", origin="f.json, row 9"), replace(one, answer=None))
    assert {question_digest(each) for each in same} == {question_digest(one)}
    others = (item("b"), item("a", choices=("x", "y")), item("a", size=(25, 16)))
    assert question_digest(one) not in {question_digest(each) for each in others}


def test_the_overlap_is_how_many_are_known() -> None:
    a, b, c = (item(name) for name in "abc")
    known = card(question_digest(a), question_digest(c))
    assert overlap(known, [a, b, replace(c, id="x")]) == 2
    assert overlap(known, []) == overlap(card(), [a]) == 0


def test_a_card_without_a_record_has_seen_nothing_and_opens_no_picture() -> None:
    assert overlap(ModelCard(), [replace(item("a"), images=(b"broken",))]) == 0
