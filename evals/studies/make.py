"""The studies put together: what each asks, and what it makes of the answers."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace

from catts.agents.protocol import SamplingParams
from catts.evals.asking import Asking
from catts.evals.benchmarks.by_name import load_benchmark
from catts.evals.studies import ablation, cost, peers, probing, scaling, weights
from catts.evals.studies.lab import Lab
from catts.evals.studies.result import Curves, Estimate, Line, StudyResult
from catts.evals.studies.votes import Voted, voted
from catts.graph.context import Policy, Routing

ROUTINGS: tuple[Routing, ...] = ("paper", "planned", "parallel")
ALONE = 40
"""Questions that the cost study asks live, one at a time."""
TUNING = 1000
"""Validation questions on which a peer's parameter is chosen."""


async def make_ablation(lab: Lab, *, calibrated_base: str | None = None) -> StudyResult:
    """Every subset of the modules, with the expert and with the base as its own.

    And the same of `calibrated_base`, where there is one.
    """
    setting, expert = lab.setting, lab.context.expert.name
    runs: dict[str, list[Voted]] = {
        f"{lab.context.engine.name}, expert {expert}": await lab.run("expert")
    }
    models: list[tuple[str | None, str]] = [(None, "base")]
    if calibrated_base is not None:
        models += [(calibrated_base, setting.expert), (calibrated_base, "base")]
    for base, other in models:
        async with lab.with_models(base, other) as context:
            own = "itself" if other == "base" else context.expert.name
            name = f"{context.engine.name}, expert {own}"
            runs[name] = await lab.run(name, context)
    lines = ablation.ablation(runs)
    return lab.result("ablation", ablation.TITLE, ablation.COLUMNS, lines, ablation.NOTES)


async def make_scaling(lab: Lab, *, sizes: Sequence[int] = scaling.SIZES) -> StudyResult:
    """CA-TTS and majority for each number of samples."""
    held = lab.asking.context
    first = replace(held, engine=scaling.FirstSamples(held.engine, max(sizes)))
    runs = {n: await lab.run(f"{n} samples", first, samples=n) for n in sorted(sizes)}
    lines = scaling.scaling(runs)
    curves: Curves = {
        way: tuple(
            (float(n), cell)
            for n, line in zip(sorted(sizes), lines, strict=False)
            if isinstance(cell := line.cells[way], Estimate)
        )
        for way in scaling.COLUMNS[:3]
    }
    made = lab.result(
        "scaling", scaling.TITLE, scaling.COLUMNS, lines, scaling.NOTES,
        curves=curves, axes=("samples n", "accuracy"),
    )  # fmt: skip
    return made.model_copy(update={"log_x": True})


async def make_probing(lab: Lab) -> StudyResult:
    """Accuracy and confidence against the noise step."""
    policy = lab.context.policy
    greedy = SamplingParams(n=1, temperature=0, max_new_tokens=policy.max_new_tokens)
    found = await probing.levels(lab.asking, greedy)
    lines = await asyncio.to_thread(probing.probing, found)
    return lab.result(
        "probing", probing.TITLE, probing.COLUMNS, lines, probing.NOTES,
        curves=probing.curves(found), axes=("noise step t", "accuracy; confidence in SD"),
    )  # fmt: skip


async def make_weights(lab: Lab) -> StudyResult:
    """The grid of taus, with the card's vote weight and with the paper's raw one."""
    policy = lab.context.policy
    runs: dict[str, list[Voted]] = {policy.vote_weight: await lab.run("card's weight")}
    if policy.vote_weight == "raw" and policy.confidence_map is not None:
        runs["mapped"] = await lab.run("mapped weight", vote_weight="mapped")
    elif policy.vote_weight != "raw":
        runs["raw"] = await lab.run("raw weight", vote_weight="raw")
    lines = await asyncio.to_thread(weights.weights, runs)
    return lab.result("weights", weights.TITLE, weights.COLUMNS, lines, weights.NOTES)


async def make_peers(lab: Lab) -> StudyResult:
    """Other ways to spend the same samples."""
    runs: dict[str, list[Voted]] = {r: await lab.run(r, routing=r) for r in ROUTINGS}
    drawn = await lab.asking.samples(lab.context.policy.sampling, "samples")
    validation = await asyncio.to_thread(
        load_benchmark, lab.setting.task, lab.setting.data, split="validation", limit=TUNING
    )
    other = replace(lab.asking, items=validation.items)
    known = await other.samples(lab.context.policy.sampling, "validation samples")

    def table() -> list[Line]:
        asked = [peers.question_of(i, g) for i, g in zip(lab.items, drawn, strict=True)]
        tuned = peers.tune(
            [peers.question_of(i, g) for i, g in zip(validation.items, known, strict=True)]
        )
        return peers.peers(asked, tuned, runs)

    lines = await asyncio.to_thread(table)
    return lab.result("peers", peers.TITLE, peers.COLUMNS, lines, peers.NOTES)


async def make_cost(lab: Lab) -> StudyResult:
    """What each routing costs; `ALONE` questions are asked live and one at a time."""
    runs: dict[str, list[Voted]] = {r: await lab.run(r, routing=r) for r in ROUTINGS}
    live = Asking(lab.items[:ALONE], lab.context, concurrency=1, quiet=lab.setting.quiet)
    alone: dict[str, list[Voted]] = {}
    for routing in ROUTINGS:
        policy: Policy = lab.context.policy.model_copy(update={"routing": routing})
        held = replace(lab.context, policy=policy)
        alone[routing] = voted(live.items, await live.traces(f"{routing}, alone", held))
    lines = cost.cost(runs, alone)
    return lab.result("cost", cost.TITLE, cost.COLUMNS, lines, cost.NOTES)
