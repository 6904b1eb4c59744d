"""The shipped models through the whole graph, as a user runs it."""

import asyncio
import json

import pytest
from langgraph.checkpoint.memory import InMemorySaver
from PIL import Image

from catts import Context, answer, cli, open_context
from catts.agents.card import read_card
from catts.agents.spec import embedded_folder, resolve_base, resolve_expert
from catts.embedded.questions import FAMILIES
from catts.embedded.scene import GRADES
from catts.embedded.world import example
from catts.evals.demo import demo_index, run_demo
from catts.graph.trace import read_traces
from catts.prompts import load_prompts

pytestmark = [pytest.mark.models, pytest.mark.slow]


@pytest.fixture(scope="module")
def context():
    base = resolve_base("embedded")
    return Context.of(base, resolve_expert("embedded"))


async def ask(index, context, **options):
    made = example("test", index)
    return await answer(made.image, made.question, choices=made.choices, context=context, **options)


@pytest.mark.parametrize("which", ["base", "cdrl", "expert"])
def test_shipped_models_are_what_their_cards_say(which):
    folder = embedded_folder(which)
    card = read_card(folder)
    assert card.name == f"embedded-{which}"
    assert card.prompt_hash == load_prompts("embedded").hash
    assert (folder / "README.md").is_file()
    weights = folder / "model.safetensors"
    assert weights.stat().st_size <= 12 * 1024 * 1024
    assert not [p for p in folder.iterdir() if p.suffix in (".bin", ".pt", ".pkl", ".py")]


@pytest.mark.parametrize("routing", ["paper", "planned", "parallel"])
async def test_every_routing_answers(routing):
    async with open_context(routing=routing) as context:
        trace = await ask(0, context)
    assert trace.answer is not None
    assert not trace.failed_nodes
    sums = {}
    for ballot in trace.ballots:
        sums[ballot.answer] = sums.get(ballot.answer, 0) + ballot.weight
    assert trace.votes == pytest.approx(sums)
    if routing != "planned":
        assert {b.source for b in trace.ballots} == {"sample", "voter", "critic", "self_check"}


async def test_the_same_seed_gives_the_same_run(context):
    first, second = await ask(1, context), await ask(1, context)
    assert [s.token_ids for s in first.samples] == [s.token_ids for s in second.samples]
    assert first.votes == second.votes
    assert [d.reason for d in first.route] == [d.reason for d in second.route]


async def test_questions_at_once_do_not_mix(context):
    """32 questions together give what each gives alone, but for the last digits of confidence."""
    together = await asyncio.gather(*(ask(i, context) for i in range(32)))
    for index in (0, 13, 31):
        alone = await ask(index, context)
        # one batch, whose float sums differ in the last digits
        assert alone.votes == pytest.approx(together[index].votes, rel=1e-5)
        assert [s.text for s in alone.samples] == [s.text for s in together[index].samples]
    assert len({t.question.digest for t in together}) == 32


async def test_a_checkpointed_run_answers_the_same(context):
    config = {"configurable": {"thread_id": "one"}}
    plain = await ask(2, context)
    stored = await ask(2, context, checkpointer=InMemorySaver(), config=config)
    assert stored.votes == plain.votes


async def test_the_base_can_be_its_own_expert():
    async with open_context(expert="base", routing="paper") as context:
        trace = await ask(0, context)
    assert trace.answer is not None


def test_the_demonstration(tmp_path, capsys):
    summary = run_demo(2, tmp_path)
    shown = capsys.readouterr().out
    assert "eight times" in shown
    assert f"trace {summary.traces}" in shown
    last = summary.questions[-1]
    assert f"ask {last.pictures[0]} '{last.question}'" in shown
    assert len(summary.questions) == 2
    for question in summary.questions:
        assert question.pictures[0].is_file()
        assert question.id in shown
    assert len(list(read_traces(summary.traces))) == 2


def test_ask_prints_one_object(tmp_path, capsys):
    made = example("test", 0)
    path = tmp_path / "picture.png"
    made.image.save(path)
    with pytest.raises(SystemExit) as ended:
        cli.main(["ask", str(path), made.question, "--samples", "3", "--json"])
    assert not ended.value.code
    record = json.loads(capsys.readouterr().out)
    for key in ("answer", "votes", "ballots", "samples", "plan", "route", "critique", "usage"):
        assert key in record
    assert len(record["samples"]) == 3
    assert record["failed_nodes"] == []


def test_the_demonstration_takes_families_and_grades_in_turn():
    shown = [example("test", demo_index(place)) for place in range(18)]
    assert [made.family for made in shown] == list(FAMILIES) * 3
    assert len({(made.family, made.grade) for made in shown}) == len(FAMILIES) * len(GRADES)
    assert [made.grade for made in shown[:6]] == [1, 2, 3, 1, 2, 3]


def test_a_picture_from_elsewhere_is_told_apart(tmp_path, capsys):
    """The embedded models answer it all the same, and the account says what that is worth."""
    path = tmp_path / "photo.png"
    Image.linear_gradient("L").resize((300, 200)).convert("RGB").save(path)
    with pytest.raises(SystemExit) as ended:
        cli.main(["ask", str(path), "How many cups are there?", "--samples", "2"])
    assert not ended.value.code
    shown = " ".join(capsys.readouterr().out.split())
    assert "read only boards of their own world" in shown
    assert "--base Qwen/Qwen2.5-VL-3B-Instruct" in shown
