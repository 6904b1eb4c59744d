"""Each check of a storm can fail: it is shown traces that somebody tampered with."""

from dataclasses import replace
from typing import Any

import pytest
from PIL import Image
from scripted_models import ScriptedEngine, ScriptedExpert

from catts.errors import EngineError, RoleError
from catts.evals.chaos.checks import (
    Witness,
    changed_winner,
    checked,
    crossed,
    early,
    from_garbage,
    misnamed,
)
from catts.evals.chaos.outcome import Outcome
from catts.evals.chaos.script import Case
from catts.evals.chaos.server import RETRY_AFTER_S, Said
from catts.graph.context import Context
from catts.graph.embed import answer
from catts.graph.ledger import Ballot, tally
from catts.graph.records import Failure
from catts.graph.trace import Trace

MARK, OTHER = "[0123456789ab]", "[ba9876543210]"
CASE = Case(0, "embedded/test/0", MARK, "gemini", "paper", False, None)
HURRIED = CASE._replace(hurried=True)
LIMIT = 0.5
PROBABILITIES = {"3": 0.25, "4": 0.75}


async def asked(engine: ScriptedEngine | None = None, **fail: Exception) -> Trace:
    expert = ScriptedExpert(votes=PROBABILITIES, critique=f"Is it 3 {MARK}?", fail=fail)
    context = Context.of(engine or ScriptedEngine(), expert, routing="paper")
    return await answer(Image.new("RGB", (24, 16)), "How many dots?", context=context)


def witness(case: Case = CASE, doomed: tuple[Any, ...] = (), **said: Any) -> Witness:
    fields: dict[Any, Any] = {
        "planner": {"order": ["voter", "critic", "self_check"]},
        "voter": {"probabilities": list(PROBABILITIES.values())},
        "critic": {"critique": f"Is it 3 {MARK}?"},
    }
    heard = {
        role: [Said(case, role, None if told else "no JSON", (), told)]
        for role, told in (fields | said).items()
    }
    done: Any = {"sample": [None], "reanswer": [None], "contrast": [None]}
    return Witness(case, heard, done, frozenset(doomed))


def changed(trace: Trace, **fields: Any) -> Trace:
    """The trace with other fields, its votes counted anew."""
    ballots = fields.get("ballots", trace.ballots)
    return Trace.model_validate(
        {name: getattr(trace, name) for name in Trace.model_fields}
        | {"votes": tally(ballots)}
        | fields
    )


async def test_a_sound_trace_passes_every_check() -> None:
    trace = await asked()
    assert trace.vote is not None
    assert misnamed(trace, witness(), LIMIT) == []
    assert from_garbage(trace, witness()) == []
    assert changed_winner(trace, witness()) == []
    assert crossed(trace, CASE, {MARK, OTHER}) == []


async def test_a_role_that_failed_passes_where_it_was_doomed() -> None:
    trace = await asked(ScriptedEngine(fail={"reanswer": EngineError("no")}), voter=failure())
    known = witness(doomed=("voter", "reanswer"), voter=None)
    assert misnamed(trace, known, LIMIT) == []
    assert from_garbage(trace, known) == []
    assert changed_winner(trace, known) == []


def failure() -> RoleError:
    return RoleError("voter", "malformed reply, twice", cause="ReplyError")


async def test_a_failure_that_is_not_named_is_found() -> None:
    trace = await asked()
    assert misnamed(trace, witness(doomed=("voter",)), LIMIT) == [
        "voter failed for good and is not named"
    ]
    failed = await asked(voter=failure())
    hidden = changed(failed, failures=(), failed_nodes=())
    assert misnamed(hidden, witness(doomed=("voter",)), LIMIT)
    assert misnamed(changed(failed, failed_nodes=()), witness(doomed=("voter",)), LIMIT)


async def test_a_failure_that_nobody_scripted_is_found() -> None:
    trace = await asked(voter=failure())
    (found,) = misnamed(trace, witness(), LIMIT)
    assert found == "voter is named: ReplyError: malformed reply, twice"
    twice = changed(trace, failures=(*trace.failures, *trace.failures))
    assert "voter is named twice" in misnamed(twice, witness(doomed=("voter",)), LIMIT)


@pytest.mark.parametrize(
    ("case", "error", "seconds", "passes"),
    [
        (HURRIED, "NodeTimeoutError", LIMIT, True),
        (HURRIED, "NodeTimeoutError", LIMIT / 2, False),
        (HURRIED, "EngineError", LIMIT, False),
        (CASE, "NodeTimeoutError", LIMIT, False),
    ],
)
async def test_only_a_hurried_node_that_used_up_its_time_may_be_named_beside(
    case: Case, error: str, seconds: float, passes: bool
) -> None:
    trace = await asked()
    runs = tuple(
        run.model_copy(update={"seconds": seconds}) if run.node == "self_check" else run
        for run in trace.usage.nodes
    )
    late = changed(
        trace,
        usage=trace.usage.model_copy(update={"nodes": runs}),
        failures=(Failure(node="self_check", error=error, message="late"),),
        failed_nodes=("self_check",),
    )
    assert (misnamed(late, witness(case), LIMIT) == []) is passes


@pytest.mark.parametrize("source", ["voter", "critic", "self_check", "sample"])
async def test_a_ballot_from_nowhere_is_found(source: Any) -> None:
    trace = await asked()
    stuffed = Ballot(source=source, answer="4", weight=0.125, reason="stuffed")
    found = from_garbage(changed(trace, ballots=(*trace.ballots, stuffed)), witness())
    assert found == [f"a ballot of the {source}: 0.125 for 4"]


@pytest.mark.parametrize(
    ("role", "told", "count"),
    [
        ("voter", None, 2),
        ("voter", {"probabilities": [0.75, 0.25]}, 2),
        ("critic", None, 1),
        ("critic", {"critique": "Something else."}, 1),
        ("planner", None, 1),
        ("planner", {"order": ["critic", "voter", "self_check"]}, 1),
    ],
)
async def test_what_follows_from_no_well_formed_reply_is_found(
    role: str, told: Any, count: int
) -> None:
    assert len(from_garbage(await asked(), witness(**{role: told}))) == count


async def test_a_self_check_whose_call_failed_is_found() -> None:
    failed = witness()._replace(done={"contrast": ["EngineError"]})
    assert len(from_garbage(await asked(), failed)) == 1


async def test_another_winner_is_found() -> None:
    trace = await asked()
    loser = next(a for a in trace.votes if a != trace.answer)
    assert changed_winner(changed(trace, answer=loser), witness()) == [
        f"{loser} won, and {trace.answer} should have"
    ]


async def test_a_ballot_of_a_failed_role_is_found() -> None:
    trace = await asked()
    failed = changed(
        trace,
        failures=(Failure(node="voter", error="ReplyError", message="no"),),
        failed_nodes=("voter",),
    )
    assert "the voter failed and cast a ballot" in changed_winner(failed, witness())


async def test_the_mark_of_another_question_is_found() -> None:
    trace = await asked()
    assert trace.critique is not None
    mixed = trace.critique.model_copy(update={"text": f"Is it 3 {OTHER}?"})
    assert crossed(changed(trace, critique=mixed), CASE, {MARK, OTHER}) == [
        f"the mark {OTHER} of another question"
    ]
    assert crossed(changed(trace, critique=mixed), CASE, {MARK}) == [], "nobody's mark"


def limited(*began: float, ended: float | None) -> Witness:
    """A voter that a reply of 429, which ended then, met first; its requests began at these."""
    first, *others = (Said(CASE, "voter", None, began=at) for at in began)
    first = replace(first, fault="rate-limited", ended=ended)
    return witness()._replace(said={"voter": [first, *others]})


@pytest.mark.parametrize(
    ("again", "ended", "found"),
    [
        (7.5, 5.0, ["the voter asked again 2.50 s after a reply of 429"]),
        (5.0, 5.0, ["the voter asked again 0.00 s after a reply of 429"]),
        (8.0, 5.0, []),
        (4.5, 5.0, []),
        (5.5, None, []),
    ],
)
def test_a_request_before_retry_after_has_passed_is_found(
    monkeypatch: pytest.MonkeyPatch, again: float, ended: float | None, found: list[str]
) -> None:
    monkeypatch.setattr("catts.evals.chaos.checks.RETRY_AFTER_S", 3)
    assert early(limited(4.0, again, again, ended=ended)) == found


@pytest.mark.parametrize(("cancelled", "count"), [(False, 1), (True, 0)])
def test_only_who_was_not_cancelled_has_to_know_of_a_429(cancelled: bool, count: int) -> None:
    known = limited(0.0, RETRY_AFTER_S / 2, ended=0.0)
    ended = Outcome(CASE, None, cancelled, EngineError("no"))
    assert len(checked([ended], lambda case: known, [], LIMIT)["early"]) == count
