"""What a contrastive pair of requests says to our plugin in vLLM, on either side of the wire.

A pair is two ordinary requests, one with the clean and one with the noised picture, that name each
other in `vllm_xargs`. Python's standard library alone: vLLM's processes and ours both read this.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

PAIR = "catts_pair"
"""Name of the argument that holds the pair's name; a request without it is none of ours."""
ROLES = ("clean", "noised")
HERE = "catts lock-step plugin 1"
"""What the plugin answers a request whose role is none: so a client knows that it is there."""


class Half(NamedTuple):
    """One request of a pair."""

    pair: str
    role: str
    alpha: float
    beta: float
    first: int
    """The last token of the prompt, which the client left off: a prefill samples a token at once,
    and the prefills of a pair may end in different steps, so that this is what each samples."""
    broken: int
    """Taken where the two cannot go on together; never part of a completion."""

    def arguments(self) -> dict[str, Any]:
        """As `vllm_xargs`."""
        return {
            PAIR: self.pair, "catts_role": self.role, "catts_alpha": self.alpha,
            "catts_beta": self.beta, "catts_first": self.first, "catts_broken": self.broken,
        }  # fmt: skip


def read_half(arguments: Mapping[str, Any] | None) -> Half | None:
    """The half that a request's arguments speak of; None for a request that is none of ours.

    Raises:
        ValueError: they speak of one, and something is missing or out of range.
    """
    if not arguments or PAIR not in arguments:
        return None
    role = arguments.get("catts_role")
    if role not in ROLES:
        raise ValueError(f"{HERE}: catts_role is {role!r}, and not one of {', '.join(ROLES)}")
    try:
        half = Half(
            pair=str(arguments[PAIR]),
            role=str(role),
            alpha=float(arguments["catts_alpha"]),
            beta=float(arguments["catts_beta"]),
            first=int(arguments["catts_first"]),
            broken=int(arguments["catts_broken"]),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{HERE}: {error} is missing or no number") from error
    if half.alpha < 0 or not 0 <= half.beta <= 1 or min(half.first, half.broken) < 0:
        raise ValueError(f"{HERE}: alpha >= 0, 0 <= beta <= 1, and tokens >= 0 are needed")
    return half
