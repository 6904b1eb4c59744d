"""Budgets, prices and the cache of an expert, through the whole graph and over real HTTP."""

import pytest
from scripted_models import ScriptedEngine

from catts.errors import InputError, StoreError
from catts.graph.embed import answer
from catts.graph.opening import open_context

REPLIES = (
    '{"order": ["voter", "critic", "self_check"], "reason": "close"}',
    '{"probabilities": [0.5, 0.5]}',
    '{"critique": "Count again."}',
)
PRICED = "[prices]\nqwen = { input = 1, output = 10 }\n"


def says(text):
    return {
        "id": "c1",
        "object": "chat.completion",
        "created": 1,
        "model": "qwen",
        "choices": [
            {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
        ],
        "usage": {"prompt_tokens": 1000, "completion_tokens": 10, "total_tokens": 1010},
    }


@pytest.fixture
def asked(standin, picture, tmp_path):
    """Ask a question; the expert's planner, voter and critic reply in that order."""
    for text in REPLIES:
        standin.says(says(text))
    table = tmp_path / "prices.toml"
    table.write_text(PRICED)

    async def ask(**options):
        standin.requests.clear()  # the replies begin again
        engine = ScriptedEngine()
        async with open_context(
            engine, "qwen", expert_url=standin.url, routing="paper", prices=table, **options
        ) as context:
            return await answer(picture, "How many?", context=context)

    return ask


async def test_the_trace_says_what_each_role_cost(asked):
    trace = await asked()
    paid = {run.node: run.usage.dollars for run in trace.usage.nodes}
    assert {node: paid[node] for node in ("planner", "voter", "critic")} == pytest.approx(
        dict.fromkeys(("planner", "voter", "critic"), 0.0011)
    )
    assert trace.usage.total.dollars == pytest.approx(0.0033)
    assert trace.usage.total.unpriced == 0


async def test_the_graph_goes_on_without_a_role_whose_budget_is_spent(asked, standin):
    trace = await asked(expert_limits="dollars=0.002")
    assert len(standin.requests) == 2
    assert trace.failed_nodes == ("critic",)
    (failure,) = trace.failures
    assert (failure.error, failure.node) == ("BudgetSpent", "critic")
    assert "its budget of 0.002 dollars is spent" in failure.message
    assert trace.answer is not None
    assert trace.usage.expert_calls == 2
    assert {ballot.source for ballot in trace.ballots} >= {"sample", "voter", "self_check"}


async def test_a_cache_is_asked_before_the_expert_and_what_it_knows_is_free(
    asked, standin, tmp_path
):
    cache = tmp_path / "folder" / "replies.sqlite"
    first = await asked(expert_cache=cache)
    assert len(standin.requests) == 3
    again = await asked(expert_cache=cache)
    assert standin.requests == []
    assert (again.votes, again.plan, again.vote) == (first.votes, first.plan, first.vote)
    assert (again.usage.expert_calls, again.usage.total.dollars) == (0, 0)
    assert again.context_fingerprint == first.context_fingerprint
    # another model has said nothing yet
    other = await asked(expert_cache=cache, expert_max_tokens=99)
    assert len(standin.requests) == 3
    assert other.usage.expert_calls == 3


async def test_a_reply_that_could_not_be_used_is_not_kept(asked, standin, tmp_path):
    cache = tmp_path / "replies.sqlite"
    standin.replies[1:] = []
    standin.says(says("I would rather not."))
    failed = await asked(expert_cache=cache)
    assert failed.failed_nodes == ("voter", "critic")
    standin.replies[:] = []
    for text in REPLIES[1:]:
        standin.says(says(text))
    trace = await asked(expert_cache=cache)
    assert trace.failed_nodes == ()
    assert len(standin.requests) == 2


async def test_a_cache_that_fails_is_passed_over(asked, standin, tmp_path, monkeypatch):
    def fails(*_):
        raise StoreError("the disk is full")

    monkeypatch.setattr("catts.store.Store.get", fails)
    monkeypatch.setattr("catts.store.Store.put", fails)
    with pytest.warns(RuntimeWarning, match="cache is passed over: the disk is full"):
        trace = await asked(expert_cache=tmp_path / "replies.sqlite")
    assert trace.failed_nodes == ()
    assert trace.usage.total.dollars == pytest.approx(0.0033)


async def test_a_node_does_not_ask_again_where_a_role_has_used_its_attempts(
    asked, standin, monkeypatch
):
    monkeypatch.setattr("catts.agents.experts.requests._FIRST_PAUSE_S", 0.001)
    monkeypatch.setattr("catts.agents.experts.requests._JITTER_S", 0.001)
    standin.replies[:] = []
    standin.says({"error": {"message": "busy"}}, 503)
    trace = await asked(expert_limits="attempts=2")
    assert trace.failed_nodes == ("planner", "voter", "critic")
    assert len(standin.requests) == 6
    assert trace.usage.expert_calls == 6


async def test_what_is_given_is_checked_before_anything_is_asked(asked, standin, tmp_path):
    no_store = tmp_path / "text"
    no_store.write_text("this is no store, and longer than a header of SQLite's own would ever be")
    for options, error in (
        ({"expert_limits": "euros=2"}, InputError),
        ({"expert_limits": 5}, InputError),
        ({"expert_cache": no_store}, StoreError),
        ({"expert_settings": {"api_key": "secret"}}, InputError),
    ):
        with pytest.raises(error) as caught:
            await asked(**options)
        assert "secret" not in str(caught.value)
    assert standin.requests == []
