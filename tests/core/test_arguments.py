"""Arguments are held to their annotations."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import pytest
from pydantic import InstanceOf, SecretStr

from catts.arguments import check_types
from catts.errors import InputError


def call(
    name: str = "",
    *,
    count: int = 1,
    seconds: float | None = None,
    path: str | Path = "",
    texts: Sequence[str] = (),
    hear: Callable[[str], None] | None = None,
    key: InstanceOf[SecretStr] | None = None,
    parts: Mapping[Literal["left", "right"], str] | None = None,
    **settings: Any,
) -> None:
    check_types(call, **locals())


@dataclass(frozen=True)
class Held:
    count: int

    def __post_init__(self) -> None:
        check_types(type(self), **vars(self))


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"seconds": 3},
        {"seconds": None},
        {"path": Path()},
        {"texts": ["a"]},
        {"hear": print},
        {"key": SecretStr("k")},
        {"parts": {"left": "a"}},
        {"other": object()},
    ],
)
def test_what_fits_passes(given: Any) -> None:
    call(**given)


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"name": 5}, "name is an int: give text"),
        ({"count": "3"}, "count is a str: give an int"),
        ({"count": None}, "count is None: give an int"),
        ({"seconds": "x"}, "seconds is a str: give a number"),
        ({"seconds": True}, "seconds is a bool: give a number"),
        ({"path": None}, "path is None: give text or a Path"),
        ({"texts": "abc"}, "texts is a str: give a list"),
        ({"texts": {"a"}}, "texts is a set: give a list"),
        ({"texts": ["a", 5]}, "texts[1] is an int: give text"),
        ({"hear": 5}, "hear is an int: give a function"),
        ({"key": "sk-secret"}, "key is a str: give a SecretStr"),
        ({"parts": {"middle": "a"}}, "parts has the key 'middle': give 'left' or 'right'"),
        ({"parts": {"left": 5}}, "parts['left'] is an int: give text"),
    ],
)
def test_what_does_not_is_told_in_one_line(given: Any, says: str) -> None:
    with pytest.raises(InputError) as caught:
        call(**given)
    assert str(caught.value) == says


def test_a_dataclass_is_held_to_its_fields() -> None:
    assert Held(3).count == 3
    with pytest.raises(InputError, match="count is a float: give an int"):
        Held(3.5)  # type: ignore[arg-type]
