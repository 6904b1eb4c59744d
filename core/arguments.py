"""Arguments of the public calls, held to their annotations and refused in one line."""

from collections.abc import Callable, Mapping
from functools import cache
from typing import Any, get_type_hints

from pydantic import BaseModel, ConfigDict, ValidationError, create_model
from pydantic_core import ErrorDetails

from catts.errors import InputError

_WANTED = {
    "string_type": "text",
    "int_type": "an int",
    "float_type": "a number",
    "dict_type": "a mapping",
    "callable_type": "a function",
    "sequence_str": "a list",
}
"""What pydantic missed, for people."""


def check_types(owner: Callable[..., Any], /, **given: object) -> None:
    """Hold `given` to the annotations of `owner`, a function or a dataclass; nothing is converted.

    `check_types(f, **locals())`, as the first line of `f`, checks everything that it was given.

    Raises:
        InputError: one has another type; the line names it, its type and what to give.
    """
    try:
        _model(owner).model_validate(given)
    except ValidationError as error:
        problems = error.errors(include_url=False)
        name = problems[0]["loc"][0]
        raise InputError(
            _told(str(name), given[str(name)], [p for p in problems if p["loc"][0] == name])
        ) from error


@cache
def _model(owner: Callable[..., Any]) -> type[BaseModel]:
    hints = get_type_hints(owner, include_extras=True)
    fields: dict[str, Any] = {name: (hint, None) for name, hint in hints.items()}
    # strict: what merely could be converted would reach the caller's code as it is
    config = ConfigDict(strict=True, arbitrary_types_allowed=True)
    return create_model(owner.__name__, __config__=config, **fields)


def _told(name: str, value: object, problems: list[ErrorDetails]) -> str:
    # where something inside is wrong, the annotation's other alternatives are beside the point
    inner = [p for p in problems if p["input"] is not value]
    problem = (inner or problems)[0]
    wanted = [_wanted(p) for p in inner or problems if p["input"] is problem["input"]]
    if problem["loc"][-1] == "[key]":
        said = f"{name} has the key {problem['input']!r}"
    else:
        parts = (p for p in reversed(problem["loc"][1:]) if inner and _is_inside(p, value))
        place = next((f"[{part!r}]" for part in parts), "")
        said = f"{name}{place} is {_kind(problem['input'])}"
    *others, last = dict.fromkeys(wanted)
    return f"{said}: give {', '.join(others)}{' or ' if others else ''}{last}"


def _is_inside(part: str | int, value: object) -> bool:
    """Whether `part` of an error's place is a key or an index, and not a mark of pydantic's."""
    return isinstance(part, int) or (isinstance(value, Mapping) and part in value)


def _wanted(problem: ErrorDetails) -> str:
    if problem["type"] == "is_instance_of":
        wanted = problem["ctx"]["class"]
        return "a list" if wanted == "Sequence" else _with_article(wanted)
    return _WANTED.get(problem["type"], problem["msg"].removeprefix("Input should be "))


def _kind(value: object) -> str:
    return "None" if value is None else _with_article(type(value).__name__)


def _with_article(name: str) -> str:
    return f"{'an' if name[0] in 'AEIOUaeio' else 'a'} {name}"
