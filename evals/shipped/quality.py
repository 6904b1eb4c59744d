"""Measure the embedded models against their bars: one table, each row with its interval.

Everything is measured on the test stream with the card that was fitted on the validation stream.
Sampling is at temperature 1 without a filter; intervals are 95 % bootstrap, clustered by question.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np

from catts.agents.engines.transformers_engine import TransformersEngine
from catts.agents.protocol import SamplingParams
from catts.embedded.questions import FAMILIES, FREE_FAMILIES
from catts.embedded.scene import GRADES
from catts.embedded.world import BENCHMARK_SIZE
from catts.evals.metrics import (
    any_correct_at_k,
    cluster_bootstrap,
    log_scores,
    majority_at_k,
    paired_difference,
    weighted_auroc,
    within_cluster_aurocs,
)
from catts.evals.shipped.collect import Collection, Samples
from catts.evals.shipped.items import Item, load_items
from catts.evals.shipped.modules import full_verdicts, reanswered
from catts.evals.shipped.rows import Row, row, row_of
from catts.evals.shipped.sight import NoisePoint, Sight
from catts.evals.shipped.verdicts import Verdict, accuracy_of, keys_of
from catts.graph.context import Policy

EASIEST = 1800
"""Questions of the easiest grade: 300 of each family; fewer for a smaller benchmark."""
CURVE = 600
"""Validation questions of the noise curve; fewer for a smaller benchmark."""
LOG_FLOOR = 0.01
"""Probability that a right answer without a vote counts as, in the log score."""


class Quality(NamedTuple):
    """All rows, and the noise curve on validation data with the step that was chosen from it."""

    rows: list[Row]
    curve: list[NoisePoint]
    t_star: int | None


class Measurement:
    """Measures a base and an expert checkpoint; stored answers in `folder` are used again."""

    def __init__(
        self,
        base: TransformersEngine,
        expert: TransformersEngine,
        folder: Path,
        *,
        n: int = BENCHMARK_SIZE,
        seed: int = 0,
        quiet: bool = False,
    ) -> None:
        self._base, self._expert, self._folder, self._quiet = base, expert, folder, quiet
        self._greedy = SamplingParams(n=1, temperature=0, max_new_tokens=base.card.max_new_tokens)
        self._eight = SamplingParams(n=8, max_new_tokens=base.card.max_new_tokens, seed=seed)
        self._policy = Policy.from_card(base.card, samples=8, seed=seed)
        self._sight = Sight(base, self._greedy, self._policy.confidence_kind)
        self._items = load_items("test", n)
        self._share = min(1.0, n / BENCHMARK_SIZE)
        self._data = self._collection(self._items)

    def run(self) -> Quality:
        """Measure everything."""
        greedy = self._sight.clean(self._data, "base, greedy")
        eight = self._data.answers(self._base, self._eight, title="base, eight samples")
        rows = [*self._easiest(), *self._whole(greedy), *self._votes(greedy, eight)]
        rows += self._confidence(eight)
        validation = self._collection(load_items("validation", self._scaled(CURVE)))
        curve, t_star = self._sight.curve(validation)
        if t_star is None:
            rows.append(Row("over-confidence", "no noise step costs half the margin", None,
                            met=False))  # fmt: skip
        else:
            rows += self._sight.overconfidence(validation, self._data, t_star)
        rows += self._roles(greedy, eight)
        return Quality(rows, curve, t_star)

    def _scaled(self, full: int) -> int:
        return max(36, round(full * self._share))

    def _collection(self, items: Sequence[Item]) -> Collection:
        return Collection(self._folder, items, quiet=self._quiet)

    def _easiest(self) -> list[Row]:
        items = load_items("test", self._scaled(EASIEST), grade=1)
        data = self._collection(items)
        seen = accuracy_of(items, self._sight.clean(data, "easiest grade"))
        blind = accuracy_of(items, self._sight.blind(data, "easiest grade, shuffled"))
        rows = [
            row(
                "base, easiest grade",
                "accuracy, greedy",
                seen,
                ">= 0.80",
                lambda i: i.estimate >= 0.8,
            )
        ]
        for family in FAMILIES:
            at = [i for i, item in enumerate(items) if item.example.family == family]
            margin = paired_difference([seen[i] for i in at], [blind[i] for i in at])
            met = margin.estimate >= 0.2 and margin.low >= 0.1
            bar = ">= 0.20, low >= 0.10"
            rows.append(row_of("base, easiest grade", f"{family} above shuffled image", margin,
                            len(at), bar, met))  # fmt: skip
        return rows

    def _whole(self, greedy: list[Samples]) -> list[Row]:
        hits = accuracy_of(self._items, greedy)
        rows = [row("base, benchmark", "accuracy, greedy", hits, "0.50 to 0.80",
                     lambda i: 0.5 <= i.estimate <= 0.8)]  # fmt: skip
        grades = []
        for grade in GRADES:
            part = [h for h, item in zip(hits, self._items, strict=True)
                    if item.example.grade == grade]  # fmt: skip
            grades.append(cluster_bootstrap(part))
            falling = grades[-1].estimate < grades[-2].estimate if grade > 1 else None
            bar = "below the easier grade" if grade > 1 else ""
            rows.append(row_of("base, benchmark", f"grade {grade}", grades[-1], len(part),
                            bar, falling))  # fmt: skip
        blind = accuracy_of(self._items, self._sight.blind(self._data, "benchmark, shuffled"))
        rows.append(row("base, benchmark", "shuffled image", blind))
        return rows

    def _votes(self, greedy: list[Samples], eight: list[Samples]) -> list[Row]:
        items = self._items
        hits = accuracy_of(items, eight)
        keys = [keys_of(i, row) for i, row in zip(items, eight, strict=True)]
        majority = [[majority_at_k(k, [h > 0 for h in hit])]
                    for k, hit in zip(keys, hits, strict=True)]  # fmt: skip
        once = accuracy_of(items, greedy)
        gain = paired_difference(majority, hits)
        free = [i for i, item in enumerate(items) if item.example.family in FREE_FAMILIES]
        any_right = [[any_correct_at_k(8, int(sum(hits[i])), 8)] for i in free]
        lead = paired_difference(any_right, [majority[i] for i in free])
        group = "votes, benchmark"
        return [
            row(group, "pass@1", hits),
            row(group, "majority@8", majority),
            row_of(group, "majority@8 minus pass@1", gain, len(items), ">= 0.03, low > 0",
                gain.estimate >= 0.03 and gain.low > 0),
            row_of(group, "majority@8 minus greedy", paired_difference(majority, once), len(items)),
            row_of(group, "any-correct@8 minus majority@8, free answers", lead, len(free),
                ">= 0.10", lead.estimate >= 0.1),
        ]  # fmt: skip

    def _confidence(self, eight: list[Samples]) -> list[Row]:
        hits = accuracy_of(self._items, eight)
        rows = []
        chosen = self._policy.confidence_kind
        for kind in dict.fromkeys((chosen, "top_k_mean", "mean_logprob", "min_logprob")):
            scores = [[s.confidence[kind] for s in row] for row in eight]
            pairs = [np.stack([s, h], axis=1) for s, h in zip(scores, hits, strict=True)]
            pooled = cluster_bootstrap(pairs, weighted_auroc)
            inside = within_cluster_aurocs(scores, hits)
            within = cluster_bootstrap([[v] for v in inside])
            group = f"confidence {kind}" + (" (votes)" if kind == chosen else "")
            judged = kind == chosen
            rows += [
                row_of(group, "AUROC, pooled", pooled, len(hits), ">= 0.65" if judged else "",
                    pooled.estimate >= 0.65 if judged else None),
                row_of(group, "AUROC within a question", within, len(inside),
                    "low > 0.5" if judged else "", within.low > 0.5 if judged else None),
            ]  # fmt: skip
        return rows

    def _roles(self, greedy: list[Samples], eight: list[Samples]) -> list[Row]:
        items, data = self._items, self._data
        expert = accuracy_of(items, data.answers(self._expert, self._greedy, title="expert"))
        base = accuracy_of(items, greedy)
        better = paired_difference(expert, base)
        rows = [
            row("expert", "accuracy, greedy", expert),
            row_of("expert", "minus base", better, len(items), ">= 0.10", better.estimate >= 0.1),
        ]
        verdicts = full_verdicts(data, self._base, self._expert, eight, self._policy)
        rows += [
            *self._voter(verdicts),
            *self._critic(verdicts),
            *_ladder("CA-TTS", verdicts, 0.02),
        ]
        own = full_verdicts(data, self._base, self._base, eight, self._policy)
        return [
            *rows,
            row("base as its own expert", "voter, failed", _failed(own, "vote")),
            row("base as its own expert", "critic, failed", _failed(own, "critique")),
            *_ladder("base as its own expert", own, 0.0),
        ]

    def _voter(self, verdicts: list[Verdict]) -> list[Row]:
        alone, both = (
            log_scores([v.share(*sources) for v in verdicts], floor=LOG_FLOOR)
            for sources in (("sample",), ("sample", "voter"))
        )
        gain = paired_difference([[s] for s in both], [[s] for s in alone])
        return [
            row("voter", "log score, V_internal", [[s] for s in alone]),
            row("voter", "log score, with the voter", [[s] for s in both]),
            row_of("voter", "difference", gain, len(verdicts), "low > 0", gain.low > 0),
            row("voter", "failed", _failed(verdicts, "vote")),
        ]

    def _critic(self, verdicts: list[Verdict]) -> list[Row]:
        unsure = [v for v in verdicts if v.unsure]
        group = "critic, unsure leaders"
        if len(unsure) < 2:
            return [Row(group, "no leader is unsure enough", None, n=len(unsure), met=False)]
        data = self._collection([v.item for v in unsure])
        own = [v.critique for v in unsure]
        shift = max(1, len(own) // 2)
        foreign = [own[(i + shift) % len(own)] for i in range(len(own))]
        title = "re-answer, another's critique"
        others = reanswered(data, self._base, unsure, foreign, title=title)
        swapped = [replace(v, reanswer=a) for v, a in zip(unsure, others, strict=True)]
        gains = [[[float(v.turned)] for v in under] for under in (unsure, swapped)]
        net = paired_difference(*gains)
        return [
            row(group, "net share turned right", gains[0]),
            row(group, "under another question's critique", gains[1]),
            row_of(group, "difference", net, len(unsure), "low > 0", net.low > 0),
            row(group, "failed", _failed(unsure, "critique")),
        ]


def _failed(verdicts: list[Verdict], role: Literal["vote", "critique"]) -> list[list[float]]:
    """1.0 where the role's reply could not be read, of the questions on which it was asked."""
    least = 2 if role == "vote" else 1
    return [[float(getattr(v, role) is None)] for v in verdicts if len(v.field) >= least]


def _ladder(group: str, verdicts: list[Verdict], bar: float) -> list[Row]:
    """Accuracy module by module; `bar` is what the gain over the majority must exceed for sure."""
    ways = {
        "confidence-weighted vote": ("sample",),
        "with voter": ("sample", "voter"),
        "with critic": ("sample", "critic"),
        "with self-check": ("sample", "self_check"),
        "CA-TTS, all modules": ("sample", "voter", "critic", "self_check"),
    }
    hits = {w: [[float(v.won(*s))] for v in verdicts] for w, s in ways.items()}  # type: ignore[arg-type]
    rows = [row(group, way, hit) for way, hit in hits.items()]
    majority = [
        [majority_at_k([s.answer for s in v.samples],
                       [s.answer == v.gold for s in v.samples])]
        for v in verdicts
    ]  # fmt: skip
    gain = paired_difference(hits["CA-TTS, all modules"], majority)
    return [*rows, row_of(group, "CA-TTS minus majority@8", gain, len(verdicts),
                          f"low > {bar:g}", gain.low > bar)]  # fmt: skip
