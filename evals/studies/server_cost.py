"""What the graph costs on top of a vLLM server: its throughput beside the raw server's, in one run.

The graph answers questions with the base as its own expert, all modules side by side, and every
request is kept. Then exactly these are sent to the server again by nothing but HTTP, in the same
order and with as many under way. Both arms take turns, and each replay is of the round before it.
"""

import asyncio
import os
import resource
import statistics
import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

from catts.agents.engines.vllm.address import names_server, read_address
from catts.agents.engines.vllm.engine import VLLMEngine
from catts.agents.engines.vllm.server import api_key, look_at
from catts.errors import InputError
from catts.evals.asking import Asking
from catts.evals.benchmarks.embedded import load_embedded
from catts.evals.benchmarks.item import Item
from catts.evals.studies.result import Estimate
from catts.evals.studies.server_replay import (
    OF_THIS_QUESTION,
    Call,
    Played,
    Recorder,
    replay,
)
from catts.graph.embed import answer
from catts.graph.opening import open_context
from catts.records import Record


class ServerCost(Record):
    """Throughput of both arms, medians over the rounds, and how long questions took."""

    model: str
    questions: int
    """Asked in each round."""
    at_once: int
    samples: int
    rounds: int
    seed: int
    cpus: int
    requests: float
    """Of a question, mean."""
    graph_requests_per_second: float
    raw_requests_per_second: float
    graph_tokens_per_second: float
    """Tokens of completions."""
    raw_tokens_per_second: float
    graph_questions_per_second: float
    ratio: Estimate
    """Mean over the rounds of the graph's requests per second over the raw server's in the same
    round, resampled over rounds."""
    unanswered: int
    """Questions without an answer or with a failed module, over all rounds."""
    median_latency: float
    """Seconds from a question's turn to its answer, over all rounds."""
    slowest_latency: float
    client_cpu_seconds: float
    """Of the graph's process for a round, median."""
    peak_mb: float
    """Largest memory of this process, replays and kept requests included."""


class Asked(NamedTuple):
    """A round of the graph."""

    played: Played
    calls: tuple[tuple[Call, ...], ...]
    """Of each question."""
    latencies: tuple[float, ...]
    unanswered: int
    cpu_seconds: float


def run_server_cost(
    base: str,
    questions: int = 64,
    *,
    at_once: int = 64,
    samples: int = 8,
    rounds: int = 5,
    seed: int = 0,
    advance: Callable[[int, int], None] = lambda done, total: None,
) -> ServerCost:
    """Ask the first questions of the benchmark `embedded` of a base on one vLLM server.

    Args:
        base: `vllm:ADDRESS[#MODEL]`.
        questions: of each round.
        at_once: questions under way at a time.
        samples: answers to draw for each question.
        rounds: measured rounds of both arms, after one that is not.
        seed: of the sampling.
        advance: told after each arm how many of how many are done.

    Raises:
        InputError: `base` is not one vLLM server, or it does not answer.
    """
    return asyncio.run(_measure(base, questions, at_once, samples, rounds, seed, advance))


async def _measure(
    base: str,
    questions: int,
    at_once: int,
    samples: int,
    rounds: int,
    seed: int,
    advance: Callable[[int, int], None],
) -> ServerCost:
    where = read_address(base) if names_server(base) else None
    if where is None or len(where.urls) != 1:
        raise InputError(f"{base} is not one vLLM server: give vllm:ADDRESS#MODEL")
    served = await asyncio.to_thread(look_at, where)
    engine = VLLMEngine(served, replicas=Recorder(served.urls, api_key()))
    items = load_embedded("test", questions).items
    asked: list[Asked] = []
    raw: list[Played] = []
    for number in range(rounds + 1):
        asked.append(await ask_all(engine, items, at_once, samples, seed))
        advance(2 * number + 1, 2 * rounds + 2)
        raw.append(await replay(asked[-1].calls, served.urls[0], api_key(), at_once))
        asked[-1] = asked[-1]._replace(calls=())
        advance(2 * number + 2, 2 * rounds + 2)
    await engine.aclose()
    del asked[0], raw[0]
    graph = [each.played for each in asked]
    ratios = [[_rate(ours) / _rate(its)] for ours, its in zip(graph, raw, strict=True)]
    latencies = [seconds for each in asked for seconds in each.latencies]
    return ServerCost(
        model=served.model,
        questions=questions,
        at_once=at_once,
        samples=samples,
        rounds=rounds,
        seed=seed,
        cpus=os.cpu_count() or 0,
        requests=sum(each.requests for each in graph) / (rounds * questions),
        graph_requests_per_second=statistics.median(map(_rate, graph)),
        raw_requests_per_second=statistics.median(map(_rate, raw)),
        graph_tokens_per_second=statistics.median(p.tokens / p.seconds for p in graph),
        raw_tokens_per_second=statistics.median(p.tokens / p.seconds for p in raw),
        graph_questions_per_second=statistics.median(questions / p.seconds for p in graph),
        ratio=Estimate.mean(ratios),
        unanswered=sum(each.unanswered for each in asked),
        median_latency=statistics.median(latencies),
        slowest_latency=max(latencies),
        client_cpu_seconds=statistics.median(each.cpu_seconds for each in asked),
        peak_mb=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    )


async def ask_all(
    engine: VLLMEngine, items: Sequence[Item], at_once: int, samples: int, seed: int
) -> Asked:
    """One round of the graph; `engine` sends by a `Recorder`."""
    async with open_context(
        base=engine,
        expert="base",
        routing="parallel",
        samples=samples,
        seed=seed,
        node_timeout=None,
    ) as context:

        async def one(item: Item) -> tuple[tuple[Call, ...], float, bool]:
            calls: list[Call] = []
            OF_THIS_QUESTION.set(calls)
            started = time.perf_counter()
            pictures = await asyncio.to_thread(item.load_images)
            trace = await answer(pictures, item.question, choices=item.choices, context=context)
            missing = trace.answer is None or bool(trace.failed_nodes)
            return tuple(calls), time.perf_counter() - started, missing

        asking = Asking(items, context, concurrency=at_once, quiet=True)
        started, busy = time.perf_counter(), time.process_time()
        told = await asking.each(one, "")
        seconds, busy = time.perf_counter() - started, time.process_time() - busy
    calls = tuple(each for each, _, _ in told)
    every = [call for each in calls for call in each]
    return Asked(
        Played(seconds, len(every), sum(call.tokens for call in every)),
        calls,
        tuple(latency for _, latency, _ in told),
        sum(missing for _, _, missing in told),
        busy,
    )


def _rate(played: Played) -> float:
    return played.requests / played.seconds


def format_server_cost(cost: ServerCost) -> str:
    """The row as a Markdown table, and what it was measured on."""
    return (
        "| | requests/s | tokens/s |\n|---|---|---|\n"
        f"| graph | {cost.graph_requests_per_second:.1f} | {cost.graph_tokens_per_second:.0f} |\n"
        f"| raw server | {cost.raw_requests_per_second:.1f} | {cost.raw_tokens_per_second:.0f} |\n"
        f"\ngraph / raw server: {cost.ratio}, mean of {cost.rounds} rounds and its 95 % interval\n"
        f"{cost.questions} questions, {cost.at_once} at once, {cost.requests:.1f} requests each, "
        f"{cost.unanswered} not answered; {cost.graph_questions_per_second:.2f} questions/s; "
        f"latency {cost.median_latency:.1f} s (median), {cost.slowest_latency:.1f} s (slowest)\n"
        f"client: {cost.client_cpu_seconds:.1f} s of CPU a round, at most {cost.peak_mb:.0f} MB; "
        f"{cost.cpus} CPUs, seed {cost.seed}"
    )
