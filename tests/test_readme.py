"""What the README says of the code is so."""

import re
from importlib import import_module
from pathlib import Path

import pytest
import typer.main

from catts import cli

README = (Path(__file__).parents[1] / "README.md").read_text("utf-8")
TABLE = README.split("## From the paper to the code")[1].split("\n## ")[0]
NAMED = re.findall(r"\| `(catts[\w.]+)` \|", TABLE)


def test_the_table_names_something_in_every_row():
    rows = [line for line in TABLE.splitlines() if line.startswith("| ")]
    assert len(NAMED) == len(rows) - 1 > 8


@pytest.mark.parametrize("name", NAMED)
def test_what_the_table_names_exists(name):
    module, _, attribute = name.rpartition(".")
    assert callable(getattr(import_module(module), attribute))


def test_the_picture_of_the_graph_is_the_compiled_graph_s():
    from catts.graph.picture import mermaid

    drawn = re.search(r"<!-- graph -->\n```mermaid\n(.*?)```\n<!-- /graph -->", README, re.DOTALL)
    assert drawn is not None
    assert drawn[1].strip() == mermaid().strip(), "catts graph draws another picture"


def test_the_python_example_uses_names_that_exist():
    import catts

    code = README.split("```python")[1].split("```")[0]
    compile(code, "README.md", "exec")
    imported = re.search(r"from catts import (.+)", code)
    assert imported is not None
    assert all(hasattr(catts, name) for name in imported[1].split(", "))


def test_the_python_example_asks_the_demonstration_s_first_question():
    from catts.embedded.world import example

    assert f'answer("catts-demo/000.png", "{example("test", 0).question}"' in README


def test_the_commands_and_options_that_are_shown_exist():
    shown = re.findall(r"^catts (embedded \w+|\w+)(.*)$", README, re.MULTILINE)
    assert shown
    for command, rest in shown:
        found = typer.main.get_command(cli.app)
        for word in command.split():
            found = found.commands[word]
        options = {name for p in found.params for name in p.opts}
        assert set(re.findall(r"--[a-z-]+", rest)) <= options, command
