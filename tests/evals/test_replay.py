"""Stored models: a question asked twice is answered once, and whatever differs is asked anew."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from scripted_models import ScriptedEngine, ScriptedExpert

from catts.agents.expert import Candidate
from catts.agents.experts.stored import StoredExpert
from catts.agents.protocol import ContrastParams, Sample, SamplingParams
from catts.errors import RoleError
from catts.evals.replay import StoredEngine
from catts.graph.context import Context
from catts.graph.embed import answer
from catts.question import Question
from catts.store import Store

PICTURE = Image.new("RGB", (24, 16), "teal")
QUESTION = Question(text="How many dots?", images=("0" * 64,))
THREE, FOUR = Sample(text="3"), Sample(text="4")


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "said.sqlite")


def context(store: Store, engine: ScriptedEngine, expert: ScriptedExpert, **s: Any) -> Context:
    return Context.of(StoredEngine(engine, store), StoredExpert(expert, store), **s)


async def test_a_second_run_asks_no_model_and_says_the_same(store: Store) -> None:
    engine, expert = ScriptedEngine(), ScriptedExpert(votes={"3": 0.25, "4": 0.75})
    traces = [
        await answer(PICTURE, "How many?", context=context(store, engine, expert, routing="paper"))
        for _ in range(2)
    ]
    assert engine.calls == ["sample", "reanswer", "contrast"]
    assert expert.calls == ["planner", "voter", "critic"]
    first, second = traces
    assert (first.votes, first.ballots, first.samples) == (
        second.votes, second.ballots, second.samples,
    )  # fmt: skip
    assert first.usage.total.calls == second.usage.total.calls == 6
    assert first.context_fingerprint == second.context_fingerprint


async def test_policies_share_what_they_have_in_common(store: Store) -> None:
    engine, expert = ScriptedEngine(), ScriptedExpert()
    for settings in ({"routing": "parallel"}, {"routing": "parallel", "tau1": 2.0}):
        await answer(PICTURE, "How many?", context=context(store, engine, expert, **settings))
    assert sorted(engine.calls) == ["contrast", "reanswer", "sample"]
    await answer(PICTURE, "How many?", context=context(store, engine, expert, samples=4))
    assert engine.calls.count("sample") == 2


async def test_another_model_is_asked_itself(store: Store) -> None:
    one, other = ScriptedEngine(), ScriptedEngine(fingerprint="another")
    for engine in (one, other):
        await StoredEngine(engine, store).sample(QUESTION, [PICTURE], SamplingParams())
    assert one.calls == other.calls == ["sample"]


async def test_the_noised_picture_and_the_parameters_are_part_of_a_contrast(store: Store) -> None:
    engine = ScriptedEngine()
    stored = StoredEngine(engine, store)
    noised = Image.new("RGB", (24, 16), "grey")
    for picture, params in (
        (PICTURE, ContrastParams()), (noised, ContrastParams()),
        (noised, ContrastParams(alpha=0.5)), (noised, ContrastParams()),
    ):  # fmt: skip
        await stored.contrast(QUESTION, [PICTURE], [picture], params, candidates=[THREE])
    await stored.contrast(QUESTION, [PICTURE], [noised], ContrastParams(), candidates=[FOUR])
    assert len(engine.calls) == 3, "candidates do not matter to a model that decodes in lock-step"
    scoring = ScriptedEngine(fingerprint="scoring")
    scoring.capabilities = scoring.capabilities.model_copy(update={"lock_step_contrast": False})
    for candidates in ([THREE], [FOUR], [THREE]):
        await StoredEngine(scoring, store).contrast(
            QUESTION, [PICTURE], [noised], ContrastParams(), candidates=candidates
        )
    assert len(scoring.calls) == 2


async def test_a_role_is_asked_again_where_its_picture_or_candidates_differ(store: Store) -> None:
    expert = ScriptedExpert()
    stored = StoredExpert(expert, store)
    field = (Candidate(answer="3", count=2, confidence=1.0, share=1.0),)
    other = (field[0].model_copy(update={"count": 3}),)
    small = PICTURE.resize((12, 8))
    for picture, candidates in ((PICTURE, field), (small, field), (PICTURE, other)):
        for _ in range(2):
            await stored.vote(QUESTION, [picture], candidates)
    assert len(expert.calls) == 3


async def test_a_role_that_failed_is_asked_again(store: Store) -> None:
    expert = ScriptedExpert(fail={"critic": RoleError("critic", "no")})
    stored = StoredExpert(expert, store)
    for _ in range(2):
        with pytest.raises(RoleError):
            await stored.criticise(QUESTION, [PICTURE], "3", "so")
    assert len(expert.calls) == 2


async def test_closing_leaves_the_models_to_the_caller(store: Store) -> None:
    engine, expert = ScriptedEngine(), ScriptedExpert()
    held = context(store, engine, expert)
    await replace(held).aclose()
    assert (engine.closed, expert.closed) == (0, 0)
