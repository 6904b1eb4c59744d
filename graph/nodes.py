"""What each node does: read the question, the pictures and the samples; ask one model; write down.

No module reads the ledger or another module's result, so their order cannot matter. A node that
fails raises; `catts.graph.instrument` turns that into a recorded failure.
"""

import asyncio
from collections.abc import Sequence
from typing import NamedTuple

from PIL.Image import Image, Resampling

from catts.agents.expert import Vote
from catts.agents.protocol import Sample, Usage
from catts.answers import AnswerKeys, extract_answer, read_together
from catts.errors import EngineError, RoleError
from catts.graph.context import Context, Policy
from catts.graph.ledger import (
    candidates,
    critic_ballots,
    leader,
    sample_ballots,
    self_check_ballots,
    spokesman,
    tally,
    voter_ballots,
)
from catts.graph.records import (
    ContrastRecord,
    CritiqueRecord,
    NoAnswer,
    NoisedImage,
    PlanRecord,
    SampleRecord,
    VoteRecord,
)
from catts.graph.state import Output, State, Update
from catts.names import MODULES
from catts.perception.key_region import KeyRegion
from catts.perception.noise import Region, add_noise, noise_seed
from catts.question import Question


class Work(NamedTuple):
    """What a node changes, and what its models reported."""

    update: Update
    usage: Usage
    replies: int = 0
    """Of the expert, as `RoleResult.attempts` counts them."""


async def sampler(state: State, context: Context) -> Work:
    """Draw the samples, weigh them by their confidence: V_internal."""
    policy = context.policy
    images = await _images(state.question, context)
    generation = await context.engine.sample(state.question, images, policy.sampling)
    samples = read_samples(generation.samples, state.question, policy)
    return Work({"samples": samples, "ballots": sample_ballots(samples)}, generation.usage)


async def planner(state: State, context: Context) -> Work:
    """Ask the expert for the order of the modules."""
    images = await _shown(state.question, context)
    result = await context.expert.plan(state.question, images, candidates(state.samples))
    order = result.reply.order
    if sorted(order) != sorted(MODULES):
        raise RoleError("planner", f"{order} does not order the modules", usage=result.usage)
    plan = PlanRecord(order=order, reason=result.reply.reason, source="planner")
    return Work({"plan": plan}, result.usage, result.attempts)


async def voter(state: State, context: Context) -> Work:
    """Ask the expert how probable each candidate is: tau1 votes, shared out between them.

    A single candidate gets them all, and nobody is asked: among the candidates it is certain.
    """
    field = candidates(state.samples)
    if len(field) == 1:
        alone = voter_ballots(field, (1.0,), context.policy.tau1, context.expert.name)
        vote = VoteRecord(probabilities={field[0].answer: 1.0})
        return Work({"vote": vote, "ballots": alone}, Usage())
    images = await _shown(state.question, context)
    result = await context.expert.vote(state.question, images, field)
    probabilities = result.reply.probabilities
    _check_vote(result.reply, len(field), result.usage)
    ballots = voter_ballots(field, probabilities, context.policy.tau1, context.expert.name)
    told = {c.answer: p for c, p in zip(field, probabilities, strict=True)}
    vote = VoteRecord(probabilities=told)
    return Work({"vote": vote, "ballots": ballots}, result.usage, result.attempts)


async def critic(state: State, context: Context) -> Work:
    """Ask the expert to criticise the leader of V_internal."""
    images = await _shown(state.question, context)
    answer = candidates(state.samples)[0].answer
    said = spokesman(state.samples, answer).text
    result = await context.expert.criticise(state.question, images, answer, said)
    critique = CritiqueRecord(text=result.reply.text, answer=answer)
    return Work({"critique": critique}, result.usage, result.attempts)


async def reanswer(state: State, context: Context) -> Work:
    """Let the base model answer again under the critique: tau2 votes for what it then says."""
    policy, critique = context.policy, state.critique
    if critique is None:
        raise EngineError("there is no critique to answer under; run the critic first")
    images = await _images(state.question, context)
    generation = await context.engine.reanswer(
        state.question,
        images,
        previous=spokesman(state.samples, critique.answer).text,
        critique=critique.text,
        params=policy.reanswering,
    )
    sample = read_beside(state.samples, generation.samples[0], state.question, policy)
    ballots = critic_ballots(sample.answer, critique.answer, policy.tau2)
    return Work({"reanswer": sample, "ballots": ballots}, generation.usage)


async def self_check(state: State, context: Context) -> Work:
    """Decode against the noised pictures: tau3 votes for the answer that rests on what is seen."""
    policy, question = context.policy, state.question
    images = await _images(question, context)
    noised = tuple(
        [
            NoisedImage(
                digest=digest,
                t=policy.noise_t,
                size=await context.engine.seen_size(image),
                region=await asyncio.to_thread(_region, question, image, context),
                seed=noise_seed(digest, policy.noise_t),
            )
            for digest, image in zip(question.images, images, strict=True)
        ]
    )
    pictures = [
        await asyncio.to_thread(render, n, image) for n, image in zip(noised, images, strict=True)
    ]
    contrast = await context.engine.contrast(
        question,
        images,
        pictures,
        policy.contrast,
        candidates=[_completion(state.samples, c.answer) for c in candidates(state.samples)],
    )
    sample = read_beside(state.samples, contrast.sample, question, policy)
    record = ContrastRecord(sample=sample, method=contrast.method, noised=noised)
    ballots = self_check_ballots(sample.answer, policy.tau3, contrast.method, policy.noise_t)
    return Work({"self_check": record, "ballots": ballots}, contrast.usage)


def _completion(samples: Sequence[SampleRecord], answer: str) -> Sample:
    """The most confident sample with this answer, as its engine drew it."""
    said = spokesman(samples, answer)
    return Sample(
        text=said.text,
        token_ids=said.token_ids,
        confidence=said.confidences,
        finish_reason=said.finish_reason,
    )


def decide(state: State) -> Update:
    """The answer with the most votes, or why there is none."""
    standing = leader(state.ballots)
    return {
        "answer": None if standing is None else standing.answer,
        "answer_text": None if standing is None else answer_text(state, standing.answer),
        "no_answer": _why_none(state.samples) if standing is None else None,
        "votes": tally(state.ballots),
    }


def answer_text(state: Output, answer: str) -> str:
    """A candidate for people: `(B) 12 cm` for a choice, else the words of who speaks for it."""
    letters = state.question.letters
    if answer in letters:
        return f"({answer}) {state.question.choices[letters.index(answer)]}"
    if any(sample.votes and sample.answer == answer for sample in state.samples):
        return spokesman(state.samples, answer).said or answer
    checked = None if state.self_check is None else state.self_check.sample
    said = (s.said for s in (state.reanswer, checked) if s is not None and s.answer == answer)
    return next(said, None) or answer


def render(noised: NoisedImage, clean: Image) -> Image:
    """The noised picture that `noised` names, from its clean one (RGB); blocks for the pixels."""
    scaled = clean.resize(noised.size, Resampling.BICUBIC)
    region: Region | None
    if isinstance(noised.region, KeyRegion):
        region = noised.region.mask(*noised.size)
    else:
        region = None if noised.region is None else [noised.region]
    return add_noise(scaled, noised.t, noised.seed, region)


def read_samples(
    samples: Sequence[Sample], question: Question, policy: Policy
) -> tuple[SampleRecord, ...]:
    """Completions as they enter the vote: their answers' keys, confidences, weights."""
    found = read_together((sample.text for sample in samples), question)
    return tuple(_record(s, *read, policy) for s, read in zip(samples, found, strict=True))


def read_beside(
    samples: Sequence[SampleRecord], sample: Sample, question: Question, policy: Policy
) -> SampleRecord:
    """A later completion beside the `samples` that have been read: it joins their candidates."""
    said = extract_answer(sample.text, question)
    keys = AnswerKeys(question, (other.said for other in samples))
    return _record(sample, said, None if said is None else keys.key(said), policy)


def _record(sample: Sample, said: str | None, key: str | None, policy: Policy) -> SampleRecord:
    confidence = sample.confidence.get(policy.confidence_kind)
    return SampleRecord(
        text=sample.text,
        token_ids=sample.token_ids,
        finish_reason=sample.finish_reason,
        answer=key,
        said=said,
        confidence=confidence,
        confidence_kind=policy.confidence_kind,
        confidences=sample.confidence,
        weight=None if confidence is None else policy.weight(confidence),
    )


def _region(question: Question, image: Image, context: Context) -> KeyRegion | None:
    """Where the noise goes; None for everywhere."""
    if context.policy.region == "whole" or context.saliency is None:
        return None
    share = context.policy.region_share
    return context.saliency.region(image, question.text, question.choices, share)


async def _images(question: Question, context: Context) -> Sequence[Image]:
    return await asyncio.to_thread(lambda: [context.images.get(d) for d in question.images])


async def _shown(question: Question, context: Context) -> Sequence[Image]:
    """The pictures as the expert is shown them."""
    side = context.policy.expert_max_side
    return await asyncio.to_thread(
        lambda: [context.images.get(d, max_side=side) for d in question.images]
    )


def _check_vote(vote: Vote, count: int, usage: Usage) -> None:
    """One finite probability per candidate, summing to 1, whatever expert was plugged in."""
    p = vote.probabilities
    if len(p) != count or not all(0 <= x <= 1 for x in p) or abs(sum(p) - 1) > 1e-6:
        raise RoleError("voter", f"{p} is no distribution over {count} candidates", usage=usage)


def _why_none(samples: Sequence[SampleRecord]) -> NoAnswer:
    if not samples:
        return "sampler_failed"
    if all(s.answer is None for s in samples):
        return "no_readable_answer"
    return "no_confidence"
