"""docs/api.md names what there is."""

import re
from importlib import import_module
from pathlib import Path

import pytest

import catts
from catts import errors
from catts.graph.context import Policy
from catts.graph.opening import open_context
from catts.graph.trace import Trace
from catts.names import PARTS

PAGE = (Path(__file__).parents[1] / "docs" / "api.md").read_text("utf-8")
NAMED = sorted(set(re.findall(r"`(?:await |async with )?(catts\.[\w.]+)", PAGE)))


def _resolve(name: str) -> object:
    parts = name.split(".")
    for cut in range(len(parts), 0, -1):
        try:
            found: object = import_module(".".join(parts[:cut]))
        except ModuleNotFoundError:
            continue
        for attribute in parts[cut:]:
            found = getattr(found, attribute)
        return found
    raise AssertionError(name)


def test_the_page_names_something() -> None:
    assert len(NAMED) > 30


@pytest.mark.parametrize("name", NAMED)
def test_what_is_named_exists(name: str) -> None:
    assert _resolve(name) is not None


def test_all_of_the_front_door_is_named() -> None:
    missing = {
        name
        for name in catts.__all__
        if f"`catts.{name}" not in PAGE.replace("await ", "").replace("async with ", "")
    }
    assert missing == {"__version__"}


def test_every_error_is_listed_under_its_base() -> None:
    listed = dict(re.findall(r"^\| `(\w+Error)` \| `(\w+)` \|", PAGE, re.MULTILINE))
    defined = {
        name: kind.__bases__[0].__name__
        for name, kind in vars(errors).items()
        if isinstance(kind, type)
    }
    assert listed == defined


def test_the_fields_of_a_trace_exist() -> None:
    text = PAGE.split("`catts.Trace` is one record")[1].split("\n\n")[0]
    fields = set(re.findall(r"`(\w+)`", text))
    assert fields <= Trace.model_fields.keys()
    assert Trace.model_fields.keys() - fields == {
        "version", "question", "engine", "expert", "context_fingerprint", "catts_version",
    }  # fmt: skip


def test_the_settings_of_open_context_are_all_named() -> None:
    taken = set(open_context.__wrapped__.__annotations__)  # type: ignore[attr-defined]
    taken -= {"return", "tell", "base", "expert", "settings"}
    assert {name for name in taken if f"`{name}`" not in PAGE} == set()
    assert taken.isdisjoint(Policy.model_fields)


def test_the_table_of_names_is_the_code_s() -> None:
    rows = re.findall(r"^\| `(\w+)` \| (\w+) \| `?(\w*)`? ?\| `?(\w*)`? ?\|$", PAGE, re.MULTILINE)
    assert rows == [
        (p.node, "expert" if p.role else "base", p.module or "", p.source or "") for p in PARTS
    ]
