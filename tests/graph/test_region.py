"""The self-check's noise in the key region: asked for, recorded, made again, and shown."""

import json

import numpy as np
import pytest
from PIL import Image
from scripted_models import ScriptedEngine, ScriptedExpert

from catts.agents.card import ModelCard
from catts.errors import InputError
from catts.graph.account import account
from catts.graph.build import build_graph
from catts.graph.context import Context
from catts.graph.embed import answer
from catts.graph.nodes import render
from catts.graph.opening import open_context
from catts.graph.trace import Trace
from catts.perception.key_region import KeyRegion
from catts.perception.noise import add_noise, noise_seed

PICTURE = Image.linear_gradient("L").resize((24, 16)).convert("RGB")
FOUND = KeyRegion(grid=(2, 3), patches=(0, 4))


class ScriptedLooker:
    """Finds the same region everywhere; `asked` is what it was asked for."""

    def __init__(self, fingerprint: str = "looker") -> None:
        self.fingerprint = fingerprint
        self.asked: list[tuple[tuple[int, int], str, tuple[str, ...], float]] = []

    def region(self, image, question, choices, share):
        self.asked.append((image.size, question, tuple(choices), share))
        return FOUND


async def run(looker: ScriptedLooker | None = None, engine=None, **settings) -> Trace:
    context = Context.of(
        engine or ScriptedEngine(), ScriptedExpert(), routing="paper", saliency=looker, **settings
    )
    return await answer(PICTURE, "Which?", choices=["red", "blue"], context=context)


async def test_the_noise_goes_where_the_question_looks() -> None:
    looker, engine = ScriptedLooker(), ScriptedEngine()
    trace = await run(looker, engine, region="saliency", region_share=0.7, noise_t=600)
    assert looker.asked == [((24, 16), "Which?", ("red", "blue"), 0.7)]
    assert trace.self_check is not None
    (noised,) = trace.self_check.noised
    assert noised.region == FOUND
    mask = FOUND.mask(24, 16)
    seed = noise_seed(trace.question.images[0], 600)
    assert engine.noised == [add_noise(PICTURE, 600, seed, mask).tobytes()]
    outside = np.asarray(PICTURE)[mask == 0]
    assert (np.asarray(render(noised, PICTURE))[mask == 0] == outside).all()


async def test_the_picture_can_be_made_again_from_a_stored_trace() -> None:
    engine = ScriptedEngine()
    trace = await run(ScriptedLooker(), engine, region="saliency")
    stored = Trace.model_validate_json(trace.model_dump_json())
    assert stored == trace
    assert stored.self_check is not None
    assert render(stored.self_check.noised[0], PICTURE).tobytes() == engine.noised[0]
    held = json.loads(trace.model_dump_json())["self_check"]["noised"][0]["region"]
    assert held == {"grid": [2, 3], "patches": [0, 4], "saliency": None}


async def test_a_trace_of_before_there_were_regions_is_read() -> None:
    old = json.loads((await run()).model_dump_json())
    for name in ("region", "region_share"):
        del old["policy"][name]
    read = Trace.model_validate(old)
    assert read.policy.region == "whole"


async def test_without_it_nobody_looks() -> None:
    looker = ScriptedLooker()
    trace = await run(looker)
    assert looker.asked == []
    assert trace.self_check is not None
    assert trace.self_check.noised[0].region is None


def test_the_model_counts_in_the_fingerprint_where_it_is_asked() -> None:
    def mark(name: str, **settings) -> str:
        looker = ScriptedLooker(name)
        return Context.of(
            ScriptedEngine(), ScriptedExpert(), saliency=looker, **settings
        ).fingerprint

    assert mark("a") == mark("b")
    assert mark("a", region="saliency") != mark("b", region="saliency")
    assert mark("a", region="saliency") != mark("a")
    assert mark("a", region="saliency") != mark("a", region="saliency", region_share=0.6)


def test_a_context_that_has_nobody_to_look_is_refused() -> None:
    with pytest.raises(InputError, match="needs a CLIP"):
        Context.of(ScriptedEngine(), ScriptedExpert(), region="saliency")
    with pytest.raises(InputError, match="saliency is"):
        Context.of(ScriptedEngine(), ScriptedExpert(), saliency="embedded")  # type: ignore[arg-type]


async def test_another_base_has_to_be_given_a_clip_before_it_is_loaded() -> None:
    with pytest.raises(InputError, match="needs a CLIP for your pictures"):
        async with open_context(base="org/name", region="saliency"):
            pass


async def test_a_card_may_recommend_it() -> None:
    engine = ScriptedEngine()
    engine.card = ModelCard(region="saliency", region_share=0.3)  # type: ignore[attr-defined]
    looker = ScriptedLooker()
    await run(looker, engine)
    assert [asked[3] for asked in looker.asked] == [0.3]


async def test_a_checkpoint_holds_the_patches() -> None:
    from langgraph.checkpoint.memory import InMemorySaver

    from catts.question import Question

    saver, thread = InMemorySaver(), {"configurable": {"thread_id": "1"}}
    context = Context.of(
        ScriptedEngine(), ScriptedExpert(), routing="paper", region="saliency",
        saliency=ScriptedLooker(),
    )  # fmt: skip
    question = Question(text="Which?", images=(context.images.put(PICTURE),))
    graph = build_graph(saver)
    await graph.ainvoke({"question": question}, thread, context=context)
    kept = (await graph.aget_state(thread)).values["self_check"]
    assert kept.noised[0].region == FOUND


async def test_the_account_says_how_much_of_the_picture_it_was(capsys) -> None:
    from rich.console import Console

    trace = await run(ScriptedLooker(), region="saliency")
    Console(width=200).print(account(trace))
    assert "in the key region, 33% of the picture" in capsys.readouterr().out


@pytest.mark.models
@pytest.mark.slow
async def test_the_shipped_models_look_where_the_shipped_clip_does() -> None:
    from catts.embedded.world import example
    from catts.perception.saliency import Saliency

    shown = example("test", 4)
    async with open_context(region="saliency", samples=2, routing="paper") as context:
        trace = await answer(shown.image, shown.question, context=context)
    assert trace.self_check is not None
    (noised,) = trace.self_check.noised
    assert noised.region == Saliency.load().region(shown.image, shown.question, (), 0.9)
