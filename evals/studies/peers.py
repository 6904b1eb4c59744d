"""What a user would pick instead: other ways to spend the same samples, and what they cost."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import NamedTuple

from catts.agents.protocol import Generation
from catts.answers import read_together
from catts.evals import peers as methods
from catts.evals.benchmarks.item import Item
from catts.evals.graders.strict import strict
from catts.evals.peers import Drawn, Elected
from catts.evals.studies.result import Clusters, Estimate, Line
from catts.evals.studies.votes import Voted
from catts.graph.context import Policy

COLUMNS = ("accuracy", "vs majority", "tokens written", "tokens read")

TITLE = "Peers: accuracy against tokens, all from the same samples"

TEMPERATURES = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0)
"""CISC's T, chosen on validation data."""
POWERS = (0.1, 0.3, 0.5, 0.7, 1.0, 1.2, 1.5, 2.0, 3.0)
"""Self-certainty's p, chosen on validation data."""
FEWEST = 100
"""Fewest validation questions on which T and p are chosen: of fewer it would be by chance."""
WARMUP = 16
"""DeepConf's warm-up samples, its paper's. Of fewer the surest tenth is one sample, which agrees
with itself and ends the drawing; online it is simulated of twice as many samples or more."""

Way = Callable[[Sequence[Drawn]], Elected]

NOTES = (
    "Tokens per question: written by the base model and the expert; read, prompts and pictures, a "
    "prompt that samples share once. Ways that stop early are charged what they wrote until then.",
    "A tie counts as the share of its winners that are right.",
)


class Question(NamedTuple):
    """A question's samples, and whether an answer is right."""

    samples: tuple[Drawn, ...]
    right: Mapping[str, bool]

    def score(self, elected: Elected) -> float:
        """1.0, 0.0, or in a tie the share of the winners that are right."""
        hits = [float(self.right[key]) for key in elected.winners]
        return sum(hits) / len(hits) if hits else 0.0


class Tuned(NamedTuple):
    """CISC's temperature and self-certainty's power, and where they are from."""

    temperature: float
    power: float
    source: str


def published(why: str) -> Tuned:
    """What the authors' own code has, for want of data to choose on; `why` there are none.

    CISC's temperature depends on model and confidence; 0.2 is that of its authors' example (for
    P(True)). Self-certainty's power grows with the number of samples; 0.5 is its script's default.
    """
    return Tuned(0.2, 0.5, f"are those of their authors' code, since {why}")


def too_few(validation: int) -> str:
    """Why nothing is chosen on so many validation questions, as `published` takes it."""
    return f"{validation} validation questions are too few to choose on (it takes {FEWEST})"


def question_of(item: Item, generation: Generation) -> Question:
    """A question's samples as the methods take them; blocks while answers are graded."""
    texts = (sample.text for sample in generation.samples)
    named = [found.key for found in read_together(texts, item.text_question)]
    right: dict[str, bool] = {}
    for key, sample in zip(named, generation.samples, strict=True):
        if key is not None and key not in right:
            right[key] = strict(item, sample.text).right
    drawn = tuple(
        Drawn(
            key,
            sample.token_confidence,
            sample.confidence.get("mean_logprob"),
            sample.confidence.get("self_certainty"),
            len(sample.token_ids),
        )
        for key, sample in zip(named, generation.samples, strict=True)
    )
    return Question(drawn, right)


def tune(validation: Sequence[Question]) -> Tuned:
    """The temperature and power with the best accuracy; the first of equals."""

    def best(grid: Sequence[float], vote: Callable[[Sequence[Drawn], float], Elected]) -> float:
        return max(grid, key=lambda x: sum(q.score(vote(q.samples, x)) for q in validation))

    return Tuned(
        best(TEMPERATURES, methods.cisc),
        best(POWERS, methods.self_certainty),
        f"were chosen on {len(validation)} validation questions",
    )


def ways(questions: Sequence[Question], tuned: Tuned) -> dict[str, Way]:
    """Name of each way to vote to the way; those that need what no engine told are left out."""
    voters = [s for q in questions for s in q.samples if s.key is not None]
    found: dict[str, Way] = {
        "majority": methods.majority,
        "Adaptive-Consistency": methods.adaptive_consistency,
    }
    if all(s.mean_logprob is not None for s in voters):
        found["CISC"] = partial(methods.cisc, temperature=tuned.temperature)
    if all(s.self_certainty is not None for s in voters):
        found["self-certainty, Borda"] = partial(methods.self_certainty, power=tuned.power)
    if all(s.token_confidence for s in voters):
        deepconf: dict[str, Callable[..., Elected]] = {"DeepConf": methods.deepconf}
        if _drawn(questions) >= 2 * WARMUP:
            deepconf["DeepConf online"] = partial(methods.deepconf_online, warmup=WARMUP)
        for method, way in deepconf.items():
            for window, name in ((methods.WINDOW, ""), (None, ", tenth")):
                for keep in (0.9, 0.1):
                    full = f"{method}, top {keep:.0%}{name}"
                    found[full] = partial(way, keep=keep, window=window)
    return found


def _drawn(questions: Sequence[Question]) -> int:
    """Samples of a question, as many of each."""
    return len(questions[0].samples)


def notes(
    questions: Sequence[Question], tuned: Tuned, policy: Policy, seen: int
) -> tuple[str, ...]:
    """What a reader of the table has to know.

    Args:
        questions: those of the study.
        tuned: the numbers that were chosen.
        policy: of the runs.
        seen: on how many of the questions the base model's card was chosen.
    """
    found = ways(questions, tuned)
    unseen = "" if seen else "; nothing was chosen on these questions"
    drawn = _drawn(questions)
    online = (
        f"DeepConf's warm-up is {WARMUP} of {drawn} samples (its paper's is 16 of 512)."
        if drawn >= 2 * WARMUP
        else f"DeepConf online is left out: it needs {2 * WARMUP} samples or more (--samples "
        f"{2 * WARMUP}), since of a shorter warm-up its top 10% is one sample, which agrees with "
        "itself and ends the drawing."
    )
    told = (
        *NOTES,
        f"CISC's temperature ({tuned.temperature:g}) and self-certainty's power ({tuned.power:g}) "
        f"{tuned.source}{unseen}. DeepConf's and "
        "Adaptive-Consistency's numbers are their papers'.",
        f"DeepConf's group has {methods.WINDOW:,} tokens; a shorter completion is one group. The "
        "lines with a tenth take a tenth of the completion instead (online, of what the warm-up "
        "wrote on average).",
        f"Ways that stop early are simulated on stored samples in their order. {online}",
        f"VCD alone is the self-check of the same runs: greedy, alpha = {policy.contrast_alpha:g}, "
        f"beta = {policy.contrast_beta:g}, the whole picture noised to t = {policy.noise_t}.",
    )
    needed = ("CISC", "self-certainty, Borda", "DeepConf, top 90%")
    missing = [name.partition(",")[0] for name in needed if name not in found]
    if missing:
        return (*told, f"Left out, since the base model does not tell enough: {', '.join(missing)}")
    return told


def peers(
    questions: Sequence[Question],
    tuned: Tuned,
    runs: Mapping[str, Sequence[Voted]],
) -> list[Line]:
    """The table.

    Args:
        questions: the samples of every question, as many for each.
        tuned: from `tune`, on other questions, or `published`.
        runs: CA-TTS: routing to the runs of the same questions on the same samples; `paper` among
            them, from which the self-check alone (VCD) is taken.
    """
    paper = runs["paper"]
    read = [_read(vote, "sampler") for vote in paper]
    base: Clusters = [[q.score(methods.majority(q.samples))] for q in questions]
    once: Clusters = [
        [q.score(methods.majority([s])) for s in q.samples] or [0.0] for q in questions
    ]
    single = [sum(s.tokens for s in q.samples) / max(1, len(q.samples)) for q in questions]
    lines = [_line("samples", "pass@1", once, base, single, read)]
    for name, way in ways(questions, tuned).items():
        elected = [way(q.samples) for q in questions]
        hits = [[q.score(e)] for q, e in zip(questions, elected, strict=True)]
        lines.append(_line("samples", name, hits, base, [e.tokens for e in elected], read))
    checked = [
        [vote.right(vote.trace.self_check.sample.answer) if vote.trace.self_check else 0.0]
        for vote in paper
    ]
    written, looked = ([kind(vote, "self_check") for vote in paper] for kind in (_written, _read))
    lines.append(_line("decoding", "VCD alone", checked, base, written, looked))
    for routing, votes in runs.items():
        hits = [[vote.answered] for vote in votes]
        total = [vote.trace.usage.total for vote in votes]
        lines.append(
            _line(
                "CA-TTS", f"CA-TTS, {routing}", hits, base,
                [u.completion_tokens for u in total], [u.prompt_tokens for u in total],
            )
        )  # fmt: skip
    return lines


def _line(
    group: str,
    label: str,
    hits: Clusters,
    base: Clusters,
    written: Sequence[float],
    read: Sequence[float],
) -> Line:
    return Line(
        group=group,
        label=label,
        cells={
            "accuracy": Estimate.mean(hits),
            "vs majority": None if label == "majority" else Estimate.difference(hits, base),
            "tokens written": Estimate.mean([[tokens] for tokens in written]),
            "tokens read": Estimate.mean([[tokens] for tokens in read]),
        },
    )


def _written(vote: Voted, node: str) -> float:
    return sum(r.usage.completion_tokens for r in vote.trace.usage.nodes if r.node == node)


def _read(vote: Voted, node: str) -> float:
    return sum(r.usage.prompt_tokens for r in vote.trace.usage.nodes if r.node == node)
