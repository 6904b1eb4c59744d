"""What a planner should learn: which module raises the right answer's margin most, and how much."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from catts.agents.engines.transformers_engine import TransformersEngine
from catts.agents.protocol import SamplingParams
from catts.evals.metrics import Interval, cluster_bootstrap
from catts.evals.shipped.collect import Collection
from catts.evals.shipped.items import load_items
from catts.evals.shipped.modules import full_verdicts
from catts.evals.shipped.verdicts import Verdict
from catts.graph.context import Policy
from catts.names import MODULES, Module


class Gain(NamedTuple):
    """Mean change of the right answer's margin that one module's ballots bring."""

    module: Module
    gain: Interval
    """In votes; the samples have 1 vote between them, each module 0.5."""


def margin_gains(verdicts: Sequence[Verdict]) -> list[Gain]:
    """The modules, the most useful first."""
    gains = [
        Gain(
            module,
            cluster_bootstrap(
                [[v.margin("sample", module) - v.margin("sample")] for v in verdicts]
            ),
        )
        for module in MODULES
    ]
    return sorted(gains, key=lambda g: -g.gain.estimate)


def measure_order(
    base: TransformersEngine,
    expert: TransformersEngine,
    folder: Path,
    *,
    n: int = 600,
    seed: int = 0,
    start: int = 500_000_000,
    quiet: bool = False,
) -> dict[str, list[Gain]]:
    """Gains on training-stream questions that no lesson used, by how clear the lead is.

    A group that holds no question is left out.
    """
    items = load_items("train", n, start=start)
    policy = Policy.from_card(base.card, samples=8, seed=seed)
    data = Collection(folder, items, quiet=quiet)
    params = SamplingParams(n=8, max_new_tokens=base.card.max_new_tokens, seed=seed)
    rows = data.answers(base, params, title="training-stream samples")
    verdicts = [v for v in full_verdicts(data, base, expert, rows, policy) if v.field]
    groups = {
        "all": verdicts,
        "leader below 0.6": [v for v in verdicts if v.field[0].share < 0.6],
        "leader at 0.6 or more": [v for v in verdicts if v.field[0].share >= 0.6],
    }
    return {name: margin_gains(group) for name, group in groups.items() if group}
