"""What a user would pick instead: other ways to spend the same samples, and what they cost."""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from catts.agents.protocol import Generation
from catts.answers import AnswerKeys, extract_answer
from catts.evals import peers as methods
from catts.evals.benchmarks.item import Item
from catts.evals.graders.strict import strict
from catts.evals.metrics import cluster_bootstrap
from catts.evals.peers import Drawn, Elected
from catts.evals.studies.result import Clusters, Estimate, Line
from catts.evals.studies.votes import Voted

COLUMNS = ("accuracy", "vs majority", "tokens written", "tokens read")

TITLE = "Peers: accuracy against tokens, all from the same samples"

TEMPERATURES = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0)
"""CISC's T, chosen on validation data."""
POWERS = (0.1, 0.3, 0.5, 0.7, 1.0, 1.2, 1.5, 2.0, 3.0)
"""Self-certainty's p, chosen on validation data."""

NOTES = (
    "Tokens per question: written by the base model and the expert; read, prompts and pictures, a "
    "prompt that samples share once. Ways that stop early are charged what they wrote until then.",
    "CISC's temperature and self-certainty's power were chosen on the validation stream; all other "
    "numbers are their papers'. DeepConf's group of 2,048 tokens is longer than these completions, "
    "so a completion is one group; the lines with a tenth take a tenth of the completion instead.",
    "DeepConf online and Adaptive-Consistency are simulated on stored samples in their order; the "
    "warm-up is a quarter of the samples, at least two.",
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
    """What was chosen on validation data."""

    temperature: float
    power: float


def question_of(item: Item, generation: Generation) -> Question:
    """A question's samples as the methods take them; blocks while answers are graded."""
    said = [extract_answer(s.text, item.text_question) for s in generation.samples]
    keys = AnswerKeys(item.text_question, said)
    named = [None if words is None else keys.key(words) for words in said]
    right: dict[str, bool] = {}
    for key, sample in zip(named, generation.samples, strict=True):
        if key is not None and key not in right:
            right[key] = strict(item, sample.text).right
    drawn = tuple(
        Drawn(
            key,
            sample.token_confidence,
            sample.confidence.get("mean_logprob", 0.0),
            sample.confidence.get("self_certainty", 0.0),
        )
        for key, sample in zip(named, generation.samples, strict=True)
    )
    return Question(drawn, right)


def tune(validation: Sequence[Question]) -> Tuned:
    """The temperature and power with the best accuracy; the first of equals."""

    def best(grid: Sequence[float], vote: Callable[[Sequence[Drawn], float], Elected]) -> float:
        return max(grid, key=lambda x: sum(q.score(vote(q.samples, x)) for q in validation))

    return Tuned(best(TEMPERATURES, methods.cisc), best(POWERS, methods.self_certainty))


def ways(n: int, tuned: Tuned) -> dict[str, Callable[[Sequence[Drawn]], Elected]]:
    """Name of each way to vote to the way, for `n` samples a question."""
    warmup = max(2, n // 4)
    return {
        "majority": methods.majority,
        "Adaptive-Consistency": methods.adaptive_consistency,
        "CISC": lambda s: methods.cisc(s, tuned.temperature),
        "self-certainty, Borda": lambda s: methods.self_certainty(s, tuned.power),
        "DeepConf, top 90 %": lambda s: methods.deepconf(s, 0.9),
        "DeepConf, top 10 %": lambda s: methods.deepconf(s, 0.1),
        "DeepConf, top 90 %, tenth": lambda s: methods.deepconf(s, 0.9, None),
        "DeepConf, top 10 %, tenth": lambda s: methods.deepconf(s, 0.1, None),
        "DeepConf online, top 90 %, tenth": lambda s: methods.deepconf_online(
            s, 0.9, warmup, window=None
        ),
        "DeepConf online, top 10 %, tenth": lambda s: methods.deepconf_online(
            s, 0.1, warmup, window=None
        ),
    }


def peers(
    questions: Sequence[Question],
    tuned: Tuned,
    runs: Mapping[str, Sequence[Voted]],
) -> list[Line]:
    """The table.

    Args:
        questions: the samples of every question, as many for each.
        tuned: from `tune`, on other questions.
        runs: CA-TTS: routing to the runs of the same questions on the same samples; `paper` among
            them, from which the self-check alone (VCD) is taken.
    """
    paper = runs["paper"]
    read = [_read(vote, "sampler") for vote in paper]
    base: Clusters = [[q.score(methods.majority(q.samples))] for q in questions]
    n = len(questions[0].samples)
    once: Clusters = [
        [q.score(methods.majority([s])) for s in q.samples] or [0.0] for q in questions
    ]
    single = [
        sum(len(s.token_confidence) for s in q.samples) / max(1, len(q.samples)) for q in questions
    ]
    lines = [_line("samples", "pass@1", once, base, single, read)]
    for name, way in ways(n, tuned).items():
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
            "tokens written": cluster_bootstrap([[t] for t in written]).estimate,
            "tokens read": cluster_bootstrap([[t] for t in read]).estimate,
        },
    )


def _written(vote: Voted, node: str) -> float:
    return sum(r.usage.completion_tokens for r in vote.trace.usage.nodes if r.node == node)


def _read(vote: Voted, node: str) -> float:
    return sum(r.usage.prompt_tokens for r in vote.trace.usage.nodes if r.node == node)
