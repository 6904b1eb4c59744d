"""From a role's reply, which is untrusted text, to a checked record.

The JSON may stand bare, in a code fence or within prose, after reasoning in `<think>` or without;
the last object that has the wanted field counts. Only `json` reads it, within fixed bounds. Where a
reply comes as an object, the `read_` functions check it as the `parse_` functions do.
"""

import json
import math
from collections.abc import Iterator, Mapping
from typing import Any, NoReturn, TypeGuard, TypeVar

from catts.agents.expert import Critique, Plan, Vote
from catts.errors import CattsError
from catts.names import MODULES, Module

MAX_REPLY_CHARS = 20_000
"""Longest text read, after the reasoning; far above any honest reply."""
MAX_CRITIQUE_CHARS = 2_000
"""A longer critique is cut here: it becomes part of the base model's prompt."""
MAX_REASON_CHARS = 500
"""A longer reason of a plan is cut here."""

_MAX_BROKEN_OBJECTS = 200
_QUOTED_CHARS = 60

_T = TypeVar("_T")


class ReplyError(CattsError):
    """A reply is malformed; the message, a sentence without a full stop, is shown to the model."""


def parse_plan(text: str) -> Plan:
    """Read a planner's reply, `{"order": [...], "reason": "..."}`; the reason may be missing.

    Raises:
        ReplyError: `order` is not a permutation of the modules.
    """
    return read_plan(object_with("order", text))


def read_plan(fields: Mapping[str, Any]) -> Plan:
    """`parse_plan` of a reply whose JSON object has been found."""
    order = fields.get("order")
    names = [_module(item) for item in order] if isinstance(order, list) else []
    known = tuple(name for name in names if name is not None)
    if len(known) != len(names) or sorted(known) != sorted(MODULES):
        wanted = ", ".join(f'"{name}"' for name in MODULES)
        raise ReplyError(f'"order" must be a list of {wanted}, each exactly once')
    reason = fields.get("reason")
    return Plan(order=known, reason=_cut(reason, MAX_REASON_CHARS) if _is_text(reason) else "")


def parse_vote(text: str, candidates: int) -> Vote:
    """Read a voter's reply on `candidates` candidates and normalise it to sum 1.

    `{"probabilities": [0.7, 0.3]}`, or by the candidates' numbers,
    `{"probabilities": {"1": 0.7, "2": 0.3}}`.

    Raises:
        ReplyError: there is not one finite, non-negative number for each candidate, or all are 0.
    """
    return read_vote(object_with("probabilities", text), candidates)


def read_vote(fields: Mapping[str, Any], candidates: int) -> Vote:
    """`parse_vote` of a reply whose JSON object has been found."""
    given = fields.get("probabilities")
    if isinstance(given, dict):
        given = _in_order(given, candidates)
    if not isinstance(given, list):
        raise ReplyError('"probabilities" must be a list of numbers, one for each candidate')
    if len(given) != candidates:
        raise ReplyError(
            f'"probabilities" must hold {candidates} numbers, one for each candidate, '
            f"and it holds {len(given)}"
        )
    weights = [_probability(i, value) for i, value in enumerate(given, 1)]
    largest = max(weights)
    if largest == 0:
        raise ReplyError("the probabilities are all 0, and at least one must be above 0")
    scaled = [weight / largest for weight in weights]
    total = math.fsum(scaled)
    return Vote(probabilities=tuple(weight / total for weight in scaled))


def parse_critique(text: str) -> Critique:
    """Read a critic's reply, `{"critique": "..."}`; more than `MAX_CRITIQUE_CHARS` are cut.

    Raises:
        ReplyError: the critique is missing, not a text, or blank.
    """
    return read_critique(object_with("critique", text))


def read_critique(fields: Mapping[str, Any]) -> Critique:
    """`parse_critique` of a reply whose JSON object has been found."""
    critique = fields.get("critique")
    if not _is_text(critique):
        raise ReplyError('"critique" must be a text that is not empty')
    return Critique(text=_cut(critique, MAX_CRITIQUE_CHARS))


def object_with(field: str, text: str) -> dict[str, Any]:
    """The last JSON object in `text`, after its reasoning, that has `field`.

    Raises:
        ReplyError: there is none, or the text is too long.
    """
    if (whole := _whole_object(text)) is not None and field in whole:
        return whole  # its strings may speak of </think> or hold objects themselves
    _, closed, rest = text.rpartition("</think>")
    if not closed and "<think>" in text:
        raise ReplyError("the reply ends inside <think>, before any JSON object")
    if len(rest) > MAX_REPLY_CHARS:
        raise ReplyError(f"the reply is longer than {MAX_REPLY_CHARS} characters")
    found: dict[str, Any] | None = None
    some = False
    for candidate in _objects(rest):
        some = True
        if field in candidate:
            found = candidate
    if found is None:
        raise ReplyError(
            f'the JSON object has no "{field}"' if some else "there is no valid JSON object in it"
        )
    return found


def _whole_object(text: str) -> dict[str, Any] | None:
    """The JSON object that `text` is, if it is nothing else."""
    if len(text) > MAX_REPLY_CHARS:
        return None
    try:
        value = json.loads(text, parse_constant=_refuse_constant)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _objects(text: str) -> Iterator[dict[str, Any]]:
    """The outermost JSON objects in `text`; gives up after a fixed number of broken ones."""
    decoder = json.JSONDecoder(parse_constant=_refuse_constant)
    broken = 0
    start = text.find("{")
    while start >= 0 and broken < _MAX_BROKEN_OBJECTS:
        try:
            value, end = decoder.raw_decode(text, start)
        except (ValueError, RecursionError):
            broken += 1
            end = start + 1
        else:
            yield value
        start = text.find("{", end)


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _module(item: object) -> Module | None:
    name = item.strip().lower().replace("-", "_").replace(" ", "_") if _is_text(item) else None
    return next((module for module in MODULES if module == name), None)


def _in_order(numbered: dict[str, _T], candidates: int) -> list[_T]:
    keys = [str(i) for i in range(1, candidates + 1)]
    if set(numbered) != set(keys):
        raise ReplyError(f'"probabilities" must have the keys "1" to "{candidates}", each once')
    return [numbered[key] for key in keys]


def _probability(number: int, value: object) -> float:
    if not isinstance(value, (int, float)) or isinstance(value, bool):
        raise ReplyError(f"probability {number} is not a number but {_quote(value)}")
    try:
        weight = float(value)
    except OverflowError:
        weight = math.inf
    if not math.isfinite(weight) or weight < 0:
        raise ReplyError(f"probability {number} must be finite and not negative")
    return weight


def _quote(value: object) -> str:
    return _cut(json.dumps(value), _QUOTED_CHARS)


def _is_text(value: object) -> TypeGuard[str]:
    return isinstance(value, str) and bool(value.strip())


def _cut(text: str, limit: int) -> str:
    text = text.strip()
    return text if len(text) <= limit else text[: limit - 1].rstrip() + "…"
