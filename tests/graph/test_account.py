"""What people are shown of a run."""

import re

import pytest
from rich.console import Console
from scripted_models import ScriptedEngine, ScriptedExpert

from catts.errors import RoleError
from catts.graph.account import account, plain
from catts.graph.context import Context
from catts.graph.embed import answer


async def told(
    picture, *, engine=None, expert=None, gold=None, styled=False, routing="paper"
) -> str:
    context = Context.of(engine or ScriptedEngine(), expert or ScriptedExpert(), routing=routing)
    trace = await answer(picture, "How many [red]dots[/red]?", context=context)
    console = Console(width=100, force_terminal=styled)
    with console.capture() as capture:
        console.print(account(trace, title="a title", gold=gold))
    return capture.get()


async def test_everything_that_happened_is_shown(picture):
    text = await told(picture, gold="3")
    for part in (
        "a title", "How many [red]dots[/red]?",
        "top_k_mean", "unreadable", "2.500",
        "voter → critic → self-check: so", "by the planner",
        "probabilities given by scripted-expert", "3: 0.500",
        "count again", "re-answer", "self-check", "t = 500",
        "→ voter", "voting dictionary", "answer: 3", "right", "expert calls",
    ):  # fmt: skip
        assert part in text, part


async def test_votes_are_shown_by_source_with_their_sum(picture):
    text = await told(picture)
    row = re.search(r"^\s*3\s+([\d.]+)\s+([\d.]+)\s+([\d.]+)\s+([\d.]+)\s", text, re.MULTILINE)
    assert row, text
    samples, voter, self_check, votes = map(float, row.groups())
    assert votes == pytest.approx(samples + voter + self_check, abs=0.002)


async def test_a_wrong_answer_is_called_wrong(picture):
    assert "wrong, it is 7" in await told(picture, gold="7")


async def test_failed_nodes_are_shown(picture):
    expert = ScriptedExpert(fail={"voter": RoleError("voter", "no reply in 3 s")})
    text = await told(picture, expert=expert)
    assert "failed" in text
    assert "no reply in 3 s" in text


async def test_a_run_without_an_answer_says_why(picture):
    text = await told(picture, engine=ScriptedEngine([("", 1.0)]))
    assert "no answer: no sample holds an answer that can be read" in text


async def test_model_output_is_neither_markup_nor_steers_the_terminal(picture):
    critique = "[bold]look[/bold] \x1b[2J\x1b]0;title\x07 again\r[link=http://x]y[/link]\u202e"
    text = await told(picture, expert=ScriptedExpert(critique=critique))
    assert "[bold]look[/bold]" in text
    assert "[link=http://x]y[/link]" in text
    assert not {"\x1b", "\x07", "\r", "\u202e"} & set(text)


def test_plain_keeps_letters_of_every_script_and_line_breaks():
    assert plain("naïve 漢字 π\nnext").plain == "naïve 漢字 π\nnext"


async def test_accounts_are_coloured_in_a_terminal(picture):
    assert "\x1b[1;32m" in await told(picture, styled=True)
