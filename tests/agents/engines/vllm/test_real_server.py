"""The real vLLM on a CPU and the transformers engine are one model: tokens, confidences, scores."""

import asyncio
import os
import resource
import statistics
from collections.abc import Callable, Iterator
from functools import cache
from typing import NamedTuple

import pytest
from PIL.Image import Image
from serving import PYTHON, vllm_starting
from widened import widen

from catts.agents.engines.transformers_engine import TransformersEngine
from catts.agents.engines.vllm.contrast import best_of
from catts.agents.engines.vllm.engine import VLLMEngine
from catts.agents.engines.vllm.pairs import Half
from catts.agents.engines.vllm.server import api_key
from catts.agents.engines.vllm.wire import GENERATE, half_request
from catts.agents.protocol import ContrastParams, Sample, SamplingParams
from catts.agents.spec import embedded_folder, resolve_base
from catts.errors import EngineError, ModelSpecError
from catts.evals.benchmarks.embedded import load_embedded
from catts.evals.studies.server_cost import ask_all, format_server_cost, run_server_cost
from catts.evals.studies.server_replay import Recorder
from catts.graph.embed import answer
from catts.graph.opening import open_context
from catts.perception.noise import add_noise
from catts.question import Question

pytestmark = [
    pytest.mark.vllm,
    pytest.mark.slow,
    pytest.mark.timeout(900),
    pytest.mark.skipif(not PYTHON.exists(), reason="there is no vLLM: make vllm-env"),
]
NAME = "embedded-base"
GREEDY = SamplingParams(n=1, temperature=0, max_new_tokens=96)
CONTRAST = ContrastParams(max_new_tokens=96)
CLOSE = 1e-3


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[], str]]:
    """A server as `catts serve` starts it; `CATTS_TEST_VLLM` names one that runs already."""
    if running := os.environ.get("CATTS_TEST_VLLM"):
        yield lambda: running
        return
    folder = tmp_path_factory.mktemp("vllm")
    wide = widen(embedded_folder("base"), folder / "wide")
    with vllm_starting(wide, NAME, folder / "server.log") as ready:
        yield ready


@pytest.fixture(scope="module")
def local() -> TransformersEngine:
    engine = resolve_base("embedded")
    assert isinstance(engine, TransformersEngine)
    return engine


class Expected(NamedTuple):
    """What the transformers engine makes of the same questions."""

    greedy: list[Sample]
    contrastive: list[Sample]


@pytest.fixture(scope="module")
def expected(server: Callable[[], str], local: TransformersEngine) -> Expected:
    """Made while the server starts."""

    async def make() -> Expected:
        greedy = await asyncio.gather(*(local.sample(*job, GREEDY) for job in asked(50)))
        contrasts = await asyncio.gather(*(local.contrast(*job, CONTRAST) for job in noised(50)))
        return Expected([g.samples[0] for g in greedy], [c.sample for c in contrasts])

    return asyncio.run(make())


@pytest.fixture(scope="module")
def url(server: Callable[[], str], expected: Expected) -> str:
    return server()


@pytest.fixture(scope="module")
def served(url: str) -> VLLMEngine:
    return VLLMEngine.load(f"vllm:{url}/v1#{NAME}")


@pytest.fixture(scope="module")
def plain(served: VLLMEngine) -> VLLMEngine:
    """The same server as one without our plugin and without --enable-scale-out is used."""
    return VLLMEngine(served.served._replace(lock_step=False, scores_tokens=False))


@cache
def asked(count: int) -> list[tuple[Question, list[Image]]]:
    return [
        (
            Question(text=item.question, choices=item.choices, images=("0" * 63 + str(n % 10),)),
            list(item.load_images()),
        )
        for n, item in enumerate(load_embedded("test", count).items)
    ]


def noised(count: int) -> list[tuple[Question, list[Image], list[Image]]]:
    return [
        (question, images, [add_noise(image, 700, seed) for image in images])
        for seed, (question, images) in enumerate(asked(count))
    ]


async def test_greedy_answers_and_confidences_are_the_same(
    served: VLLMEngine, expected: Expected
) -> None:
    drawn = await asyncio.gather(*(served.sample(*job, GREEDY) for job in asked(50)))
    for found, here in zip(drawn, expected.greedy, strict=True):
        there = found.samples[0]
        assert there.token_ids == here.token_ids
        assert there.text == here.text
        assert there.token_confidence == pytest.approx(here.token_confidence, abs=CLOSE)
        same_kinds = {k: v for k, v in here.confidence.items() if k != "self_certainty"}
        assert there.confidence == pytest.approx(same_kinds, abs=CLOSE)


async def test_samples_are_scored_as_the_model_scores_them(
    served: VLLMEngine, local: TransformersEngine
) -> None:
    question, images, blurred = noised(3)[2]  # one that the base is not sure of
    params = SamplingParams(n=8, max_new_tokens=96, seed=1)
    drawn = await served.sample(question, images, params)
    again = await served.sample(question, images, params)
    assert [s.token_ids for s in drawn.samples] == [s.token_ids for s in again.samples]
    assert len({s.token_ids for s in drawn.samples}) > 1, "all draws are alike"
    ids = [sample.token_ids for sample in drawn.samples]
    for pictures in (images, blurred):
        here = await local.score(question, pictures, ids)
        there = await served.score(question, pictures, ids)
        for mine, theirs in zip(here, there, strict=True):
            assert theirs.logprobs == pytest.approx(mine.logprobs, abs=CLOSE)
            assert theirs.confidence["top_k_mean"] == pytest.approx(
                mine.confidence["top_k_mean"], abs=CLOSE
            )


async def test_contrastive_answers_are_the_same_for_many_at_once(
    served: VLLMEngine, expected: Expected
) -> None:
    assert served.capabilities.lock_step_contrast
    contrasts = await asyncio.gather(*(served.contrast(*job, CONTRAST) for job in noised(50)))
    for found, here in zip(contrasts, expected.contrastive, strict=True):
        assert found.method == "lock_step"
        assert (found.sample.token_ids, found.sample.text) == (here.token_ids, here.text)
        assert found.sample.token_confidence == pytest.approx(here.token_confidence, abs=CLOSE)


async def test_a_half_whose_other_never_comes_is_told_broken(served: VLLMEngine) -> None:
    """As where a client dies between both: it ends, and takes nobody with it."""
    question, images, blurred = noised(1)[0]
    prompt = await served._rendered(question, images)
    tokens = prompt["token_ids"]
    half = Half("alone", "clean", 1.0, 0.1, first=tokens[-1], broken=tokens[0])
    waiting = asyncio.create_task(served._replicas.post(GENERATE, half_request(prompt, half, 96)))
    await asyncio.sleep(0.5)
    found = await served.contrast(question, images, blurred, CONTRAST)
    assert found.method == "lock_step"
    assert not waiting.done(), "it waits for its other half"
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)


async def test_the_candidate_that_survives_contrast_is_the_same(
    plain: VLLMEngine, local: TransformersEngine
) -> None:
    async def is_the_same(question: Question, images: list[Image], blurred: list[Image]) -> bool:
        drawn = (await local.sample(question, images, SamplingParams(n=8))).samples
        field = list({sample.text: sample for sample in drawn}.values())
        ids = [sample.token_ids[:-1] for sample in field]
        clean, other = [await local.score(question, p, ids) for p in (images, blurred)]
        found = await plain.contrast(question, images, blurred, CONTRAST, candidates=field)
        assert found.method == "candidate_scoring"
        assert found.sample == field[best_of(clean, other, CONTRAST)]
        assert found.usage.calls == 2 * len(field)
        return len(field) > 1

    assert sum(await asyncio.gather(*(is_the_same(*job) for job in noised(12)))) > 3


async def test_sixty_four_questions_at_once_are_all_answered_and_none_waits_for_the_others(
    served: VLLMEngine,
) -> None:
    items = load_embedded("test", 64).items
    first = await ask_all(recording(served), items[:1], at_once=1, samples=2, seed=0)
    assert first.unanswered == 0
    before = memory_mb()
    round_ = await ask_all(recording(served), items, at_once=64, samples=2, seed=0)
    assert round_.unanswered == 0
    assert len(round_.latencies) == 64
    assert max(round_.latencies) < 3 * statistics.median(round_.latencies)
    assert memory_mb() - before < 200


def recording(served: VLLMEngine) -> VLLMEngine:
    return VLLMEngine(served.served, replicas=Recorder(served.served.urls, api_key()))


def memory_mb() -> float:
    """Largest memory of this process so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def test_the_benchmark_sends_the_same_requests_twice(url: str) -> None:
    cost = run_server_cost(f"vllm:{url}#{NAME}", 2, at_once=2, samples=2, rounds=1)
    assert (cost.model, cost.unanswered) == (NAME, 0)
    assert cost.requests > 4
    assert 0 < cost.median_latency <= cost.slowest_latency
    graph = cost.graph_tokens_per_second / cost.graph_requests_per_second
    raw = cost.raw_tokens_per_second / cost.raw_requests_per_second
    assert raw == pytest.approx(graph, rel=0.2), "other completions"
    assert str(cost.ratio) in format_server_cost(cost)


async def test_the_graph_answers_with_a_server_as_base_and_as_its_own_expert(url: str) -> None:
    question, images = asked(1)[0]
    async with open_context(
        base=f"vllm:{url}#{NAME}", expert="base", samples=4, routing="paper", max_new_tokens=96
    ) as context:
        trace = await answer(images, question.text, context=context)
    assert trace.answer is not None
    assert trace.failed_nodes == ()
    assert {run.node for run in trace.usage.nodes} >= {"voter", "critic", "self_check"}


def test_it_answers_without_an_event_loop(served: VLLMEngine) -> None:
    question, images = asked(1)[0]
    text = served.prompts.render("answer", question=question.text, choices="")
    assert served.complete_sync(text, images, GREEDY).samples[0].text


async def test_tokens_are_not_scored_where_the_server_cannot(plain: VLLMEngine) -> None:
    question, images = asked(1)[0]
    assert not plain.capabilities.exact_token_scoring
    with pytest.raises(EngineError, match="--enable-scale-out"):
        await plain.score(question, images, [(20, 21)])


async def test_what_the_server_refuses_is_told(served: VLLMEngine) -> None:
    question, images = asked(1)[0]
    with pytest.raises(EngineError, match="refused the request"):
        await served.sample(question, images * 5, GREEDY)


def test_a_name_that_is_not_served_is_told(url: str) -> None:
    with pytest.raises(ModelSpecError, match=f"serves no 'other': one of {NAME}"):
        VLLMEngine.load(f"vllm:{url}/v1#other")
