"""The base of every record that is stored, compared or sent."""

import math

from pydantic import BaseModel, ConfigDict, ValidationError


class Record(BaseModel):
    """Frozen, without unknown fields; JSON keeps infinities and NaN, as strings."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", ser_json_inf_nan="strings", protected_namespaces=()
    )


def first_problem(error: ValidationError, **names: str) -> str:
    """The first thing that pydantic found wrong, in one line and without the input.

    `names` are what fields are called where the input came from, if not as in the record.
    """
    problem = error.errors(include_url=False)[0]
    first, *rest = problem["loc"] or ("",)
    place = ".".join(map(str, (names.get(str(first), first), *rest)))
    said, given = problem["msg"].removeprefix("Value error, "), problem["input"]
    if isinstance(given, float) and math.isnan(given):
        said = "NaN is no number; give one"  # a limit is not what it misses
    elif problem["type"].endswith("_type"):
        said += f", not {type(given).__name__}"
    return f"{place}: {said}" if place else said
