"""Limits of the expert's roles, over real HTTP: budgets, pace, and requests under way."""

import asyncio
import threading

import pytest
from pydantic import SecretStr, ValidationError

from catts.agents.expert import Candidate
from catts.agents.experts.limits import Gates, Limits, read_limits
from catts.agents.experts.prices import Price, Prices
from catts.agents.experts.providers import server_model
from catts.agents.experts.roles import ChatExpert
from catts.agents.spec import resolve_expert
from catts.errors import InputError, RoleError
from catts.question import Question

QUESTION = Question(text="What is it?", choices=("a cat", "a dog"))
CANDIDATES = (
    Candidate(answer="A", count=1, confidence=2.5, share=0.5),
    Candidate(answer="B", count=1, confidence=2.5, share=0.5),
)
VOTE = '{"probabilities": [0.9, 0.1]}'


@pytest.fixture(autouse=True)
def replies(standin):
    standin.says(
        {
            "id": "c1",
            "object": "chat.completion",
            "created": 1,
            "model": "qwen",
            "choices": [
                {"index": 0, "message": {"role": "assistant", "content": VOTE},
                 "finish_reason": "stop"},
            ],
            "usage": {"prompt_tokens": 200, "completion_tokens": 50, "total_tokens": 250},
        }
    )  # fmt: skip


def expert_at(standin, limits, **options):
    return resolve_expert("qwen", url=f"{standin.url}/v1", limits=limits, **options)


def vote(expert):
    return expert.vote(QUESTION, [], CANDIDATES)


async def many(expert, n):
    return await asyncio.gather(*(vote(expert) for _ in range(n)), return_exceptions=True)


def refused(results):
    errors = [result for result in results if isinstance(result, Exception)]
    assert all(isinstance(e, RoleError) and e.cause == "BudgetSpent" for e in errors), errors
    assert not any(error.transient for error in errors)
    return len(errors)


async def test_calls_are_never_exceeded_also_by_requests_side_by_side(standin):
    standin.delay = 0.05
    results = await many(expert_at(standin, Limits(calls=3)), 8)
    assert refused(results) == 5
    assert len(standin.requests) == 3


async def test_a_spent_budget_says_so_and_sends_nothing(standin):
    expert = expert_at(standin, Limits(calls=0))
    with pytest.raises(RoleError, match="voter: its budget of 0 calls is spent: raise it") as error:
        await vote(expert)
    assert error.value.usage.calls == 0


async def test_a_budget_that_ends_between_two_requests_counts_the_first(standin):
    standin.replies.clear()
    standin.says({"choices": [{"message": {"role": "assistant", "content": "I would rather not"}}]})
    with pytest.raises(RoleError) as error:
        await vote(expert_at(standin, Limits(calls=1)))
    assert (error.value.cause, error.value.usage.calls) == ("BudgetSpent", 1)


async def test_nothing_is_sent_without_a_budget(standin):
    with pytest.raises(RoleError):
        await vote(expert_at(standin, Limits(calls=0)))
    assert standin.requests == []


async def test_tokens_are_counted_read_and_written(standin):
    expert = expert_at(standin, "tokens=501")
    for _ in range(3):
        await vote(expert)  # 250 tokens each: the third begins at 500
    assert refused(await many(expert, 1)) == 1


async def test_dollars_are_counted_by_the_table_of_prices(standin, tmp_path):
    table = tmp_path / "prices.toml"
    table.write_text("[prices]\nqwen = { input = 10, output = 100 }\n")
    expert = expert_at(standin, "dollars=0.008", prices=table)
    cost = (await vote(expert)).usage
    assert cost.dollars == pytest.approx((200 * 10 + 50 * 100) / 1e6)
    assert cost.unpriced == 0
    await vote(expert)
    assert refused(await many(expert, 2)) == 2


def test_a_budget_in_dollars_needs_a_price(standin):
    with pytest.raises(InputError, match="the price of qwen is in no table"):
        expert_at(standin, Limits(dollars=1))
    model = server_model("qwen", standin.url)
    with pytest.raises(InputError, match="the price of openai:qwen is in no table"):
        ChatExpert.single(model, limits=Limits(dollars=1))
    prices = Prices(prices={"openai:qwen": Price(input=1, output=1)})
    ChatExpert.single(model, limits=Limits(dollars=1), prices=prices)


async def test_a_model_without_a_price_is_told(standin):
    usage = (await vote(expert_at(standin, None))).usage
    assert (usage.dollars, usage.unpriced) == (0, 1)


async def test_shared_limits_are_one_budget_and_a_mapping_gives_each_role_its_own(standin):
    for limits, left in ((Limits(calls=1), 0), ({"voter": Limits(calls=1)}, 1)):
        expert = expert_at(standin, limits)
        await vote(expert)
        assert refused(await many(expert, 1)) == 1
        before = len(standin.requests)
        with pytest.raises(RoleError) as error:  # a vote is no critique: malformed, twice
            await expert.criticise(QUESTION, [], "A", "a cat")
        assert error.value.cause == ("ReplyError" if left else "BudgetSpent")
        assert len(standin.requests) - before == 2 * left


async def test_roles_of_several_models_share_a_budget(standin):
    expert = expert_at_roles(standin, Limits(calls=2))
    await vote(expert)
    with pytest.raises(RoleError):
        await expert.plan(QUESTION, [], CANDIDATES)
    assert len(standin.requests) == 2
    assert refused(await many(expert, 1)) == 1


def expert_at_roles(standin, limits):
    roles = {"planner": "qwen", "voter": "qwen-large", "critic": "qwen"}
    return resolve_expert(roles, url=f"{standin.url}/v1", limits=limits)


async def test_a_role_s_own_limits_hold_beside_the_shared_ones(standin):
    expert = expert_at(standin, "calls=3,voter.calls=1,timeout=30,voter.timeout=20")
    await vote(expert)
    assert refused(await many(expert, 1)) == 1
    with pytest.raises(RoleError) as error:  # a vote is no critique: malformed, twice
        await expert.criticise(QUESTION, [], "A", "a cat")
    assert error.value.cause == "ReplyError"
    with pytest.raises(RoleError, match="critic: its budget of 3 calls is spent"):
        await expert.criticise(QUESTION, [], "A", "a cat")
    assert len(standin.requests) == 3
    limits = Gates(read_limits("timeout=30,voter.timeout=20,attempts=2"))
    assert [limits.of(role).timeout for role in ("voter", "critic")] == [20, 30]
    assert limits.of("voter").attempts == 2


async def test_a_request_whose_cost_nobody_tells_counts_as_a_large_one(standin):
    told = standin.replies.pop()
    standin.says({"choices": [{"message": {"role": "assistant", "content": VOTE}}]})
    for tokens, sent in ((8192, 1), (8193, 2)):
        standin.requests.clear()
        results = await many(expert_at(standin, Limits(tokens=tokens, at_once=1)), 3)
        assert refused(results) == 3 - sent
        assert len(standin.requests) == sent
    # once another has told what it cost, as that
    standin.replies.insert(0, told)
    standin.requests.clear()
    assert refused(await many(expert_at(standin, Limits(tokens=751, at_once=1)), 6)) == 2


async def test_a_request_that_is_cut_off_is_charged(standin, tmp_path):
    table = tmp_path / "prices.toml"
    table.write_text("[prices]\nqwen = { input = 1, output = 100 }\n")
    standin.delay = 0.5
    expert = expert_at(standin, Limits(dollars=0.8, timeout=0.1), prices=table)
    with pytest.raises(RoleError, match=r"no reply in 0\.1 s"):
        await vote(expert)
    assert refused(await many(expert, 1)) == 1  # 8192 tokens at 100 dollars a million


def test_a_role_s_budget_in_dollars_needs_no_price_of_another_role_s_model(standin, tmp_path):
    table = tmp_path / "prices.toml"
    table.write_text("[prices]\nqwen = { input = 1, output = 1 }\n")
    roles = {"planner": "qwen", "voter": "unknown", "critic": "qwen"}
    options = {"url": standin.url, "prices": table}
    resolve_expert(roles, limits={"planner": Limits(dollars=1)}, **options)
    for whose in ("voter", "shared"):
        with pytest.raises(InputError, match="the price of unknown is in no table"):
            resolve_expert(roles, limits={whose: Limits(dollars=1)}, **options)


async def test_so_many_requests_are_under_way_at_a_time(standin):
    standin.delay = 0.05
    assert refused(await many(expert_at(standin, Limits(at_once=2)), 8)) == 0
    assert standin.most_at_once == 2


def test_a_place_is_kept_for_each_event_loop(standin):
    standin.delay = 0.02
    expert = expert_at(standin, Limits(at_once=1))
    results = []

    def run():
        results.extend(asyncio.run(many(expert, 3)))

    threads = [threading.Thread(target=run) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    run()
    assert len(results) == 9
    assert refused(results) == 0
    assert standin.most_at_once <= 2


async def test_requests_keep_to_their_pace_and_waiting_is_no_time_of_theirs(standin):
    expert = expert_at(standin, Limits(requests_per_minute=150, timeout=1))
    assert refused(await many(expert, 6)) == 0
    first, *_, last = standin.times
    assert last - first >= 5 * 0.4 - 0.1


async def test_a_request_that_a_limit_keeps_waiting_can_be_cancelled(standin):
    standin.delay = 0.3
    expert = expert_at(standin, Limits(at_once=1))
    first = asyncio.create_task(vote(expert))
    await asyncio.sleep(0.1)
    second = asyncio.create_task(vote(expert))
    await asyncio.sleep(0.05)
    second.cancel()
    with pytest.raises(asyncio.CancelledError):
        await second
    assert (await first).reply.probabilities == pytest.approx((0.9, 0.1))
    assert (await vote(expert)).attempts == 1


async def test_attempts_are_a_limit(standin, no_waiting):
    standin.replies.clear()
    standin.says({"error": {"message": "busy"}}, 503)
    with pytest.raises(RoleError):
        await vote(expert_at(standin, Limits(attempts=2)))
    assert len(standin.requests) == 2


@pytest.mark.parametrize(
    ("text", "limits"),
    [
        ("dollars=2", {"shared": Limits(dollars=2)}),
        (" calls=10, at_once=4", {"shared": Limits(calls=10, at_once=4)}),
        ("timeout=9,voter.calls=1", {"shared": Limits(timeout=9), "voter": Limits(calls=1)}),
        ("critic.timeout=3", {"critic": Limits(timeout=3)}),
    ],
)
def test_limits_are_read_from_a_text(text, limits):
    assert read_limits(text) == limits


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "'' is no limit: give NAME=NUMBER"),
        ("dollars", "'dollars' is no limit"),
        ("poet.calls=1", "'poet.calls=1' is no limit"),
        ("euros=2", "euros: .*; the limits are timeout, attempts, at_once"),
        ("calls=-1", "calls: .*greater than or equal to 0"),
        ("dollars=nan", "dollars: "),
        ("calls=many", "calls: .*integer"),
        ("timeout=0", "timeout: .*greater than 0"),
        ("calls=1,calls=2", "calls is given twice"),
    ],
)
def test_a_text_that_is_no_limit_is_refused(text, says):
    with pytest.raises(InputError, match=says):
        read_limits(text)
    with pytest.raises(InputError, match=says):
        resolve_expert("qwen", url="http://127.0.0.1:1", limits=text)


def test_limits_are_checked():
    with pytest.raises(ValidationError):
        Limits(at_once=0)


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"max_retries": 3}, "give attempts as a limit"),
        ({"default_headers": {"Authorization": "Bearer 0123456789"}}, "Authorization is a key"),
        ({"default_query": {"key": "0123456789"}}, "key is a key"),
        ({"extra_body": {"inner": {"api_key": "0123456789"}}}, "api_key is a key"),
    ],
)
def test_keys_and_retries_are_no_settings(standin, settings, says):
    with pytest.raises(InputError, match=says) as error:
        resolve_expert("qwen", url=standin.url, settings=settings)
    assert "0123456789" not in str(error.value)


async def test_headers_of_one_s_own_are_sent(standin):
    expert = expert_at(standin, None, settings={"default_headers": {"X-Team": "vision"}})
    await vote(expert)
    headers = standin.requests[0].headers
    assert (headers["x-team"], headers["connection"]) == ("vision", "close")


def test_an_expert_that_is_an_object_takes_no_limits(standin):
    given = ChatExpert.single(server_model("qwen", standin.url, api_key=SecretStr("k" * 9)))
    with pytest.raises(InputError, match="takes no limits"):
        resolve_expert(given, limits=Limits(calls=1))
