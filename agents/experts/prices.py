"""What a request to a provider's model costs, from a table that people can replace."""

import re
import tomllib
from functools import cache
from importlib.resources import files
from pathlib import Path

from pydantic import Field, ValidationError

from catts.agents.protocol import Usage
from catts.errors import InputError
from catts.records import Record, first_problem

_MILLION = 1e6
_VERSION = re.compile(r"-(?:latest|preview(?:-[\d-]+)?|\d{3,}[\d-]*)|@\d+")
"""What providers put behind a model's name for one version of it."""


class Price(Record):
    """US dollars per million tokens."""

    input: float = Field(ge=0, allow_inf_nan=False)
    output: float = Field(ge=0, allow_inf_nan=False)
    """Of what the model writes, its thoughts included."""

    def of(self, usage: Usage) -> float:
        """Dollars for the tokens of `usage`."""
        tokens = usage.prompt_tokens * self.input + usage.completion_tokens * self.output
        return tokens / _MILLION


FREE = Price(input=0, output=0)
"""The price of a model that runs here."""


class Prices(Record):
    """Prices by `provider:model`, or by the bare name of a model on a server of one's own."""

    prices: dict[str, Price]

    def of(self, model: str) -> Price | None:
        """The price of `model`, its versions (`-latest`, `-2025-08-07`, `-001`) counted as it."""
        asked = model.replace(":models/", ":", 1)  # as Google's own lists spell it
        if asked in self.prices:
            return self.prices[asked]
        of = [name for name in self.prices if asked.startswith(name)]
        versions = [name for name in of if _VERSION.fullmatch(asked[len(name) :])]
        return self.prices[max(versions, key=len)] if versions else None


def priced(usage: Usage, price: Price | None) -> Usage:
    """`usage` with what it costs; where price or tokens are not known, its calls are `unpriced`."""
    if price == FREE:
        return usage
    if price is None or not usage.prompt_tokens + usage.completion_tokens:
        return usage.model_copy(update={"unpriced": usage.calls})
    return usage.model_copy(update={"dollars": price.of(usage)})


def read_prices(path: str | Path) -> Prices:
    """The table in a TOML file, which is like `prices.toml` beside this module.

    Raises:
        InputError: the file cannot be read, or is no such table.
    """
    try:
        return Prices.model_validate(tomllib.loads(Path(path).read_text("utf-8")))
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}; check the path") from error
    except ValidationError as error:
        raise InputError(f"{path} is no table of prices: {first_problem(error)}") from error
    except ValueError as error:
        raise InputError(f"{path} is no TOML: {error}; mend that line") from error


@cache
def shipped_prices() -> Prices:
    """The table that the package ships."""
    text = files("catts.agents.experts").joinpath("prices.toml").read_text("utf-8")
    return Prices.model_validate(tomllib.loads(text))
