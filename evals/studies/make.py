"""The studies put together: what each asks, and what it makes of the answers."""

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import replace

from catts.agents.protocol import Generation, SamplingParams
from catts.errors import BenchmarkError
from catts.evals.asking import Asking
from catts.evals.benchmarks.by_name import TUNING_SPLITS, load_benchmark
from catts.evals.benchmarks.item import Item
from catts.evals.measured import Beliefs
from catts.evals.studies import ablation, calibration, cost, peers, probing, scaling, weights
from catts.evals.studies.calibration import Asked
from catts.evals.studies.lab import Lab
from catts.evals.studies.noised import Noised, regions
from catts.evals.studies.result import Curves, Estimate, Line, StudyResult
from catts.evals.studies.setting import Setting, by_label
from catts.evals.studies.votes import Voted
from catts.graph.context import Context, Routing

ROUTINGS: tuple[Routing, ...] = ("paper", "planned", "parallel")
ALONE = 40
"""Questions that the cost study asks live, one at a time."""
TUNING = 1000
"""Most validation questions on which a peer's parameter is chosen."""


async def make_ablation(lab: Lab) -> StudyResult:
    """Every subset of the modules, with the expert and with the base as its own.

    And the same of the setting's calibrated bases.
    """
    setting = lab.setting
    experts = tuple(dict.fromkeys((setting.expert, "base")))
    runs: dict[str, list[Voted]] = {}
    for label, base in bases_of(setting):
        for expert in experts:
            async with lab.with_models(base, expert) as context:
                own = "itself" if expert == "base" else context.expert.name
                name = f"{label}{context.engine.name}, expert {own}"
                runs[name] = await lab.run(name, context)
    lines = await asyncio.to_thread(ablation.ablation, runs)
    return lab.result("ablation", ablation.TITLE, ablation.COLUMNS, lines, ablation.NOTES)


async def make_scaling(lab: Lab) -> StudyResult:
    """CA-TTS and majority for each number of samples."""
    held, sizes = lab.asking.context, lab.setting.sizes
    first = replace(held, engine=scaling.FirstSamples(held.engine, max(sizes)))
    runs = {n: await lab.run(f"{n} samples", first, samples=n) for n in sizes}
    lines = await asyncio.to_thread(scaling.scaling, runs)
    curves: Curves = {
        way: tuple(
            (float(n), cell)
            for n, line in zip(sizes, lines, strict=False)
            if isinstance(cell := line.cells[way], Estimate)
        )
        for way in scaling.COLUMNS[:3]
    }
    return lab.result(
        "scaling", scaling.TITLE, scaling.COLUMNS, lines, scaling.NOTES,
        curves=curves, axes=("samples n", "accuracy"), log_x=True,
    )  # fmt: skip


async def make_probing(lab: Lab) -> StudyResult:
    """Accuracy and confidence against the noise step, of the setting's calibrated bases too."""
    greedy = lab.context.policy.greedy
    lab = await answerable_by_all(lab, greedy, "clean pictures")
    levels: dict[str, list[probing.Level]] = {}
    for title, base in bases_of(lab.setting):
        async with lab.with_models(base, lab.setting.expert) as context:
            name = title.removesuffix(": ")
            levels[name] = await probing.levels(replace(lab.asking, context=context), greedy)
    scale = probing.deviation(levels[""][0])
    lines: list[Line] = []
    curves: Curves = {}
    for name, found in levels.items():
        told = await asyncio.to_thread(probing.probing, found, scale, name)
        lines += told
        curves |= probing.curves(found, told, name)
    return lab.result(
        "probing", probing.TITLE, probing.COLUMNS, lines, probing.NOTES,
        curves=curves, axes=("noise step t", "accuracy; confidence in SD"),
    )  # fmt: skip


async def answerable_by_all(lab: Lab, params: SamplingParams, title: str) -> Lab:
    """The lab with the questions to which every base can draw such samples.

    Models may be large, so one at a time is held beside the setting's own base: a study that asks
    them in turn opens each once more, and finds these samples in the store.

    Raises:
        EngineError: one of them can answer none.
    """
    for name, base in bases_of(lab.setting):
        async with lab.with_models(base, lab.setting.expert) as context:
            lab = await lab.answerable(params, f"{name}{title}", context)
    return lab


async def make_calibration(lab: Lab) -> StudyResult:
    """Calibration of the base, and of the setting's calibrated bases, clean and under noise."""
    validation = await asyncio.to_thread(tuning_items, lab)
    found: dict[str, list[Beliefs]] = {}
    mapped: list[str] = []
    async with AsyncExitStack() as held:
        contexts: dict[str, Context] = {}
        for label, base in bases_of(lab.setting):
            context = await held.enter_async_context(lab.with_models(base, lab.setting.expert))
            name = label + context.engine.name
            contexts[name] = context
            # before anything is measured: every base is measured on the same questions
            lab = await lab.answerable(context.policy.sampling, f"{name}: samples", context)
        for name, context in contexts.items():
            told, mappings = await _beliefs(lab, context, name, validation)
            found |= told
            mapped += mappings
    seen = await asyncio.to_thread(lab.seen)
    notes = [*calibration.notes(lab.context.policy.temperature, seen), *mapped]
    lines = await asyncio.to_thread(calibration.table, found)
    columns = tuple(dict.fromkeys(name for line in lines for name in line.cells))
    return lab.result(
        "calibration", calibration.TITLE, columns, lines, notes,
        curves=await asyncio.to_thread(calibration.curves, found),
        axes=("promised probability", "accuracy"),
    )  # fmt: skip


def bases_of(setting: Setting) -> Iterator[tuple[str, str | None]]:
    """What a base's name begins with in tables, and the base; None is the setting's own.

    Two checkpoints may have one name, the last part of their folders, so a calibrated one is told
    by its label, and by its place where it is not the only one there.
    """
    yield "", None
    for label, specs in by_label(setting.calibrated_bases).items():
        for place, spec in enumerate(specs, start=1):
            yield f"{label}{f' {place}' if len(specs) > 1 else ''}: ", spec


async def _beliefs(
    lab: Lab, context: Context, name: str, validation: Sequence[Item] | str
) -> tuple[dict[str, list[Beliefs]], list[str]]:
    """What a base's confidences say, by name and condition, and how they were mapped."""
    policy = context.policy
    asking = replace(lab.asking, context=context)
    region = regions(lab.items)[0]
    clean = f"clean, {policy.samples} samples"
    said = {
        clean: await asking.samples(policy.sampling, f"{name}: clean"),
        "clean, greedy": await asking.samples(policy.greedy, f"{name}: clean, greedy"),
    }
    for t in calibration.STEPS:
        condition = f"{region}, t = {t}, greedy"
        said[condition] = await asking.samples(
            policy.greedy, f"{name}: {condition}", Noised(t, region)
        )
    known: Asked | None = None
    notes: list[str] = []
    if not isinstance(validation, str):
        title = f"{name}: validation"
        answered, drawn, notes = await drawn_of(asking, validation, policy.sampling, title)
        known = await asyncio.to_thread(Asked.graded, title, answered, drawn)
    told = await asyncio.to_thread(
        lambda: [Asked.graded(condition, lab.items, rows) for condition, rows in said.items()]
    )
    runs = await lab.run(f"{name}: CA-TTS", context, routing="paper")
    found: dict[str, list[Beliefs]] = {}
    split = TUNING_SPLITS.get(lab.setting.task)
    for kind in dict.fromkeys((policy.confidence_kind, *calibration.KINDS)):
        mapping = calibration.mapping_of(
            kind, policy.confidence_map, known, f"{lab.setting.task}/{split}"
        )
        found[f"{name}, {kind}"] = [asked.beliefs(kind, mapping) for asked in told]
        notes.append(f"{name}, {kind}: {'no mapping' if mapping is None else mapping.name}.")
    for share, beliefs in calibration.shares(runs, clean).items():
        found[f"{name}, {share}"] = [beliefs]
    return found, notes


async def make_weights(lab: Lab) -> StudyResult:
    """The grid of taus, with the card's vote weight and with the other one."""
    policy = lab.context.policy
    runs: dict[str, list[Voted]] = {policy.vote_weight: await lab.run("card's weight")}
    if policy.vote_weight == "raw" and policy.confidence_map is not None:
        runs["mapped"] = await lab.run("mapped weight", vote_weight="mapped")
    elif policy.vote_weight != "raw":
        runs["raw"] = await lab.run("raw weight", vote_weight="raw")
    lines = await asyncio.to_thread(weights.weights, runs)
    curves = await asyncio.to_thread(weights.curves, runs)
    notes: tuple[str, ...] = weights.NOTES
    if len(runs) == 1:
        notes = (*notes, "This base has no fitted mapping of its confidence: only raw was measured")
    return lab.result(
        "weights", weights.TITLE, weights.COLUMNS, lines, notes,
        curves=curves, axes=("tau, the others at their default", "accuracy"),
    )  # fmt: skip


async def make_peers(lab: Lab) -> StudyResult:
    """Other ways to spend the same samples."""
    policy = lab.context.policy
    lab = await lab.answerable(policy.sampling, "samples")
    runs: dict[str, list[Voted]] = {r: await lab.run(r, routing=r) for r in ROUTINGS}
    drawn = await lab.asking.samples(policy.sampling, "samples")
    validation = await asyncio.to_thread(tuning_items, lab)
    if len(validation) < peers.FEWEST and not isinstance(validation, str):
        validation = peers.too_few(len(validation))
    known: list[Generation] = []
    lost: list[str] = []
    if not isinstance(validation, str):
        title = "validation samples"
        validation, known, lost = await drawn_of(lab.asking, validation, policy.sampling, title)

    def table() -> tuple[list[Line], tuple[str, ...]]:
        asked = [peers.question_of(i, g) for i, g in zip(lab.items, drawn, strict=True)]
        if isinstance(validation, str):
            tuned = peers.published(validation)
        else:
            tuned = peers.tune(
                [peers.question_of(i, g) for i, g in zip(validation, known, strict=True)]
            )
        told = peers.notes(asked, tuned, policy, lab.seen())
        return peers.peers(asked, tuned, runs), (*told, *lost)

    lines, notes = await asyncio.to_thread(table)
    return lab.result(
        "peers", peers.TITLE, peers.COLUMNS, lines, notes,
        curves=_against(lines, "tokens written"), axes=("tokens written", "accuracy"),
    )  # fmt: skip


async def make_cost(lab: Lab) -> StudyResult:
    """What each routing costs; `ALONE` questions are asked live and one at a time."""
    runs: dict[str, list[Voted]] = {r: await lab.run(r, routing=r) for r in ROUTINGS}
    alone: dict[str, list[Voted]] = {
        r: await lab.alone(f"{r}, alone", ALONE, routing=r) for r in ROUTINGS
    }
    lines = await asyncio.to_thread(cost.cost, runs, alone)
    curves: Curves = {
        f"{column}: {name}": points
        for column in ("tokens written", "seconds", "expert calls")
        for name, points in _against(lines, column).items()
    }
    return lab.result(
        "cost", cost.TITLE, cost.COLUMNS, lines, cost.NOTES, curves=curves,
        axes=("per question", "accuracy"),
    )  # fmt: skip


async def drawn_of(
    asking: Asking, items: Sequence[Item], params: SamplingParams, title: str
) -> tuple[Sequence[Item], list[Generation], list[str]]:
    """The validation questions that the base can answer, their samples, and a note of the rest."""
    answered, left_out = await replace(asking, items=items).answerable(params, title)
    why = f"{title}: the base model could not answer {'; '.join(left_out.values())}"
    return answered.items, await answered.samples(params, title), [why] if left_out else []


def tuning_items(lab: Lab) -> Sequence[Item] | str:
    """Labelled questions that are not those of the study, or why there are none."""
    setting = lab.setting
    split = TUNING_SPLITS.get(setting.task)
    if split is None:
        return f"{setting.task} has no labelled split beside the one that is reported"
    limit = min(TUNING, setting.limit or TUNING)
    try:
        loaded = load_benchmark(
            setting.task,
            setting.data,
            split=split,
            limit=limit,
            skip_malformed=setting.skip_malformed,
        )
    except BenchmarkError as error:
        return f"the split {split} could not be read ({error})"
    # a file is read whatever the split, and the split may be the one that was asked for
    if {item.id for item in loaded.items} & {item.id for item in lab.items}:
        return f"the split {split} holds questions of this study"
    if any(item.answer is None for item in loaded.items):
        return f"the split {split} has no labels"
    return loaded.items


def _against(lines: Sequence[Line], column: str) -> Curves:
    """Each line's accuracy against another of its columns, a point a line."""
    drawn: Curves = {}
    for line in lines:
        cells: Mapping[str, object] = line.cells
        x, y = cells[column], cells["accuracy"]
        place = x.value if isinstance(x, Estimate) else x
        if isinstance(place, int | float) and isinstance(y, Estimate):
            drawn[line.label] = ((float(place), y),)
    return drawn
