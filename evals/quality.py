"""Measure the embedded models against their bars: one table, each row with its interval.

Everything is measured on the test stream with the card that was fitted on the validation stream.
Sampling is at temperature 1 without a filter; intervals are 95 % bootstrap, clustered by question.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np

from catts.agents.protocol import SamplingParams
from catts.agents.transformers_engine import TransformersEngine
from catts.embedded.questions import FAMILIES, FREE_FAMILIES
from catts.embedded.scene import GRADES
from catts.embedded.world import BENCHMARK_SIZE
from catts.evals.collect import Collection, Samples
from catts.evals.items import Item, load_items, shuffled
from catts.evals.metrics import (
    Interval,
    any_correct_at_k,
    cluster_bootstrap,
    log_scores,
    majority_at_k,
    paired_difference,
    weighted_auroc,
    within_cluster_aurocs,
)
from catts.evals.modules import full_verdicts, reanswered
from catts.evals.verdicts import Verdict, accuracy_of, gold, key_of, turned_right
from catts.graph.context import Policy

EASIEST = 1800
"""Questions of the easiest grade: 300 of each family; fewer for a smaller benchmark."""
CURVE = 600
"""Validation questions of the noise curve; fewer for a smaller benchmark."""
NOISE_STEPS = (100, 200, 300, 400, 500, 600, 700, 800, 900, 999)
LOG_FLOOR = 0.01
"""Probability that a right answer without a vote counts as, in the log score."""


class Row(NamedTuple):
    """One line of the table."""

    group: str
    measure: str
    value: float | None
    """None where there was nothing to measure."""
    low: float | None = None
    high: float | None = None
    n: int | None = None
    """Questions measured."""
    bar: str = ""
    met: bool | None = None
    """None where the row has no bar."""


class NoisePoint(NamedTuple):
    """Fresh greedy answers to pictures whose key region is noised to step t."""

    t: int
    accuracy: float
    confidence: float
    """Mean of the paper's confidence C."""
    shift: float
    """Change of that mean from the clean pictures, in the clean standard deviation."""
    voting_shift: float
    """The same for the kind that weighs the votes."""


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
        self._items = load_items("test", n)
        self._share = min(1.0, n / BENCHMARK_SIZE)
        self._data = self._collection(self._items)

    def run(self) -> Quality:
        """Measure everything."""
        greedy = self._data.answers(self._base, self._greedy, title="base, greedy")
        eight = self._data.answers(self._base, self._eight, title="base, eight samples")
        rows = [*self._sight(), *self._whole(greedy), *self._votes(greedy, eight)]
        rows += self._confidence(eight)
        curve, t_star = self._curve()
        rows += self._overconfidence(greedy, t_star)
        rows += self._roles(greedy, eight)
        return Quality(rows, curve, t_star)

    def _scaled(self, full: int) -> int:
        return max(36, round(full * self._share))

    def _collection(self, items: Sequence[Item]) -> Collection:
        return Collection(self._folder, items, quiet=self._quiet)

    def _blind(self, data: Collection, title: str) -> list[Samples]:
        return data.answers(
            self._base, self._greedy, images=shuffled(data.items), shown="shuffled", title=title
        )

    def _sight(self) -> list[Row]:
        items = load_items("test", self._scaled(EASIEST), grade=1)
        data = self._collection(items)
        seen = accuracy_of(items, data.answers(self._base, self._greedy, title="easiest grade"))
        blind = accuracy_of(items, self._blind(data, "easiest grade, shuffled"))
        rows = [_row("base, easiest grade", "accuracy, greedy", seen, ">= 0.80", _above(0.8))]
        for family in FAMILIES:
            at = [i for i, item in enumerate(items) if item.example.family == family]
            margin = paired_difference([seen[i] for i in at], [blind[i] for i in at])
            met = margin.estimate >= 0.2 and margin.low >= 0.1
            bar = ">= 0.20, low >= 0.10"
            rows.append(_of("base, easiest grade", f"{family} above shuffled image", margin,
                            len(at), bar, met))  # fmt: skip
        return rows

    def _whole(self, greedy: list[Samples]) -> list[Row]:
        hits = accuracy_of(self._items, greedy)
        rows = [_row("base, benchmark", "accuracy, greedy", hits, "0.50 to 0.75",
                     lambda i: 0.5 <= i.estimate <= 0.75)]  # fmt: skip
        grades = []
        for grade in GRADES:
            part = [h for h, item in zip(hits, self._items, strict=True)
                    if item.example.grade == grade]  # fmt: skip
            grades.append(cluster_bootstrap(part))
            falling = grades[-1].estimate < grades[-2].estimate if grade > 1 else None
            bar = "below the easier grade" if grade > 1 else ""
            rows.append(_of("base, benchmark", f"grade {grade}", grades[-1], len(part),
                            bar, falling))  # fmt: skip
        blind = accuracy_of(self._items, self._blind(self._data, "benchmark, shuffled"))
        rows.append(_row("base, benchmark", "shuffled image", blind))
        return rows

    def _votes(self, greedy: list[Samples], eight: list[Samples]) -> list[Row]:
        items = self._items
        hits = accuracy_of(items, eight)
        keys = [[key_of(i, s) for s in row] for i, row in zip(items, eight, strict=True)]
        majority = [[majority_at_k(k, [h > 0 for h in hit])]
                    for k, hit in zip(keys, hits, strict=True)]  # fmt: skip
        once = accuracy_of(items, greedy)
        gain = paired_difference(majority, hits)
        free = [i for i, item in enumerate(items) if item.example.family in FREE_FAMILIES]
        any_right = [[any_correct_at_k(8, int(sum(hits[i])), 8)] for i in free]
        lead = paired_difference(any_right, [majority[i] for i in free])
        group = "votes, benchmark"
        return [
            _row(group, "pass@1", hits),
            _row(group, "majority@8", majority),
            _of(group, "majority@8 minus pass@1", gain, len(items), ">= 0.03, low > 0",
                gain.estimate >= 0.03 and gain.low > 0),
            _of(group, "majority@8 minus greedy", paired_difference(majority, once), len(items)),
            _of(group, "any-correct@8 minus majority@8, free answers", lead, len(free),
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
                _of(group, "AUROC, pooled", pooled, len(hits), ">= 0.65" if judged else "",
                    pooled.estimate >= 0.65 if judged else None),
                _of(group, "AUROC within a question", within, len(inside),
                    "low > 0.5" if judged else "", within.low > 0.5 if judged else None),
            ]  # fmt: skip
        return rows

    def _curve(self) -> tuple[list[NoisePoint], int | None]:
        """The noise curve, and the smallest t that costs half the margin over shuffled images."""
        data = self._collection(load_items("validation", self._scaled(CURVE)))
        clean = data.answers(self._base, self._greedy, title="validation, clean")
        blind = float(np.mean(accuracy_of(data.items, self._blind(data, "validation, shuffled"))))
        top = float(np.mean(accuracy_of(data.items, clean)))
        curve = [_point(data.items, 0, clean, clean, self._policy)]
        for t in NOISE_STEPS:
            rows = self._noised(data, t)
            curve.append(_point(data.items, t, rows, clean, self._policy))
        reached = [p.t for p in curve if p.t and p.accuracy <= (top + blind) / 2]
        return curve, (min(reached) if reached else None)

    def _noised(self, data: Collection, t: int) -> list[Samples]:
        images = [item.noised(t, key_region=True) for item in data.items]
        return data.answers(self._base, self._greedy, images=images, shown=f"key {t}",
                            title=f"key region noised to {t}")  # fmt: skip

    def _overconfidence(self, greedy: list[Samples], t_star: int | None) -> list[Row]:
        group = "over-confidence"
        if t_star is None:
            return [Row(group, "no noise step costs half the margin", None, met=False)]
        noised = self._noised(self._data, t_star)
        rows = [_row(group, f"accuracy, key region at t* = {t_star}",
                     accuracy_of(self._items, noised))]  # fmt: skip
        for kind in dict.fromkeys(("top_k_mean", self._policy.confidence_kind)):
            clean = np.array([row[0].confidence[kind] for row in greedy])
            other = np.array([row[0].confidence[kind] for row in noised])
            fall = cluster_bootstrap([[d] for d in (clean - other) / clean.std()])
            rows.append(_of(group, f"fall of {kind}, in its standard deviation", fall, len(clean),
                            "< 0.25", fall.estimate < 0.25))  # fmt: skip
        return rows

    def _roles(self, greedy: list[Samples], eight: list[Samples]) -> list[Row]:
        items, data = self._items, self._data
        expert = accuracy_of(items, data.answers(self._expert, self._greedy, title="expert"))
        base = accuracy_of(items, greedy)
        better = paired_difference(expert, base)
        rows = [
            _row("expert", "accuracy, greedy", expert),
            _of("expert", "minus base", better, len(items), ">= 0.10", better.estimate >= 0.1),
        ]
        verdicts = full_verdicts(data, self._base, self._expert, eight, self._policy)
        rows += [*self._voter(verdicts), *self._critic(verdicts), *_ladder("CA-TTS", verdicts)]
        own = full_verdicts(data, self._base, self._base, eight, self._policy)
        return [
            *rows,
            _row("base as its own expert", "voter, failed", _failed(own, "vote")),
            _row("base as its own expert", "critic, failed", _failed(own, "critique")),
            *_ladder("base as its own expert", own),
        ]

    def _voter(self, verdicts: list[Verdict]) -> list[Row]:
        alone, both = (
            log_scores([v.share(*sources) for v in verdicts], floor=LOG_FLOOR)
            for sources in (("sample",), ("sample", "voter"))
        )
        gain = paired_difference([[s] for s in both], [[s] for s in alone])
        return [
            _row("voter", "log score, V_internal", [[s] for s in alone]),
            _row("voter", "log score, with the voter", [[s] for s in both]),
            _of("voter", "difference", gain, len(verdicts), "low > 0", gain.low > 0),
            _row("voter", "failed", _failed(verdicts, "vote")),
        ]

    def _critic(self, verdicts: list[Verdict]) -> list[Row]:
        unsure = [v for v in verdicts if v.field and v.certainty < self._policy.reflect_below]
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
        gains = [[[float(turned_right(v))] for v in under] for under in (unsure, swapped)]
        net = paired_difference(*gains)
        return [
            _row(group, "net share turned right", gains[0]),
            _row(group, "under another question's critique", gains[1]),
            _of(group, "difference", net, len(unsure), "low > 0", net.low > 0),
            _row(group, "failed", _failed(unsure, "critique")),
        ]


def _failed(verdicts: list[Verdict], role: Literal["vote", "critique"]) -> list[list[float]]:
    """1.0 where the role's reply could not be read, of the questions that have candidates."""
    return [[float(getattr(v, role) is None)] for v in verdicts if v.field]


def _ladder(group: str, verdicts: list[Verdict]) -> list[Row]:
    ways = {
        "confidence-weighted vote": ("sample",),
        "with voter": ("sample", "voter"),
        "with critic": ("sample", "critic"),
        "with self-check": ("sample", "self_check"),
        "CA-TTS, all modules": ("sample", "voter", "critic", "self_check"),
    }
    hits = {w: [[float(v.won(*s))] for v in verdicts] for w, s in ways.items()}  # type: ignore[arg-type]
    rows = [_row(group, way, hit) for way, hit in hits.items()]
    majority = [
        [majority_at_k([s.answer for s in v.samples],
                       [s.answer == gold(v.item) for s in v.samples])]
        for v in verdicts
    ]  # fmt: skip
    gain = paired_difference(hits["CA-TTS, all modules"], majority)
    return [*rows, _of(group, "CA-TTS minus majority@8", gain, len(verdicts))]


def _point(
    items: Sequence[Item], t: int, rows: list[Samples], clean: list[Samples], policy: Policy
) -> NoisePoint:
    shifts = []
    for kind in ("top_k_mean", policy.confidence_kind):
        before = np.array([row[0].confidence[kind] for row in clean])
        after = np.array([row[0].confidence[kind] for row in rows])
        shifts.append(float((after.mean() - before.mean()) / before.std()))
    mean = float(np.mean([row[0].confidence["top_k_mean"] for row in rows]))
    return NoisePoint(t, float(np.mean(accuracy_of(items, rows))), mean, shifts[0], shifts[1])


def _above(bound: float) -> Callable[[Interval], bool]:
    return lambda interval: interval.estimate >= bound


def _row(
    group: str,
    measure: str,
    clusters: Sequence[Sequence[float]],
    bar: str = "",
    met: Callable[[Interval], bool] | None = None,
) -> Row:
    interval = cluster_bootstrap(clusters)
    return _of(group, measure, interval, len(clusters), bar, met(interval) if met else None)


def _of(
    group: str, measure: str, interval: Interval, n: int, bar: str = "", met: bool | None = None
) -> Row:
    return Row(group, measure, *interval, n, bar, met)
