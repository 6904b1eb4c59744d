"""The base of every record that is stored, compared or sent."""

from pydantic import BaseModel, ConfigDict


class Record(BaseModel):
    """Frozen, without unknown fields; JSON keeps infinities and NaN, as strings."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", ser_json_inf_nan="strings", protected_namespaces=()
    )
