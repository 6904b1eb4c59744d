"""Whole runs on scripted models: routes, ballots, failures, time limits, cancellation."""

import asyncio
import itertools
import math
import time
from collections.abc import AsyncIterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from importlib.metadata import version
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from langchain_core.callbacks import AsyncCallbackHandler
from PIL import Image
from scripted_models import ScriptedEngine, ScriptedExpert

from catts.agents.expert import Vote
from catts.agents.protocol import Usage
from catts.agents.waiting import served
from catts.errors import (
    EngineError,
    ImageError,
    InputError,
    MissingContextError,
    NodeFailedError,
    RoleError,
)
from catts.graph.build import build_graph
from catts.graph.context import Context
from catts.graph.embed import answer, summary
from catts.graph.instrument import LONGEST_RUN
from catts.graph.ledger import tally
from catts.graph.trace import Trace
from catts.names import MODULES
from catts.perception.noise import add_noise, noise_seed
from catts.question import Question

PICTURE = Image.new("RGB", (24, 16), "teal")


async def run(
    engine: ScriptedEngine | None = None,
    expert: ScriptedExpert | None = None,
    routing: str = "paper",
    **settings: Any,
) -> Trace:
    context = Context.of(
        engine or ScriptedEngine(), expert or ScriptedExpert(), routing=routing, **settings
    )
    return await answer(PICTURE, "How many dots?", context=context)


def others(trace: Trace, *sources: str) -> list[tuple[str, str, float]]:
    return [(b.source, b.answer, b.weight) for b in trace.ballots if b.source not in sources]


async def test_two_units_on_one_number_are_two_candidates_for_every_module() -> None:
    engine = ScriptedEngine(
        (("5 minutes", 2.0), ("5 min", 2.0), ("5 hours", 2.0), ("5 h", 2.0)),
        reanswer="5 hours",
        contrast="5",
    )
    expert = ScriptedExpert(votes={"5 min": 0.25, "5 h": 0.75})
    trace = await run(engine, expert, accept=0.9, tau1=0.4, tau2=0.3, tau3=0.2)
    assert trace.votes == pytest.approx({"5 h": 0.5 + 0.3 + 0.3, "5 min": 0.5 + 0.1, "5": 0.2})
    assert (trace.answer, trace.answer_text) == ("5 h", "5 hours")


async def test_answers_that_differ_only_in_writing_the_unit_are_one_candidate() -> None:
    engine = ScriptedEngine((("5", 2.0), ("5 min", 2.5)), reanswer="5 minutes", contrast="5 hours")
    trace = await run(engine, routing="parallel", tau1=0.4, tau2=0.3, tau3=0.2)
    assert trace.votes == pytest.approx({"5": 1 + 0.4 + 0.3, "5 h": 0.2})
    assert (trace.answer, trace.answer_text) == ("5", "5 min")


async def test_a_paper_run_casts_every_ballot_of_the_formula() -> None:
    engine = ScriptedEngine((("3", 2.0), ("3", 2.5), ("4", 3.0), ("", 9.0)))
    expert = ScriptedExpert(votes={"3": 0.25, "4": 0.75}, order=("critic", "voter", "self_check"))
    trace = await run(engine, expert, tau1=0.4, tau2=0.3, tau3=0.2)
    assert trace.votes["3"] == pytest.approx(4.5 / 7.5 + 0.4 * 0.25 + 0.2)
    assert trace.votes["4"] == pytest.approx(3.0 / 7.5 + 0.4 * 0.75 + 0.3)
    assert trace.answer == "4"
    assert [step for d in trace.route for step in d.to] == [
        "sampler", "planner", "critic", "reanswer", "voter", "self_check", "decide",
    ]  # fmt: skip
    assert engine.calls == ["sample", "reanswer", "contrast"]
    assert expert.calls == ["planner", "critic", "voter"]
    assert expert.criticised[0][0] == "3", "the critic reads the leader of V_internal"
    assert engine.critiques == ["count again"]
    assert trace.samples[3].answer is None
    assert not trace.failures
    assert trace.usage.total.calls == 6
    assert trace.usage.expert_calls == 3
    assert all(node.seconds > 0 for node in trace.usage.nodes)


async def test_a_single_candidate_gets_the_voter_s_votes_unasked() -> None:
    expert = ScriptedExpert()
    trace = await run(ScriptedEngine((("3", 2.0), ("3", 2.5), ("", 9.0))), expert, tau1=0.4)
    assert "voter" not in expert.calls
    assert [(b.answer, b.weight, b.reason) for b in trace.ballots if b.source == "voter"] == [
        ("3", 0.4, "the only candidate")
    ]
    assert trace.usage.expert_calls == 2, "planner and critic"
    assert not trace.failures


@pytest.mark.parametrize(
    ("said", "choices", "key", "text"),
    [
        ("12 cm", (), "12", "12 cm"),
        ("50%", (), "0.5", "50%"),
        ("Paris", (), "paris", "Paris"),
        ("b", ("red", "12 cm"), "B", "(B) 12 cm"),
    ],
)
async def test_people_get_the_answer_as_it_was_written(
    said: str, choices: tuple[str, ...], key: str, text: str
) -> None:
    engine = ScriptedEngine(((said, 2.0), (said, 1.0)), reanswer="7", contrast="8")
    context = Context.of(engine, ScriptedExpert(), routing="paper")
    trace = await answer(PICTURE, "Which?", choices=choices, context=context)
    assert (trace.answer, trace.answer_text) == (key, text)
    assert key in trace.votes
    assert trace.samples[0].said == said
    assert summary(trace).startswith(f"{text} (")


async def test_an_answer_that_no_sample_gave_has_its_words_from_who_gave_it() -> None:
    engine = ScriptedEngine((("3", 2.0), ("4", 2.0)), reanswer="12 cm", contrast="12 cm")
    trace = await run(engine)
    assert (trace.answer, trace.answer_text) == ("12 cm", "12 cm")


async def test_the_most_confident_sample_words_the_answer() -> None:
    trace = await run(ScriptedEngine((("12", 2.0), ("12 cm", 3.0), ("12", 1.0))))
    assert (trace.answer, trace.answer_text) == ("12", "12 cm")


async def test_what_the_voter_thinks_is_kept_whatever_it_weighs() -> None:
    trace = await run(expert=ScriptedExpert(votes={"3": 0.25, "4": 0.75}), tau1=0)
    assert trace.vote is not None
    assert trace.vote.probabilities == {"3": 0.25, "4": 0.75}
    alone = await run(ScriptedEngine((("3", 2.0), ("3", 2.5))))
    assert alone.vote is not None
    assert alone.vote.probabilities == {"3": 1.0}


async def test_the_nodes_times_lie_on_one_clock() -> None:
    before = time.time()
    trace = await run(ScriptedEngine(slow={"sample": 0.02}), routing="parallel")
    after = time.time()
    nodes = {node.node: node for node in trace.usage.nodes}
    for node in nodes.values():
        assert before - 0.01 <= node.started <= node.ended <= after + 0.01
        assert node.ended - node.started == pytest.approx(node.seconds, abs=1e-6)
        assert node.attempts == 1
    assert nodes["sampler"].ended <= nodes["voter"].started
    assert nodes["critic"].ended <= nodes["reanswer"].started
    assert trace.usage.latency == pytest.approx(
        max(n.ended for n in nodes.values()) - nodes["sampler"].started
    )
    assert trace.catts_version == version("catts")


async def test_the_noised_picture_can_be_made_again_from_the_trace() -> None:
    engine = ScriptedEngine()
    trace = await run(engine, noise_t=700)
    assert trace.self_check is not None
    (noised,) = trace.self_check.noised
    assert (noised.t, noised.region) == (700, None)
    assert noised.seed == noise_seed(trace.question.images[0], 700)
    assert engine.noised == [add_noise(PICTURE, noised.t, noised.seed).tobytes()]


@pytest.mark.parametrize("order", list(itertools.permutations(MODULES)))
async def test_any_order_of_the_modules_gives_the_same_tally(order: Any) -> None:
    votes = {"3": 0.3, "4": 0.7}
    mine = await run(expert=ScriptedExpert(votes=votes, order=order))
    reference = await run(expert=ScriptedExpert(votes=votes), routing="parallel")
    assert mine.votes == reference.votes
    assert mine.ballots == reference.ballots
    assert mine.answer == reference.answer


@settings(max_examples=15, deadline=None)
@given(
    said=st.lists(
        st.tuples(st.sampled_from(["3", "4", "5", ""]), st.floats(0.1, 9)), min_size=1, max_size=6
    ),
    order=st.permutations(MODULES),
    slow=st.permutations(("voter", "critic")),
    taus=st.tuples(*[st.floats(0, 2)] * 3),
)
def test_formula_and_order_hold_for_any_script(
    said: list[tuple[str, float]], order: Any, slow: Any, taus: tuple[float, float, float]
) -> None:
    def go(routing: str) -> Trace:
        engine = ScriptedEngine(said, reanswer="5", contrast="4", slow={"contrast": 0.001})
        expert = ScriptedExpert(order=order, slow={slow[0]: 0.002})
        tau1, tau2, tau3 = taus
        return asyncio.run(run(engine, expert, routing, tau1=tau1, tau2=tau2, tau3=tau3))

    paper, parallel = go("paper"), go("parallel")
    assert paper.votes == parallel.votes
    assert paper.answer == parallel.answer
    readable = [(a, c) for a, c in said if a]
    if not readable:
        assert paper.no_answer == "no_readable_answer"
        return
    total = math.fsum(c for _, c in readable)
    names = sorted({a for a, _ in readable})
    by_hand = {
        a: math.fsum(c for b, c in readable if b == a) / total + taus[0] / len(names) for a in names
    }
    by_hand["5"] = by_hand.get("5", 0.0) + taus[1]
    by_hand["4"] = by_hand.get("4", 0.0) + taus[2]
    assert paper.votes == pytest.approx(by_hand)
    assert paper.votes == tally(paper.ballots)


FAILURES = {
    "voter": (
        {}, {"voter": RoleError("voter", "no", cause="X")}, {"voter"}
    ),
    "critic": ({}, {"critic": RoleError("critic", "no")}, {"critic"}),
    "reanswer": ({"reanswer": EngineError("out of memory")}, {}, {"critic"}),
    "self_check": ({"contrast": EngineError("cannot")}, {}, {"self_check"}),
    "planner": ({}, {"planner": RoleError("planner", "no")}, set()),
}  # fmt: skip


@pytest.mark.parametrize("routing", ["paper", "parallel"])
@pytest.mark.parametrize("node", FAILURES)
async def test_a_failing_role_changes_no_other_ballot(node: str, routing: str) -> None:
    if (node, routing) == ("planner", "parallel"):
        pytest.skip("parallel calls no planner")
    engine_fails, expert_fails, lost = FAILURES[node]
    whole = await run(routing=routing)
    trace = await run(ScriptedEngine(fail=engine_fails), ScriptedExpert(fail=expert_fails), routing)
    assert trace.answer is not None
    assert trace.failed_nodes == (node,)
    assert others(trace) == others(whole, *lost)
    assert trace.failures[0].message
    run_of = {n.node: n for n in trace.usage.nodes}
    assert run_of[node].status == "failed"
    if node == "planner":
        assert trace.plan is not None
        assert (trace.plan.source, trace.plan.order) == ("default", MODULES)
    if node == "reanswer":
        assert trace.critique is not None, "what the critic said stays visible"


async def test_every_module_failing_still_answers_from_the_samples() -> None:
    trace = await run(
        ScriptedEngine(fail={"contrast": EngineError("no")}),
        ScriptedExpert(fail={r: RoleError(r, "down") for r in ("planner", "voter", "critic")}),
    )
    assert trace.answer == "3"
    assert trace.failed_nodes == ("planner", "voter", "critic", "self_check")
    assert others(trace, "sample") == []


async def test_a_failed_role_keeps_what_it_cost() -> None:
    from scripted_models import ONE_CALL

    error = RoleError("voter", "malformed twice", cause="ReplyError", usage=ONE_CALL + ONE_CALL)
    trace = await run(expert=ScriptedExpert(fail={"voter": error}))
    assert trace.failures[0].error == "ReplyError"
    assert trace.failures[0].message == "malformed twice"
    assert trace.usage.expert_calls == 4


async def test_a_failed_sampler_is_a_typed_absence_of_an_answer() -> None:
    engine = ScriptedEngine(fail={"sample": EngineError("out of memory")})
    trace = await run(engine)
    assert (trace.answer, trace.no_answer) == (None, "sampler_failed")
    assert trace.votes == {}
    assert trace.failures[0].message == "out of memory"
    assert engine.calls == ["sample"]


async def test_unreadable_and_unweighable_samples_are_told_apart() -> None:
    unreadable = await run(ScriptedEngine((("", 1.0), ("", 2.0))))
    assert (unreadable.answer, unreadable.no_answer) == (None, "no_readable_answer")
    unweighable = await run(ScriptedEngine((("3", 1.0),), kind="mean_logprob"))
    assert (unweighable.answer, unweighable.no_answer) == (None, "no_confidence")
    assert unweighable.samples[0].confidences == {"mean_logprob": 1.0}


async def test_unreadable_modules_cast_no_ballot() -> None:
    trace = await run(ScriptedEngine(reanswer="", contrast=""))
    assert others(trace, "sample", "voter") == []
    assert trace.reanswer is not None
    assert trace.reanswer.answer is None
    assert not trace.failures


@pytest.mark.parametrize(
    "votes",
    [{"3": 0.9, "4": 0.9}, {"3": float("nan"), "4": 1.0}, {"3": -0.5, "4": 1.5}],
)
async def test_a_plugged_in_voter_is_checked(votes: dict[str, float]) -> None:
    trace = await run(expert=ScriptedExpert(votes=votes))
    assert trace.failed_nodes == ("voter",)
    assert others(trace, "sample", "critic", "self_check") == []


async def test_a_plugged_in_planner_is_checked() -> None:
    trace = await run(expert=ScriptedExpert(order=("voter", "voter", "critic")))
    assert trace.failed_nodes == ("planner",)
    assert trace.answer is not None


async def test_a_role_that_failed_for_a_while_is_asked_again() -> None:
    class Flaky(ScriptedExpert):
        async def vote(self, *args: Any) -> Any:
            self.calls.append("vote")
            if self.calls.count("vote") < 3:
                raise RoleError("voter", "busy", cause="Busy", usage=Usage(calls=2), transient=True)
            return await super().vote(*args)

    kept = await run(expert=Flaky())
    assert not kept.failures
    node = next(n for n in kept.usage.nodes if n.node == "voter")
    assert (node.attempts, node.usage.calls) == (3, 2 + 2 + 1)
    busy = RoleError("voter", "busy", cause="Busy", usage=Usage(calls=2), transient=True)
    down = ScriptedExpert(fail={"voter": busy})
    for _ in range(2):
        trace = await run(expert=down)
        assert trace.failures[0].error == "Busy"
        node = next(n for n in trace.usage.nodes if n.node == "voter")
        assert (node.attempts, node.usage.calls) == (3, 3 * 2)
    assert down.calls.count("voter") == 2 * 3
    refused = ScriptedExpert(fail={"voter": RoleError("voter", "no", cause="Refused")})
    await run(expert=refused)
    assert refused.calls.count("voter") == 1


async def test_lost_connections_are_retried_and_then_a_failure() -> None:
    class Flaky(ScriptedEngine):
        async def contrast(self, *args: Any, **options: Any) -> Any:
            if self.calls.count("contrast") < 2:
                self.calls.append("contrast")
                raise EngineError("server gone") from ConnectionResetError()
            return await super().contrast(*args, **options)

    flaky = Flaky()
    kept = await run(flaky)
    assert not kept.failures
    assert {n.node: n.attempts for n in kept.usage.nodes}["self_check"] == 3
    assert flaky.calls.count("contrast") == 3
    down = ScriptedEngine(fail={"contrast": ConnectionRefusedError("no server")})
    trace = await run(down)
    assert trace.failures[0].error == "ConnectionRefusedError"
    assert {n.node: n.attempts for n in trace.usage.nodes}["self_check"] == 3
    assert down.calls.count("contrast") == 3
    refused = ScriptedEngine(fail={"contrast": EngineError("will not")})
    await run(refused)
    assert refused.calls.count("contrast") == 1, "what cannot get better is not tried again"


async def test_a_node_out_of_time_has_failed() -> None:
    expert = ScriptedExpert(slow={"voter": 30})
    context = Context.of(ScriptedEngine(), expert, routing="parallel", node_timeout=3.0)
    question = Question(text="?", images=(context.images.put(PICTURE),))
    result = await build_graph().ainvoke({"question": question}, context=context)
    assert [(f.node, f.error) for f in result["failures"]] == [("voter", "NodeTimeoutError")]
    assert {b.source for b in result["ballots"]} == {"sample", "critic", "self_check"}


class OneAtATime(ScriptedEngine):
    """Serves one call after another, as an engine does; each takes `work` seconds."""

    def __init__(self, work: float) -> None:
        super().__init__()
        self._work = work
        self._worker = ThreadPoolExecutor(max_workers=1)

    async def _act(self, method: str) -> None:
        await super()._act(method)
        future = self._worker.submit(time.sleep, self._work)
        await served(future, lambda: future.running() or future.done())


async def test_waiting_for_a_turn_is_not_a_node_s_time() -> None:
    engine = OneAtATime(0.3)
    context = Context.of(engine, ScriptedExpert(), routing="parallel", node_timeout=1.0)
    traces = await asyncio.gather(
        *(answer(PICTURE, f"Question {i}?", context=context) for i in range(6))
    )
    assert [trace.failures for trace in traces] == [()] * 6
    waited = max(node.seconds for trace in traces for node in trace.usage.nodes)
    assert waited > 1.0, "some node took longer than the limit, waiting included"


async def test_work_that_takes_too_long_has_failed_however_long_it_waited() -> None:
    context = Context.of(OneAtATime(1.0), ScriptedExpert(), node_timeout=0.5)
    trace = await answer(PICTURE, "?", context=context)
    assert [(f.node, f.error) for f in trace.failures] == [("sampler", "NodeTimeoutError")]
    assert trace.no_answer == "sampler_failed"


async def test_a_lost_connection_and_then_no_time_left_are_two_attempts() -> None:
    class Flaky(ScriptedEngine):
        async def contrast(self, *args: Any, **options: Any) -> Any:
            if "contrast" not in self.calls:
                self.calls.append("contrast")
                raise ConnectionResetError("gone")
            return await super().contrast(*args, **options)

    context = Context.of(Flaky(slow={"contrast": 30}), ScriptedExpert(), node_timeout=0.5)
    before = time.time()
    trace = await answer(PICTURE, "?", context=context)
    (node,) = (n for n in trace.usage.nodes if n.node == "self_check")
    assert (node.status, node.attempts) == ("failed", 2)
    assert 0.7 < node.seconds < 3, "a pause and half a second"
    assert before < node.started <= node.ended <= time.time()
    assert trace.usage.latency >= node.seconds


async def test_attempts_are_a_setting() -> None:
    down = ScriptedEngine(fail={"contrast": ConnectionRefusedError("no server")})
    context = Context.of(down, ScriptedExpert(), attempts=1, routing="paper")
    trace = await answer(PICTURE, "?", context=context)
    assert trace.failed_nodes == ("self_check",)
    assert down.calls.count("contrast") == 1


async def test_the_pauses_between_attempts_grow_from_a_fifth_of_a_second_to_five(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pauses: list[float] = []
    sleep = asyncio.sleep

    async def noted(seconds: float) -> None:
        pauses.extend([seconds] if seconds else [])
        await sleep(0)

    monkeypatch.setattr(asyncio, "sleep", noted)
    down = ScriptedEngine(fail={"contrast": ConnectionRefusedError("no server")})
    trace = await run(down, attempts=8)
    assert trace.failed_nodes == ("self_check",)
    assert len(pauses) == 7
    for attempt, pause in enumerate(pauses):
        least = 0.2 * 2**attempt
        assert min(least, 5.0) <= pause <= min(least + 1, 5.0), "up to a second is chance"


@pytest.mark.parametrize("routing", ["paper", "parallel"])
async def test_a_defect_ends_the_run_with_its_cause(routing: str) -> None:
    with pytest.raises(NodeFailedError, match="voter failed with KeyError") as caught:
        await run(expert=ScriptedExpert(fail={"voter": KeyError("bug")}), routing=routing)
    assert isinstance(caught.value.__cause__, KeyError)


async def test_a_missing_image_is_the_callers_error() -> None:
    context = Context.of(ScriptedEngine(), ScriptedExpert())
    with pytest.raises(ImageError, match="no image"):
        await build_graph().ainvoke(
            {"question": Question(text="?", images=("0" * 64,))}, context=context
        )


@pytest.mark.parametrize("context", [None, "x"])
async def test_a_missing_context_is_a_typed_error(context: Any) -> None:
    with pytest.raises(MissingContextError, match=r"call it with context=Context\.of"):
        await build_graph().ainvoke({"question": Question(text="?")}, context=context)


async def test_a_context_of_other_fields_is_refused_by_langgraph() -> None:
    """It makes a context of a dict before any node of ours runs."""
    with pytest.raises(TypeError, match="Context"):
        await build_graph().ainvoke({"question": Question(text="?")}, context={})  # type: ignore[arg-type]


async def test_cancelling_cancels() -> None:
    asked = asyncio.Event()

    class Slow(ScriptedEngine):
        async def sample(self, *args: Any, **options: Any) -> Any:
            asked.set()
            await asyncio.sleep(60)

    task = asyncio.create_task(run(Slow()))
    await asked.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_thirty_two_questions_at_once_do_not_mix() -> None:
    class Echo(ScriptedEngine):
        async def sample(self, question: Question, images: Any, params: Any) -> Any:
            number = question.text.split()[-1]
            self._samples = ()
            await asyncio.sleep(int(number) % 5 / 100)
            assert images[0].size == (int(number) + 1, 9)
            mine = ScriptedEngine(((number, 2.0), (f"9{number}", 1.5)))
            return await mine.sample(question, images, params)

        async def reanswer(self, question: Question, images: Any, **options: Any) -> Any:
            mine = ScriptedEngine(reanswer=question.text.split()[-1])
            return await mine.reanswer(question, images, **options)

        async def contrast(self, question: Question, *args: Any, **options: Any) -> Any:
            mine = ScriptedEngine(contrast=question.text.split()[-1])
            return await mine.contrast(question, *args, **options)

    context = Context.of(Echo(), ScriptedExpert(), routing="parallel")
    seen: dict[int, list[str]] = {}

    def ask(n: int) -> Any:
        return answer(
            Image.new("RGB", (n + 1, 9)),
            f"Say {n}",
            context=context,
            on_event=lambda event: seen.setdefault(n, []).append(event.question),
        )

    traces = await asyncio.gather(*(ask(n) for n in range(32)))
    for n, trace in enumerate(traces):
        assert trace.answer == str(n)
        assert set(trace.votes) == {str(n), f"9{n}"}
        assert len(trace.ballots) == 6
        assert set(seen[n]) == {trace.question.digest}


class Recorder:
    def __init__(self) -> None:
        self.spans: list[tuple[str, str]] = []

    @asynccontextmanager
    async def node(self, name: str, question: str) -> AsyncIterator["Recorder"]:
        self.spans.append(("start", name))
        self.last = name
        try:
            yield self
        except BaseException as error:
            self.spans.append((type(error).__name__, name))
            raise
        self.spans.append(("end", name))

    def result(self, update: Mapping[str, object]) -> None:
        self.spans.append(("result", self.last))
        assert update


async def test_an_observer_sees_start_result_and_end_of_every_node() -> None:
    watch = Recorder()
    expert = ScriptedExpert(fail={"voter": RoleError("voter", "no")})
    await run(expert=expert, observer=watch)
    for name in ("sampler", "planner", "critic", "reanswer", "self_check", "route", "decide"):
        at = watch.spans.index(("start", name))
        assert watch.spans[at : at + 3] == [("start", name), ("result", name), ("end", name)]
    at = watch.spans.index(("start", "voter"))
    assert watch.spans[at + 1] == ("RoleError", "voter")


async def test_the_callers_callbacks_see_the_nodes() -> None:
    names: set[str] = set()

    class Handler(AsyncCallbackHandler):
        async def on_chain_start(self, *args: Any, **options: Any) -> None:
            names.add(str(options.get("name")))

    context = Context.of(ScriptedEngine(), ScriptedExpert(), routing="paper")
    await answer(PICTURE, "?", context=context, config={"callbacks": [Handler()]})
    assert {"catts", "sampler", "voter", "decide"} <= names


async def test_a_single_node_runs_alone(picture: Image.Image) -> None:
    from langgraph.runtime import Runtime

    from catts.graph.state import State

    context = Context.of(ScriptedEngine(), ScriptedExpert())
    question = Question(text="?", images=(context.images.put(picture),))
    update = (
        await build_graph()
        .nodes["sampler"]
        .bound.ainvoke(
            State(question=question, context_fingerprint=context.fingerprint),
            {"configurable": {"__pregel_runtime": Runtime(context=context)}},
        )
    )
    assert len(update["samples"]) == 4


@pytest.mark.parametrize("failing", [(), ("planner", "voter", "critic"), ("sampler",)])
async def test_the_longest_run_fits_the_limit(failing: tuple[str, ...]) -> None:
    order = ("critic", "voter", "self_check")
    expert = ScriptedExpert(order=order, fail={r: RoleError(r, "no") for r in failing})
    engine = ScriptedEngine(fail={"sample": EngineError("no")} if "sampler" in failing else {})
    context = Context.of(engine, expert, routing="paper")
    question = Question(text="?", images=(context.images.put(PICTURE),))
    steps = 0
    async for _ in build_graph().astream(
        {"question": question}, context=context, stream_mode="updates"
    ):
        steps += 1
    assert steps <= LONGEST_RUN - 4, "and some to spare for a run that is resumed"


async def test_a_limit_that_is_too_small_is_told_before_anything_is_asked() -> None:
    engine = ScriptedEngine()
    context = Context.of(engine, ScriptedExpert(), routing="paper")
    question = Question(text="?", images=(context.images.put(PICTURE),))
    with pytest.raises(InputError, match="recursion_limit"):
        await build_graph().ainvoke(
            {"question": question}, {"recursion_limit": 10}, context=context
        )
    assert engine.calls == []


@pytest.mark.parametrize(
    ("reanswer", "contrast", "key", "text"),
    [
        ("7", "twelve cm", "12 cm", "twelve cm"),
        ("12 centimetres", "7", "12 cm", "12 centimetres"),
        ("7 metres", "12 cm", "7 m", "7 metres"),
    ],
)
async def test_the_words_are_those_of_who_gave_the_answer(
    reanswer: str, contrast: str, key: str, text: str
) -> None:
    engine = ScriptedEngine((("3", 2.0), ("4", 2.0)), reanswer=reanswer, contrast=contrast)
    weights = {"tau2": 2.0, "tau3": 1.0} if text == reanswer else {"tau2": 1.0, "tau3": 2.0}
    trace = await run(engine, **weights)
    assert (trace.answer, trace.answer_text) == (key, text)


@pytest.mark.parametrize("told", [(-0.2, 0.6, 0.6), (0.5, 0.5), (0.5, 0.4, 0.2), (0.2, 0.3, 0.4)])
async def test_a_vote_that_is_no_distribution_has_failed(told: tuple[float, ...]) -> None:
    class Odd(ScriptedExpert):
        async def vote(self, *args: Any) -> Any:
            result = await super().vote(*args)
            return result.model_copy(update={"reply": Vote(probabilities=told)})

    engine = ScriptedEngine((("3", 2.0), ("4", 2.0), ("5", 2.0)))
    trace = await run(engine, Odd())
    assert trace.failed_nodes == ("voter",)
    assert trace.usage.expert_calls == 3, "and what it cost is counted"


@pytest.mark.parametrize("where", ["enter", "result", "exit"])
@pytest.mark.parametrize("node", ["sampler", "voter", "route", "decide"])
async def test_what_an_observer_raises_comes_out_unchanged(node: str, where: str) -> None:
    class Raising:
        @asynccontextmanager
        async def node(self, name: str, question: str) -> AsyncIterator[Any]:
            faulty = name == node
            if faulty and where == "enter":
                raise KeyError("lost")

            class Here:
                def result(self, update: Mapping[str, object]) -> None:
                    if faulty and where == "result":
                        raise KeyError("lost")

            yield Here()
            if faulty and where == "exit":
                raise KeyError("lost")

    with pytest.raises(KeyError, match="lost"):
        await run(observer=Raising())
