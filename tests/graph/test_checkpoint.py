"""Runs that are stored, killed, resumed, and resumed wrongly."""

import asyncio
import logging
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer
from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver
from PIL import Image
from scripted_models import ScriptedEngine, ScriptedExpert

from catts.errors import ContextMismatchError, InputError, NodeFailedError, RoleError
from catts.graph.build import build_graph
from catts.graph.context import Context
from catts.graph.embed import answer
from catts.graph.records import Failure
from catts.graph.state import CHECKPOINT_TYPES, State
from catts.graph.trace import Trace
from catts.images import ImageStore
from catts.question import Question

THREAD: Any = {"configurable": {"thread_id": "one"}}


@pytest.fixture(params=["memory", "sqlite"])
async def saver(
    request: pytest.FixtureRequest, tmp_path: Path
) -> AsyncIterator[BaseCheckpointSaver[Any]]:
    if request.param == "memory":
        yield InMemorySaver()
        return
    async with AsyncSqliteSaver.from_conn_string(str(tmp_path / "runs.sqlite")) as held:
        yield held


def context(engine: ScriptedEngine | None = None, **options: Any) -> Context:
    expert = options.pop("expert", None) or ScriptedExpert()
    return Context.of(engine or ScriptedEngine(), expert, **{"routing": "paper", **options})


def same(one: Trace, other: Trace) -> bool:
    """Equal but for the clock."""
    return one.model_dump(exclude={"usage"}) == other.model_dump(exclude={"usage"})


async def test_a_stored_run_answers_like_an_unstored_one(
    saver: BaseCheckpointSaver[Any], picture: Image.Image, caplog: pytest.LogCaptureFixture
) -> None:
    held = context()
    plain = await answer(picture, "?", context=held)
    with caplog.at_level(logging.WARNING):
        stored = await answer(picture, "?", context=held, checkpointer=saver, config=THREAD)
        graph = build_graph(saver)
        state = State.model_validate((await graph.aget_state(THREAD)).values)
    assert same(plain, stored)
    assert state.ballots == plain.ballots
    assert state.samples == plain.samples
    assert isinstance(state.question, Question)
    assert not caplog.records, "reading our types back warns of nothing"


async def test_the_history_holds_our_types_and_not_dicts(
    saver: BaseCheckpointSaver[Any], picture: Image.Image
) -> None:
    await answer(picture, "?", context=context(), checkpointer=saver, config=THREAD)
    seen: set[type] = set()
    as_dicts: set[str] = set()
    async for snapshot in build_graph(saver).aget_state_history(THREAD):
        for channel, value in snapshot.values.items():
            types = {type(v) for v in (value if isinstance(value, (list, tuple)) else [value])}
            seen |= types
            as_dicts |= {channel} if dict in types else set()
    assert set(CHECKPOINT_TYPES) - seen == {Failure}, "nothing failed, and all else is stored"
    assert as_dicts == {"votes"}, "which is a dict; a record that is one was not read back"


def test_the_allow_list_reads_nothing_else(caplog: pytest.LogCaptureFixture) -> None:
    graph = build_graph(InMemorySaver())
    assert isinstance(graph.checkpointer, InMemorySaver)
    serde = graph.checkpointer.serde
    foreign = JsonPlusSerializer().dumps_typed(signal.SIGKILL)
    with caplog.at_level(logging.WARNING):
        assert not isinstance(serde.loads_typed(foreign), signal.Signals)
    assert "Blocked" in caplog.text


def test_a_callers_own_allow_list_is_kept() -> None:
    own = InMemorySaver(serde=JsonPlusSerializer(allowed_msgpack_modules=[("signal", "Signals")]))
    graph = build_graph(own)
    assert isinstance(graph.checkpointer, InMemorySaver)
    serde = graph.checkpointer.serde
    assert serde.loads_typed(serde.dumps_typed(signal.SIGKILL)) is signal.SIGKILL
    question = Question(text="?")
    assert serde.loads_typed(serde.dumps_typed(question)) == question
    assert own.serde is not serde, "the caller's saver is left as it was"


async def stored_bytes(saver: AsyncSqliteSaver) -> int:
    total = 0
    for query in (
        "SELECT sum(length(checkpoint) + length(metadata)) FROM checkpoints",
        "SELECT sum(length(value)) FROM writes",
    ):
        async with saver.conn.execute(query) as cursor:
            row = await cursor.fetchone()
            assert row is not None
            total += row[0]
    return total


async def test_checkpoints_are_small_whatever_the_image(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (4000, 4000, 3), dtype=np.uint8)
    sizes = {}
    for name, image in {
        "small": Image.new("RGB", (8, 8)),
        "large": Image.fromarray(pixels),
    }.items():
        path = tmp_path / f"{name}.sqlite"
        async with AsyncSqliteSaver.from_conn_string(str(path)) as held:
            await answer(image, "?", context=context(noise_t=10), checkpointer=held, config=THREAD)
            sizes[name] = await stored_bytes(held)
    assert sizes["large"] < 200_000, "the pixels alone are 48 million bytes"
    assert abs(sizes["large"] - sizes["small"]) < 2_000


async def test_each_step_is_stored_before_the_next_one_begins(picture: Image.Image) -> None:
    stored: list[set[str]] = []

    class Slow(InMemorySaver):
        async def aput(self, config: Any, checkpoint: Any, *rest: Any) -> Any:
            await asyncio.sleep(0.05)
            told = await super().aput(config, checkpoint, *rest)
            stored.append({run.node for run in checkpoint["channel_values"].get("runs", ())})
            return told

    class Watching(ScriptedExpert):
        async def _act(self, role: str) -> None:
            await super()._act(role)
            at_call[role] = stored[-1]

    at_call: dict[str, set[str]] = {}
    expert = Watching(order=("voter", "critic", "self_check"))
    await answer(picture, "?", context=context(expert=expert), checkpointer=Slow(), config=THREAD)
    assert at_call == {
        "planner": {"sampler"},
        "voter": {"sampler", "planner"},
        "critic": {"sampler", "planner", "voter"},
    }


def run_program(folder: Path, die_in: str, routing: str = "paper") -> Any:
    program = Path(__file__).parent / "sqlite_run.py"
    arguments = [folder / "runs.sqlite", folder / "images", folder / "log", die_in, routing]
    return subprocess.run(
        [sys.executable, program, *map(str, arguments)], capture_output=True, text=True
    )


@pytest.mark.slow
@pytest.mark.parametrize(
    ("die_in", "routing"), [("voter", "paper"), ("contrast", "paper"), ("reanswer", "parallel")]
)
def test_a_killed_run_resumes_without_redoing_finished_nodes(
    tmp_path: Path, die_in: str, routing: str
) -> None:
    (whole := tmp_path / "whole").mkdir()
    (killed := tmp_path / "killed").mkdir()
    reference = Trace.model_validate_json(run_program(whole, "-", routing).stdout)
    assert run_program(killed, die_in, routing).returncode == -signal.SIGKILL
    before = (killed / "log").read_text().split()
    assert before[-1] == die_in
    second = run_program(killed, "-", routing)
    assert second.returncode == 0, second.stderr
    assert second.stderr == "", "no warning on the way"
    resumed = Trace.model_validate_json(second.stdout)
    assert same(reference, resumed)
    after = (killed / "log").read_text().split()[len(before) :]
    assert after[0] == die_in
    assert not set(after) & set(before[:-1]), "finished nodes are not asked again"


async def test_another_context_cannot_resume_and_the_right_one_still_can(
    saver: BaseCheckpointSaver[Any], picture: Image.Image
) -> None:
    broken = ScriptedExpert(fail={"voter": KeyError("bug")})
    images = ImageStore()
    with pytest.raises(NodeFailedError):
        await answer(
            picture, "?", context=context(expert=broken, images=images), checkpointer=saver,
            config=THREAD,
        )  # fmt: skip
    others = {
        "policy": context(images=images, tau1=0.4),
        "engine": context(ScriptedEngine(fingerprint="other"), images=images),
        "expert": context(expert=ScriptedExpert(critique="other"), images=images),
    }
    for other in others.values():
        with pytest.raises(ContextMismatchError, match="other models, prompts or policy"):
            await answer(picture, "?", context=other, checkpointer=saver, config=THREAD)
    engine, expert = ScriptedEngine(), ScriptedExpert()
    mended = context(engine, expert=expert, images=images)
    trace = await answer(picture, "?", context=mended, checkpointer=saver, config=THREAD)
    assert engine.calls.count("sample") == 0, "the samples were kept"
    assert expert.calls.count("voter") == 1
    whole = await answer(picture, "?", context=context())
    assert trace.votes == whole.votes
    assert not trace.failures


@pytest.mark.parametrize("routing", ["paper", "parallel"])
async def test_a_defect_mended_resumes_where_it_stood(
    saver: BaseCheckpointSaver[Any], picture: Image.Image, routing: str
) -> None:
    images = ImageStore()
    for _ in range(2):
        broken = ScriptedExpert(fail={"voter": KeyError("bug")})
        with pytest.raises(NodeFailedError):
            await answer(
                picture, "?", context=context(expert=broken, images=images, routing=routing),
                checkpointer=saver, config=THREAD,
            )  # fmt: skip
    engine = ScriptedEngine()
    trace = await answer(
        picture, "?", context=context(engine, images=images, routing=routing),
        checkpointer=saver, config=THREAD,
    )  # fmt: skip
    whole = await answer(picture, "?", context=context(routing=routing))
    assert trace.ballots == whole.ballots
    assert "sample" not in engine.calls


async def test_a_resumed_run_words_the_answer_as_the_stored_reanswer_did(
    saver: BaseCheckpointSaver[Any], picture: Image.Image
) -> None:
    images = ImageStore()
    defect = ScriptedEngine(reanswer="12 cm", contrast="7", fail={"contrast": KeyError("bug")})
    with pytest.raises(NodeFailedError):
        await answer(
            picture, "?", context=context(defect, images=images, tau2=2.0),
            checkpointer=saver, config=THREAD,
        )  # fmt: skip
    mended = ScriptedEngine(reanswer="12 cm", contrast="7")
    trace = await answer(
        picture, "?", context=context(mended, images=images, tau2=2.0),
        checkpointer=saver, config=THREAD,
    )  # fmt: skip
    assert mended.calls == ["contrast"]
    assert (trace.answer, trace.answer_text) == ("12 cm", "12 cm")


async def test_a_defect_in_the_sampler_resumes_too(
    saver: BaseCheckpointSaver[Any], picture: Image.Image
) -> None:
    broken = ScriptedEngine(fail={"sample": KeyError("bug")})
    with pytest.raises(NodeFailedError):
        await answer(picture, "?", context=context(broken), checkpointer=saver, config=THREAD)
    trace = await answer(picture, "?", context=context(), checkpointer=saver, config=THREAD)
    assert trace.answer is not None


async def test_a_thread_may_hold_a_second_question(
    saver: BaseCheckpointSaver[Any], picture: Image.Image
) -> None:
    broken = ScriptedExpert(fail={"voter": RoleError("voter", "no")})
    first = await answer(
        picture, "One?", context=context(expert=broken), checkpointer=saver, config=THREAD
    )
    second = await answer(picture, "Two?", context=context(), checkpointer=saver, config=THREAD)
    assert first.failed_nodes == ("voter",)
    assert same(second, await answer(picture, "Two?", context=context()))


async def test_a_second_question_whose_sampler_fails_keeps_nothing_of_the_first(
    saver: BaseCheckpointSaver[Any], picture: Image.Image
) -> None:
    from catts.errors import EngineError

    await answer(picture, "One?", context=context(), checkpointer=saver, config=THREAD)
    failing = context(ScriptedEngine(fail={"sample": EngineError("no")}))
    trace = await answer(picture, "Two?", context=failing, checkpointer=saver, config=THREAD)
    assert (trace.answer, trace.ballots, trace.samples) == (None, (), ())


async def test_a_checkpointer_needs_a_thread(picture: Image.Image) -> None:
    with pytest.raises(InputError, match="thread_id"):
        await answer(picture, "?", context=context(), checkpointer=InMemorySaver())
