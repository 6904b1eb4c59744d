"""How likely a model finds given completions: teacher forcing, reduced as it goes."""

from collections.abc import Callable, Sequence

import torch

from catts.agents.engines.delivery import Completion
from catts.agents.engines.prefix import Prefix
from catts.agents.engines.token_confidence import not_finite, token_stats
from catts.errors import EngineError

_LOGITS_AT_ONCE = 32 * 1024 * 1024
"""Most logits held at a time (128 MiB in float32); longer completions take further forwards."""


def score_completions(
    prefix: Prefix,
    completions: Sequence[Sequence[int]],
    *,
    end_ids: tuple[int, ...],
    given_up: Callable[[], bool] = lambda: False,
) -> list[Completion]:
    """Score completions of one prompt, all in one forward when their logits fit, else in few.

    The numbers are those that decoding the same tokens reports.

    Args:
        prefix: one row, the prompt; it is consumed.
        completions: token ids, in [0, V); may differ in length, and may be empty.
        end_ids: tokens that end a turn.
        given_up: whether nobody waits for the scores any more.

    Raises:
        EngineError: the model gave logits that are NaN or infinite, or nobody waits any more.
    """
    longest = max(map(len, completions), default=0)
    if longest == 0:
        return [Completion((), (), (), (), False) for _ in completions]
    device, vocabulary = prefix.logits.device, prefix.logits.shape[-1]
    # padding on the right follows every real token, so no real token ever attends to it
    padded = torch.tensor(
        [[*ids, *[0] * (longest - len(ids))] for ids in completions], device=device
    )
    prefix.repeat(len(completions))
    parts = [token_stats(prefix.logits, padded[:, 0])]
    width = max(1, _LOGITS_AT_ONCE // (len(completions) * vocabulary))
    for start in range(0, longest - 1, width):
        if given_up():
            raise EngineError("the scoring was given up: nobody waits for it any more")
        stop = min(start + width, longest - 1)
        logits = prefix.extend(padded[:, start:stop])
        parts.append(token_stats(logits, padded[:, start + 1 : stop + 1]))
    *numbers, finite = [
        torch.cat([p if p.ndim == 2 else p[:, None] for p in c], dim=1).tolist()
        for c in zip(*parts, strict=True)
    ]
    if not all(all(row[: len(ids)]) for ids, row in zip(completions, finite, strict=True)):
        raise not_finite()
    return [
        Completion(
            tuple(ids),
            tuple(confidence[: len(ids)]),
            tuple(logprob[: len(ids)]),
            tuple(certainty[: len(ids)]),
            bool(ids) and ids[-1] in end_ids,
        )
        for ids, confidence, logprob, certainty in zip(completions, *numbers, strict=True)
    ]
