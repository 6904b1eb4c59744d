import json
import random
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from catts.agents.experts.replies import parse_critique, parse_plan, parse_vote
from catts.answers import canonical, extract_answer
from catts.embedded.lessons import (
    Task,
    critique_of,
    lesson,
    truth,
    vote_shares,
)
from catts.embedded.world import example
from catts.prompts import load_prompts
from catts.question import Question

PROMPTS = load_prompts("embedded")
INDICES = st.integers(0, 10**6)


@given(INDICES)
def test_the_right_completion_is_graded_right(index):
    made = example("train", index)
    question = Question(text=made.question, choices=made.choices)
    said = extract_answer(truth(made), question)
    assert said is not None
    assert canonical(said, question) == canonical(made.answer, question)


@given(INDICES, st.integers(0, 2**32))
def test_every_role_is_taught_replies_that_parse(index, seed):
    made = example("train", index)
    rng = random.Random(seed)
    parse_plan(lesson("planner", made, PROMPTS, rng).completion)
    assert parse_critique(lesson("critic", made, PROMPTS, rng).completion).text
    taught = lesson("voter", made, PROMPTS, rng)
    listed = taught.prompt.split("Candidates:\n")[1].strip().splitlines()
    vote = parse_vote(taught.completion, len(listed))
    assert sum(vote.probabilities) == pytest.approx(1)


@given(st.lists(st.booleans(), min_size=1, max_size=6), st.floats(0, 1))
def test_vote_targets_favour_the_right_candidate(right, certain):
    if sum(right) > 1:
        return
    shares = vote_shares(right, certain)
    assert len(shares) == len(right)
    assert sum(shares) == pytest.approx(1, abs=0.03)
    if any(right):
        assert shares[right.index(True)] == max(shares)


def test_a_critique_reads_first_and_then_says_both_answers():
    chain = "a1 red star 1, b2 red hexagon, d4 green star 2; total 2"
    assert critique_of("3", chain, "2") == f"I read {chain}. It is 2, not 3."
    assert critique_of("2", chain, "2") == f"I read {chain}. It is 2, as said."


def test_a_voter_goes_through_the_candidates_before_the_numbers():
    for index in range(50):
        taught = lesson("voter", example("train", index), PROMPTS, random.Random(index))
        listed = taught.prompt.split("Candidates:\n")[1].strip().splitlines()
        thought, numbers = taught.completion.split("</think>")
        checked = thought.splitlines()[1:]
        assert [line.rsplit(" ", 1)[0] for line in checked] == listed
        right = [line.endswith(" yes") for line in checked]
        assert right == [line.split(". ")[1] == taught.example.answer for line in listed]
        shares = json.loads(numbers)["probabilities"]
        assert list(shares) == [str(i) for i in range(1, len(listed) + 1)]
        if any(right):
            assert shares[str(right.index(True) + 1)] == max(shares.values())


def test_a_re_answer_looks_again_and_takes_the_critic_s_word():
    """Half of the pictures show something else than the critic saw."""
    poor = differing = 0
    for index in range(300):
        given = example("train", index, grade=1)
        taught = lesson("reanswer", given, PROMPTS, random.Random(index))
        shown = taught.example
        assert shown.ask == given.ask
        said = extract_answer(taught.completion, Question(text=given.question))
        assert f"It is {said}, " in taught.prompt
        thought = taught.completion.removeprefix("<think>").split("</think>")[0]
        assert thought == f"{shown.solution.chain}. The critic reads {said}"
        differing += said != shown.answer
        if shown.scene != given.scene:
            poor += 1
            assert set(shown.scene.things) <= set(given.scene.things)
    assert 0.4 < poor / 300 < 0.6
    assert differing > 60, "there the picture and the critic disagree"


@pytest.mark.parametrize("task", get_args(Task))
def test_a_lesson_repeats(task):
    made = example("train", 5)
    first, second = (lesson(task, made, PROMPTS, random.Random(3)) for _ in range(2))
    assert (first.prompt, first.completion) == (second.prompt, second.completion)


def test_json_in_replies_is_json():
    taught = lesson("planner", example("train", 0), PROMPTS, random.Random(0))
    assert set(json.loads(taught.completion)) == {"order", "reason"}


def test_slips_give_a_consistent_wrong_account_of_some_answers():
    taught = [
        lesson("answer", example("train", i), PROMPTS, random.Random(i), slips=0.05)
        for i in range(300)
    ]
    slipped = [t for t in taught if t.completion != truth(t.example)]
    things = sum(t.completion.count(",") + 1 for t in taught)
    assert 0.01 * things < len(slipped) < 0.08 * things
    told = extract_answer(slipped[0].completion, Question(text=slipped[0].example.question))
    assert told is not None


def test_only_answers_slip():
    made = example("train", 5)
    kept, slipped = (lesson("critic", made, PROMPTS, random.Random(3), slips=s) for s in (0.0, 1.0))
    assert kept == slipped
