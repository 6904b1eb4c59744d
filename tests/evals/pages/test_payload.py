"""What the page's script is given of a run."""

import json

import pytest
from scripted_models import ScriptedEngine, ScriptedExpert

from catts.agents.protocol import Usage
from catts.calibration import ConfidenceMap
from catts.evals.pages.ballots import Filling, Names
from catts.evals.pages.cards import RunCard
from catts.evals.pages.cost import cost, paid
from catts.evals.pages.payload import detail, row, scale_of
from catts.evals.pages.text import to_json
from catts.graph.context import Context
from catts.graph.embed import answer
from catts.graph.records import NodeRun


@pytest.mark.parametrize("routing", ["paper", "planned", "parallel"])
async def test_the_steps_end_at_the_votes(asked, routing):
    trace = await asked(routing=routing)
    steps = list(Filling(trace).steps())
    assert dict(zip(trace.votes, (v for v, _ in steps[-1]["totals"]), strict=True)) == trace.votes
    assert list(trace.votes)[steps[-1]["leader"]] == trace.answer
    assert sum(len(step["ballots"]) for step in steps) == len(trace.ballots)
    assert steps[0]["source"] == "sample"


async def test_the_steps_follow_the_route(asked):
    trace = await asked(expert=ScriptedExpert(order=("self_check", "critic", "voter")))
    assert [s["source"] for s in Filling(trace).steps()] == [
        "sample", "self_check", "critic", "voter",
    ]  # fmt: skip


async def test_candidates_are_named_as_they_were_written(asked):
    engine = ScriptedEngine([("1,000 cm", 2.0), ("B", 1.0)], reanswer="B", contrast="B")
    trace = await asked(engine=engine)
    assert Names(trace)["1000 cm" if "1000 cm" in trace.votes else "1000"] == "1,000 cm"
    chosen = await asked(engine=engine, choices=("red", "blue"))
    assert Names(chosen)["B"] == "(B) blue"


async def test_a_changed_winner_is_told_with_the_answer_that_led_before(cards):
    assert [row(card)["changed"] for card in cards] == [None, None, None, "3"]
    assert row(cards[3])["answer"] == "4"


async def test_failed_roles_are_named(cards):
    assert [row(card)["failed"] for card in cards] == [[], [], ["voter"], []]
    assert detail(cards[2], {})["failures"] == [["voter", "RoleError", "no reply in 3 s"]]


async def test_bars_span_the_range_of_all_samples_where_no_mapping_is_known(cards):
    scale = scale_of(cards)
    told = detail(cards[0], scale)
    bars = [sample["bar"] for sample in told["samples"]]
    assert bars == sorted(bars)
    assert bars[0] == 0.0
    assert bars[-1] == 1.0
    assert "range over all questions" in told["bars"]


async def test_bars_are_probabilities_where_a_mapping_is_known(picture):
    fitted = ConfidenceMap(kind="top_k_mean", x=(0.0, 10.0), y=(0.0, 1.0), fitted_on="nothing")
    context = Context.of(ScriptedEngine(), ScriptedExpert(), confidence_map=fitted)
    told = detail(RunCard("a", await answer(picture, "What?", context=context)), {})
    assert [sample["bar"] for sample in told["samples"]] == pytest.approx([0.2, 0.25, 0.3, 0.9])
    assert "probability of being right" in told["bars"]


async def test_a_sample_that_casts_no_ballot_says_so(cards):
    *voting, silent = detail(cards[0], {})["samples"]
    assert (silent["answer"], silent["votes"]) == (None, None)
    assert all(sample["votes"] for sample in voting)


async def test_a_run_without_an_answer(asked):
    card = RunCard("a", await asked(engine=ScriptedEngine([("", 1.0)])))
    assert (row(card)["answer"], row(card)["share"]) == (None, None)
    told = detail(card, scale_of([card]))
    assert (told["steps"], told["winner"]) == ([], None)
    assert "can be read" in told["noAnswer"]


async def test_everything_is_json(cards):
    for card in cards:
        assert json.loads(to_json(detail(card, scale_of(cards))))
        assert json.loads(to_json(row(card)))


def _run(node, started, ended, **changed):
    usage = Usage(calls=1, prompt_tokens=1000, completion_tokens=5)
    seconds = ended - started
    return NodeRun(
        node=node,
        status="ok",
        usage=usage,
        started=started,
        ended=ended,
        seconds=seconds,
        **changed,
    )


async def test_nodes_stand_on_a_line_of_time(asked):
    trace = await asked()
    nodes = (_run("voter", 101.0, 103.0), _run("sampler", 100.0, 101.0))
    told = cost(trace.model_copy(update={"usage": trace.usage.model_copy(update={"nodes": nodes})}))
    assert [(n["title"], n["start"], n["length"]) for n in told["nodes"]] == [
        ("samples", 0.0, 1.0), ("voter", 1.0, 2.0),
    ]  # fmt: skip
    assert told["span"] == 3.0
    assert told["nodes"][0]["read"] == "1,000"


async def test_nodes_without_times_follow_each_other(asked):
    trace = await asked()
    nodes = tuple(_run(n, 0.0, 2.0).model_copy(update={"ended": 0.0}) for n in ("sampler", "voter"))
    told = cost(trace.model_copy(update={"usage": trace.usage.model_copy(update={"nodes": nodes})}))
    assert [node["start"] for node in told["nodes"]] == [0.0, 2.0]


@pytest.mark.parametrize(
    ("usage", "says"),
    [
        (Usage(calls=3), ""),
        (Usage(calls=3, dollars=0.01234), "$0.0123"),
        (Usage(calls=3, unpriced=2), "2 unpriced"),
        (Usage(calls=3, dollars=1, unpriced=2), "$1.0000 + 2 unpriced"),
    ],
)
def test_what_providers_charge_is_told(usage, says):
    assert paid(usage) == says
