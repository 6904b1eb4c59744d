"""The base of every record that is stored, compared or sent."""

from pydantic import BaseModel, ConfigDict, ValidationError


class Record(BaseModel):
    """Frozen, without unknown fields; JSON keeps infinities and NaN, as strings."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", ser_json_inf_nan="strings", protected_namespaces=()
    )


def first_problem(error: ValidationError) -> str:
    """The first thing that pydantic found wrong, in one line and without the input."""
    problem = error.errors(include_input=False, include_url=False)[0]
    place = ".".join(map(str, problem["loc"]))
    said = problem["msg"].removeprefix("Value error, ")
    return f"{place}: {said}" if place else said
