"""What the progress events of a run say, and what readers of them may rely on."""

import pytest
from PIL import Image
from pydantic import ValidationError
from scripted_models import ScriptedEngine, ScriptedExpert

from catts.errors import EngineError, RoleError
from catts.graph.context import Context
from catts.graph.embed import answer
from catts.graph.events import (
    Answered,
    Criticised,
    Event,
    Failed,
    Finished,
    Planned,
    Routed,
    Sampled,
    Started,
    parse_event,
)

STARTED = {"v": 1, "event": "started", "question": "abc", "node": "voter", "attempt": 2}


async def test_events_say_what_the_trace_says(picture: Image.Image) -> None:
    expert = ScriptedExpert(
        order=("critic", "voter", "self_check"),
        fail={"voter": RoleError("voter", "no", cause="ReplyError")},
    )
    context = Context.of(ScriptedEngine(), expert, routing="paper")
    events: list[Event] = []
    trace = await answer(picture, "How many?", context=context, on_event=events.append)
    assert {event.question for event in events} == {trace.question.digest}
    (sampled,) = (e for e in events if isinstance(e, Sampled))
    assert sampled.answers == ("3", "3", "4", None)
    assert sampled.confidences == (2.0, 2.5, 3.0, 9.0)
    assert sampled.confidence_kind == "top_k_mean"
    (planned,) = (e for e in events if isinstance(e, Planned))
    assert trace.plan is not None
    assert planned.order == trace.plan.order == ("critic", "voter", "self_check")
    assert (planned.source, planned.reason) == ("planner", "so")
    (criticised,) = (e for e in events if isinstance(e, Criticised))
    assert (criticised.answer, criticised.text) == ("3", "count again")
    (failed,) = (e for e in events if isinstance(e, Failed))
    assert (failed.node, failed.error, failed.message) == ("voter", "ReplyError", "no")
    assert [(e.to, e.rule, e.reason, e.numbers) for e in events if isinstance(e, Routed)] == [
        (d.to, d.rule, d.reason, d.numbers) for d in trace.route
    ]
    done = {e.node: (e.seconds, e.usage) for e in events if isinstance(e, Finished)}
    runs = [run for run in trace.usage.nodes if run.status == "ok"]
    assert done == {run.node: (run.seconds, run.usage) for run in runs}
    assert "voter" not in done, "which failed"
    assert {e.node for e in events if isinstance(e, Started)} == {*done, "voter"}
    last = events[-1]
    assert isinstance(last, Answered)
    assert (last.node, last.answer, last.answer_text) == ("decide", "3", "3")
    assert (last.no_answer, last.votes) == (None, trace.votes)


async def test_the_last_event_says_why_there_is_no_answer(picture: Image.Image) -> None:
    context = Context.of(ScriptedEngine(fail={"sample": EngineError("no")}), ScriptedExpert())
    events: list[Event] = []
    await answer(picture, "How many?", context=context, on_event=events.append)
    last = events[-1]
    assert isinstance(last, Answered)
    assert (last.answer, last.answer_text, last.no_answer) == (None, None, "sampler_failed")
    assert last.votes == {}


def test_an_event_with_fields_added_since_can_be_read() -> None:
    assert parse_event(STARTED | {"color": "red"}) == Started(
        question="abc", node="voter", attempt=2
    )
    with pytest.raises(ValidationError):
        parse_event(STARTED | {"v": 2})


def test_an_event_cannot_be_changed_by_who_hears_it_first() -> None:
    event = parse_event(STARTED)
    with pytest.raises(ValidationError, match="frozen"):
        event.node = "critic"  # type: ignore[misc]
