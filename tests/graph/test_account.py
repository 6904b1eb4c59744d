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


WHOLE = r"""
embedded/test/0 ────────────────────────────────────────────────────────────────────────
How long?
(A) 4
(B) 5
samples  drawn by scripted
  sample  answer      top_k_mean  reasoning
       1  3                2.000  <think>look</think>\boxed{3}
       2  3                2.500  <think>look</think>\boxed{3 cm}
       3  B                3.000  <think>look</think>\boxed{B}
       4  unreadable       9.000  <think>I cannot
plan  by the planner
  voter → critic → self-check: so
voter  probabilities given by scripted-expert
  3: 0.250
  B: 0.750
critic  on 3
  count again
re-answer
  A  <think>look</think>\boxed{4}
self-check  lock step against noise (t = 500, seed 8336878444965273741)
  3  <think>look</think>\boxed{3}
route
  → sampler  a question begins with its samples
  → planner  the expert orders the modules
  → voter  next in the plan
  → critic  next in the plan
  → reanswer  the critique is in
  → self_check  next in the plan
  → decide  no module is left
voting dictionary
  answer  samples  voter  re-answer  self-check  votes
  3         0.600  0.125                  0.500  1.225  ████████████████
  B         0.400  0.375                         0.775  ██████████
  A                           0.500              0.500  ███████
answer: 3 cm  (49% of the votes)  wrong, it is A
a note
60 tokens read, 30 written, 3 expert calls by scripted-expert; sampler 0.25 s, planner
0.25 s, voter 0.25 s, critic 0.25 s, reanswer 0.25 s, self_check 0.25 s
"""


async def test_the_whole_account_of_a_run(picture):
    """Votes by hand: 3 has 4.5 / 7.5 + 0.5 / 4 + 0.5, B has 3 / 7.5 + 0.5 * 3 / 4, A has 0.5."""
    engine = ScriptedEngine((("3", 2.0), ("3 cm", 2.5), ("B", 3.0), ("", 9.0)), reanswer="4")
    expert = ScriptedExpert(votes={"3": 0.25, "B": 0.75})
    context = Context.of(engine, expert, routing="paper")
    trace = await answer(picture, "How long?", choices=("4", "5"), context=context)
    nodes = tuple(node.model_copy(update={"seconds": 0.25}) for node in trace.usage.nodes)
    timed = trace.model_copy(update={"usage": trace.usage.model_copy(update={"nodes": nodes})})
    console = Console(width=88)
    with console.capture() as capture:
        console.print(account(timed, title="embedded/test/0", gold="A", note="a note"))
    shown = [line.rstrip() for line in capture.get().splitlines()]
    assert shown == WHOLE.strip("\n").splitlines()


async def test_a_voter_that_was_not_asked_is_told(picture):
    text = await told(picture, engine=ScriptedEngine([("3", 1.0), ("3", 2.0)]))
    assert "voter  not asked" in text
    assert "probabilities given by" not in text


async def test_right_is_green_and_wrong_is_red(picture):
    assert "\x1b[1;32m  right" in await told(picture, gold="3", styled=True)
    assert "\x1b[1;31m  wrong" in await told(picture, gold="7", styled=True)


async def test_the_winner_s_row_stands_out(picture):
    text = await told(picture, styled=True)
    assert re.search(r"\x1b\[1;32m3 *\x1b", text)
    assert not re.search(r"\x1b\[1;32m4 *\x1b", text)
