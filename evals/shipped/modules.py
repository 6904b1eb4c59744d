"""Run the modules of CA-TTS over many questions at once, and put their ballots together."""

from collections.abc import Sequence
from dataclasses import replace

from catts.agents.engines.transformers_engine import TransformersEngine
from catts.agents.protocol import SamplingParams
from catts.evals.shipped.collect import Collection, Samples
from catts.evals.shipped.verdicts import Verdict, read_rows
from catts.graph.context import Policy


def role_params(engine: TransformersEngine) -> SamplingParams:
    """Roles reply greedily and at the length of their model's card, as they do in the graph."""
    return SamplingParams(n=1, temperature=0, max_new_tokens=engine.card.max_new_tokens)


def full_verdicts(
    data: Collection,
    base: TransformersEngine,
    expert: TransformersEngine,
    rows: Sequence[Samples],
    policy: Policy,
) -> list[Verdict]:
    """Voter, critic with re-answer, and self-check of every question, in batches.

    The same prompts, parsers and ballots as the graph's nodes; a reply that is malformed at the
    first attempt counts as a failed role here (the graph asks once more).
    """
    verdicts = read_rows(data.items, rows, policy)
    votes = data.votes(expert, [v.field for v in verdicts], role_params(expert))
    contrasts = data.contrasts(base, policy.contrast, policy.noise_t, title="self-check")
    critiques = data.critiques(expert, [v.spoken for v in verdicts], role_params(expert))
    answers = reanswered(data, base, verdicts, critiques, title="re-answer")
    return [
        replace(
            verdict,
            vote=vote if verdict.field else None,
            critique=critique,
            reanswer=answer,
            self_check=verdict.key_of(contrast[0]),
        )
        for verdict, vote, critique, answer, contrast in zip(
            verdicts, votes, critiques, answers, contrasts, strict=True
        )
    ]


def reanswered(
    data: Collection,
    base: TransformersEngine,
    verdicts: Sequence[Verdict],
    critiques: Sequence[str | None],
    *,
    title: str,
) -> list[str | None]:
    """Keys of the answers under the critiques; None where the critic failed."""
    params = role_params(base)
    rows = data.reanswers(
        base, [v.spoken[1] for v in verdicts], [c or "" for c in critiques], params, title=title
    )
    return [
        None if critique is None or not verdict.field else verdict.key_of(row[0])
        for verdict, critique, row in zip(verdicts, critiques, rows, strict=True)
    ]
