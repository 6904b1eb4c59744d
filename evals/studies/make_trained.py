"""The studies of trained bases put together: what each asks, and what it makes of the answers."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TypeVar

from catts.agents.protocol import SamplingParams
from catts.errors import InputError
from catts.evals.asking import Picture
from catts.evals.benchmarks.by_name import TUNING_SPLITS
from catts.evals.benchmarks.item import Item
from catts.evals.studies import cdrl, ladder
from catts.evals.studies.calibration import Asked
from catts.evals.studies.cdrl import BASE, Said, Way
from catts.evals.studies.lab import Lab
from catts.evals.studies.make import answerable_by_all, bases_of, drawn_of, tuning_items
from catts.evals.studies.noised import Noised, regions
from catts.evals.studies.result import StudyResult
from catts.evals.studies.setting import by_label
from catts.evals.studies.votes import Voted
from catts.graph.context import Context

_Found = TypeVar("_Found")


async def make_cdrl(lab: Lab) -> StudyResult:
    """Confidence and sight of the base and of each trained base.

    Raises:
        InputError: the setting has no trained base, or one under the base's own label.
    """
    setting = lab.setting
    labels = _labels(lab)
    lab = await answerable_by_all(lab, lab.context.policy.sampling, "samples")
    validation = await asyncio.to_thread(tuning_items, lab)
    known = None if isinstance(validation, str) else validation
    region = regions(lab.items)[0]
    said: list[dict[Way, Said]] = []
    lost: list[str] = []
    for title, base in bases_of(setting):
        async with lab.with_models(base, setting.expert) as context:
            noised = Noised(setting.t, region)
            said.append(await _said(lab, context, title, noised, known, lost))
    models = _under(labels, said)
    fitted_on = "the other half of these questions' clean answers, as there are no others"
    if known is not None:
        split = TUNING_SPLITS[setting.task]
        fitted_on = f"clean answers to {len(known):,} questions of {setting.task}/{split}"
    lines = await asyncio.to_thread(cdrl.table, models, setting.t)
    columns = tuple(dict.fromkeys(name for line in lines for name in line.cells))
    notes = cdrl.notes(setting.t, region, lab.context.policy.temperature, fitted_on)
    return lab.result(
        "cdrl", cdrl.TITLE, columns, lines, (*notes, *lost),
        curves=await asyncio.to_thread(cdrl.curves, models),
        axes=("promised probability", "accuracy"),
    )  # fmt: skip


async def make_ladder(lab: Lab) -> StudyResult:
    """One answer, the majority and CA-TTS of every base, with the expert and as its own expert.

    Raises:
        InputError: as `make_cdrl`.
    """
    setting = lab.setting
    labels = _labels(lab)
    runs: dict[str, Mapping[str, Sequence[Sequence[Voted]]]] = {}
    for expert in dict.fromkeys((setting.expert, "base")):
        name = "the base as its own expert"
        votes = []
        for title, base in bases_of(setting):
            async with lab.with_models(base, expert) as context:
                if expert != "base":
                    name = f"expert {context.expert.name}"
                votes.append(await lab.run(f"{title or 'base, '}{name}", context))
        runs[name] = _under(labels, votes)
    lines = await asyncio.to_thread(ladder.ladder, runs)
    return lab.result("ladder", ladder.TITLE, ladder.columns(tuple(labels)), lines, ladder.NOTES)


def _labels(lab: Lab) -> dict[str, int]:
    """Label of the base and of the trained ones to the number of models under it."""
    trained = by_label(lab.setting.calibrated_bases)
    if not trained or BASE in trained:
        raise InputError(
            "give --calibrated-base, a checkpoint that was trained from the base"
            if not trained
            else f"--calibrated-base {BASE}=...: the base itself has this label, give another"
        )
    return {BASE: 1} | {label: len(specs) for label, specs in trained.items()}


def _under(labels: Mapping[str, int], found: Sequence[_Found]) -> dict[str, list[_Found]]:
    """What was found of each model, in the order of `bases_of`, under its label."""
    rest = iter(found)
    return {label: [next(rest) for _ in range(count)] for label, count in labels.items()}


async def _said(
    lab: Lab,
    context: Context,
    title: str,
    noised: Noised,
    known: Sequence[Item] | None,
    lost: list[str],
) -> dict[Way, Said]:
    """What a base says in both ways; `lost` is told of validation questions that it cannot do."""
    policy = context.policy
    asking = replace(lab.asking, context=context)
    ways: dict[Way, SamplingParams] = {"greedy": policy.greedy, "samples": policy.sampling}

    async def asked(way: Way, condition: str, picture: Picture | None) -> Asked:
        drawn = await asking.samples(ways[way], f"{title}{condition}, {way}", picture)
        return await asyncio.to_thread(Asked.graded, condition, lab.items, drawn)

    found: dict[Way, Said] = {}
    for way, params in ways.items():
        before: Asked | None = None
        if known is not None:
            name = f"{title}validation, {way}"
            answered, drawn, notes = await drawn_of(asking, known, params, name)
            lost += [note for note in notes if note not in lost]
            before = await asyncio.to_thread(Asked.graded, name, answered, drawn)
        found[way] = Said(
            await asked(way, "clean", None),
            await asked(way, f"{noised.region}, t = {noised.t}", noised),
            before,
        )
    return found
