"""Where the self-check's noise should go, and how much of it: whole picture or key region."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from catts.agents.engines.transformers_engine import TransformersEngine
from catts.agents.protocol import ContrastParams, SamplingParams
from catts.embedded.drawing import GRID
from catts.evals.metrics import paired_difference
from catts.evals.shipped.collect import Collection, Samples
from catts.evals.shipped.items import Item, load_items
from catts.evals.shipped.modules import full_verdicts
from catts.evals.shipped.rows import Row, row, row_of
from catts.evals.shipped.verdicts import Verdict, accuracy_of
from catts.graph.context import Policy
from catts.names import MODULES
from catts.perception.key_region import KeyRegion, key_region
from catts.perception.saliency import Saliency, texts_of

STEPS = (300, 500, 700)
"""Noise steps that are compared."""
SHARES = (0.5, 0.9)
"""Shares of the saliency that the key regions hold."""


def measure_regions(
    base: TransformersEngine,
    expert: TransformersEngine,
    saliency: Saliency,
    folder: Path,
    *,
    n: int = 400,
    seed: int = 0,
    quiet: bool = False,
) -> list[Row]:
    """Accuracy of the self-check alone and of CA-TTS, for each place and step of the noise.

    On the first `n` validation questions, all modules asked, the contrast at the card's strength;
    what is not the self-check is asked once. Each is compared, question by question, with what the
    base's card recommends. The evidence itself, which only this world knows, is the best that a
    key region can be; the plain greedy answer is what the self-check is without any noise.
    """
    items = load_items("validation", n)
    data = Collection(folder, items, quiet=quiet)
    policy = Policy.from_card(base.card, samples=8, seed=seed)
    params = SamplingParams(n=8, max_new_tokens=base.card.max_new_tokens, seed=seed)
    samples = data.answers(base, params, title="validation samples")
    verdicts = full_verdicts(data, base, expert, samples, policy)
    places: dict[str, Sequence[KeyRegion] | None] = {"whole": None} | {
        f"saliency, {share:.0%}": _regions(saliency, items, share) for share in SHARES
    }
    places["evidence"] = [_evidence(item) for item in items]
    contrast = policy.contrast
    recommended = _contrasts(data, base, contrast, policy.noise_t, None, "the card's")
    known = _scores(items, verdicts, recommended)
    greedy = SamplingParams(n=1, temperature=0, max_new_tokens=base.card.max_new_tokens)
    plain = accuracy_of(items, data.answers(base, greedy, title="greedy"))
    gain = paired_difference(known["self-check"], plain)
    rows = [
        row("no noise", "greedy accuracy", plain),
        row_of("no noise", "the card's self-check minus greedy", gain, len(items)),
    ]
    for place, regions in places.items():
        for t in STEPS:
            name = f"{place}, t = {t}"
            found = _scores(items, verdicts, _contrasts(data, base, contrast, t, regions, name))
            for measure, hits in found.items():
                gain = paired_difference(hits, known[measure])
                rows.append(row(name, f"{measure} accuracy", hits))
                rows.append(row_of(name, f"{measure} minus the card's", gain, len(items)))
    return rows


def _evidence(item: Item) -> KeyRegion:
    return KeyRegion(grid=(GRID, GRID), patches=tuple(sorted(item.example.solution.evidence)))


def _regions(saliency: Saliency, items: Sequence[Item], share: float) -> list[KeyRegion]:
    asked = [item.example for item in items]
    maps = saliency.maps([e.image for e in asked], [texts_of(e.question, e.choices) for e in asked])
    return [key_region(found, share) for found in maps]


def _contrasts(
    data: Collection,
    base: TransformersEngine,
    params: ContrastParams,
    t: int,
    regions: Sequence[KeyRegion] | None,
    name: str,
) -> list[Samples]:
    return data.contrasts(base, params, t, regions=regions, title=f"self-check, {name}")


def _scores(
    items: Sequence[Item], verdicts: Sequence[Verdict], contrasts: Sequence[Samples]
) -> dict[str, list[list[float]]]:
    """Right or wrong for each question: the self-check's answer, and the whole vote's."""
    checked = [
        replace(verdict, self_check=verdict.key_of(said[0]))
        for verdict, said in zip(verdicts, contrasts, strict=True)
    ]
    return {
        "self-check": accuracy_of(items, contrasts),
        "CA-TTS": [[float(v.won("sample", *MODULES))] for v in checked],
    }
