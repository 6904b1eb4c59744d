"""docs/api.md names what there is, and its examples run."""

import re
from importlib import import_module
from pathlib import Path

import pytest
from PIL import Image, ImageDraw

import catts
from catts import errors
from catts.graph.context import Policy
from catts.graph.opening import open_context
from catts.graph.trace import Trace
from catts.names import PARTS

PAGE = (Path(__file__).parents[1] / "docs" / "api.md").read_text("utf-8")
NAMED = sorted(set(re.findall(r"`(?:await |async with )?(catts\.[\w.]+)", PAGE)))


EXAMPLES = re.findall(r"^```python\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


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


def _first_import(code: str) -> str:
    return re.findall(r"^from catts import (.+)$", code, re.MULTILINE)[0]


@pytest.mark.models
@pytest.mark.parametrize("code", EXAMPLES, ids=_first_import)
def test_the_examples_run(
    code: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    picture = Image.new("RGB", (112, 112), "white")
    ImageDraw.Draw(picture).ellipse((30, 30, 70, 70), fill="red")
    picture.save("picture.png")
    exec(compile(code, "docs/api.md", "exec"), {"__name__": "__main__"})  # noqa: S102
    assert capsys.readouterr().out.strip()
