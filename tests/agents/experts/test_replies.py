import json
import math
import time

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from catts.agents.experts.replies import (
    MAX_CRITIQUE_CHARS,
    MAX_REPLY_CHARS,
    ReplyError,
    parse_critique,
    parse_plan,
    parse_vote,
)
from catts.names import MODULES

PLAN = '{"order": ["critic", "voter", "self_check"], "reason": "the leader looks wrong"}'


@pytest.mark.parametrize(
    "text",
    [
        PLAN,
        f"<think>first {{the}} critic</think>\n{PLAN}",
        f"```json\n{PLAN}\n```",
        f"```\n{PLAN}\n```",
        f"Sure! Here is my plan: {PLAN} I hope it helps.",
        f"As in \\frac{{1}}{{2}} and {{broken: json}}: {PLAN}",
        f'{{"order": ["voter"]}} was my draft.\n{PLAN}',
        f"<think>a</think> b <think>c</think> {PLAN}",
        PLAN.replace("self_check", "Self-Check").replace("critic", " CRITIC"),
    ],
)
def test_a_plan_is_found_wherever_it_stands(text: str) -> None:
    plan = parse_plan(text)
    assert plan.order == ("critic", "voter", "self_check")
    assert plan.reason == "the leader looks wrong"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "no valid JSON object"),
        ("I would ask the critic first.", "no valid JSON object"),
        (f"<think>{PLAN}", "ends inside <think>"),
        (f"<think>{PLAN}</think>", "no valid JSON object"),
        ('{"plan": ["voter"]}', 'no "order"'),
        ('{"order": "voter, critic, self_check"}', "each exactly once"),
        ('{"order": ["voter", "critic"]}', "each exactly once"),
        ('{"order": ["voter", "critic", "critic"]}', "each exactly once"),
        ('{"order": ["voter", "critic", "self_check", "voter"]}', "each exactly once"),
        ('{"order": ["voter", "critic", "self_check", "decide"]}', "each exactly once"),
        ('{"order": ["voter", "critic", 3]}', "each exactly once"),
        ('{"order": null}', "each exactly once"),
        ('{"order": ["voter", "critic", "self_check"]', "no valid JSON object"),
        (f"{PLAN}{' ' * MAX_REPLY_CHARS}", "longer than"),
    ],
)
def test_a_malformed_plan_is_refused_in_one_sentence(text: str, says: str) -> None:
    with pytest.raises(ReplyError, match=says) as caught:
        parse_plan(text)
    assert "\n" not in str(caught.value)


def test_a_plan_needs_no_reason() -> None:
    order = '"order": ["voter", "critic", "self_check"]'
    assert parse_plan(f"{{{order}}}").reason == ""
    assert parse_plan(f'{{{order}, "reason": 7}}').reason == ""
    assert len(parse_plan(json.dumps({"order": MODULES, "reason": "x" * 9_999})).reason) == 500


@settings(deadline=None)
@given(st.permutations(MODULES))
def test_every_permutation_is_a_plan(order: list[str]) -> None:
    assert parse_plan(json.dumps({"order": order})).order == tuple(order)


def test_a_vote_is_normalised() -> None:
    assert parse_vote('{"probabilities": [3, 1]}', 2).probabilities == (0.75, 0.25)
    assert parse_vote('{"probabilities": {"2": 0.5, "1": 1.5}}', 2).probabilities == (0.75, 0.25)
    assert parse_vote('{"probabilities": [0.2]}', 1).probabilities == (1.0,)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('{"probabilities": [0.5]}', "must hold 2 numbers.*holds 1"),
        ('{"probabilities": [0.5, 0.3, 0.2]}', "must hold 2 numbers.*holds 3"),
        ('{"probabilities": []}', "must hold 2 numbers"),
        ('{"probabilities": 0.5}', "must be a list"),
        ('{"probabilities": [0, 0.0]}', "all 0"),
        ('{"probabilities": [1.2, -0.2]}', "probability 2 must be finite and not negative"),
        ('{"probabilities": [1e999, 1]}', "probability 1 must be finite"),
        (f'{{"probabilities": [1, 1{"0" * 400}]}}', "probability 2 must be finite"),
        (f'{{"probabilities": [1, 1{"0" * 5000}]}}', "no valid JSON object"),
        ('{"probabilities": [NaN, 1]}', "no valid JSON object"),
        ('{"probabilities": [Infinity, 1]}', "no valid JSON object"),
        ('{"probabilities": ["0.5", 0.5]}', 'probability 1 is not a number but "0.5"'),
        ('{"probabilities": [true, 0.5]}', "probability 1 is not a number but true"),
        ('{"probabilities": [null, 0.5]}', "probability 1 is not a number but null"),
        ('{"probabilities": {"1": 0.5}}', 'keys "1" to "2"'),
        ('{"probabilities": {"red": 0.5, "blue": 0.5}}', 'keys "1" to "2"'),
        ('{"probabilities": {"0": 0.5, "1": 0.5}}', 'keys "1" to "2"'),
        ('{"vote": [0.5, 0.5]}', 'no "probabilities"'),
    ],
)
def test_a_malformed_vote_is_refused(text: str, says: str) -> None:
    with pytest.raises(ReplyError, match=says):
        parse_vote(text, 2)


@settings(deadline=None)
@given(st.lists(st.floats(min_value=0, allow_infinity=False), min_size=1, max_size=26))
@example([1.7e308] * 26)
@example([5e-324, 0.0])
def test_a_vote_sums_to_one_and_keeps_the_order_of_its_numbers(weights: list[float]) -> None:
    text = json.dumps({"probabilities": weights})
    if not any(weights):
        with pytest.raises(ReplyError, match="all 0"):
            parse_vote(text, len(weights))
        return
    probabilities = parse_vote(text, len(weights)).probabilities
    assert math.isclose(math.fsum(probabilities), 1, rel_tol=1e-12)
    assert all(0 <= p <= 1 for p in probabilities)
    ranked = sorted(range(len(weights)), key=lambda i: weights[i])
    assert [probabilities[i] for i in ranked] == sorted(probabilities)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('{"critique": ""}', "not empty"),
        ('{"critique": " \\n "}', "not empty"),
        ('{"critique": ["look again"]}', "not empty"),
        ('{"critique": null}', "not empty"),
        ("The model overlooked a circle.", "no valid JSON object"),
    ],
)
def test_a_malformed_critique_is_refused(text: str, says: str) -> None:
    with pytest.raises(ReplyError, match=says):
        parse_critique(text)


def test_a_critique_is_stripped_and_cut() -> None:
    said = ' Look at the {top} row: "three" circles. '
    assert parse_critique(json.dumps({"critique": said})).text == said.strip()
    long = parse_critique(json.dumps({"critique": "a" * (MAX_CRITIQUE_CHARS + 1)})).text
    assert len(long) == MAX_CRITIQUE_CHARS
    assert long.endswith("a…")


@settings(deadline=None)
@given(st.text(alphabet=st.sampled_from('{}[]":,\\/<>think order probabilities critique 01.eE-\n')))
def test_any_text_is_either_read_or_refused(text: str) -> None:
    for parse in (parse_plan, lambda t: parse_vote(t, 2), parse_critique):
        try:
            parse(text)
        except ReplyError:
            continue


@pytest.mark.parametrize(
    "text",
    [
        "{" * MAX_REPLY_CHARS,
        '{"a":' * (MAX_REPLY_CHARS // 5),
        '{"' * (MAX_REPLY_CHARS // 2),
        '{"probabilities": ' + "[" * 15_000,
        "{}" * (MAX_REPLY_CHARS // 2),
        "<think>" + "{" * 1_000_000 + "</think>",
    ],
)
def test_a_hostile_reply_is_refused_quickly(text: str) -> None:
    start = time.process_time()
    with pytest.raises(ReplyError):
        parse_vote(text, 2)
    assert time.process_time() - start < 1


def test_a_reply_that_is_one_object_may_speak_of_tags_and_objects() -> None:
    said = 'Close </think>, as in {"critique": "x"}, and look again.'
    assert parse_critique(json.dumps({"think": "<think>", "critique": said})).text == said
