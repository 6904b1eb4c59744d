"""Contrast with the noised picture where a server can only score: the best of given answers."""

import math
from collections.abc import Sequence

from catts.agents.protocol import ContrastParams, Score


def contrastive_logprob(clean: Score, noised: Score, alpha: float) -> float:
    """(1 + a) log p(y | i, q) - a log p(y | i', q) of a whole completion y, per token.

    The formula of visual contrastive decoding, summed over the tokens that were sampled and
    divided by their number: completions differ in length, and a sum would prefer short ones.
    """
    pairs = zip(clean.logprobs, noised.logprobs, strict=True)
    terms = [(1 + alpha) * seen - alpha * unseen for seen, unseen in pairs]
    return math.fsum(terms) / len(terms)


def best_of(clean: Sequence[Score], noised: Sequence[Score], params: ContrastParams) -> int:
    """Index of the completion with the highest contrastive log-probability that is plausible.

    Plausible, as in VCD's mask: log p(y | i, q) of the completion, per token, is at least log b
    above the best one's. The first of equals.
    """
    plain = [math.fsum(score.logprobs) / len(score.logprobs) for score in clean]
    floor = max(plain) + (math.log(params.beta) if params.beta else -math.inf)
    pairs = zip(clean, noised, strict=True)
    scores = [contrastive_logprob(seen, unseen, params.alpha) for seen, unseen in pairs]
    plausible = [place for place, mean in enumerate(plain) if mean >= floor]
    return max(plausible, key=lambda place: scores[place])
