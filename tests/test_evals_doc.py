"""docs/evals.md speaks of commands, options and studies that there are."""

import re
from pathlib import Path

import pytest
import typer.main

from catts import cli
from catts.evals.studies.commands import Name

PAGE = (Path(__file__).parents[1] / "docs" / "evals.md").read_text("utf-8")
STUDIES = PAGE.split("## Studies")[1].split("\n## ")[0]
COMMANDS = re.findall(r"^catts study (.+)$", STUDIES, re.MULTILINE)


def _options() -> set[str]:
    study = typer.main.get_command(cli.app).commands["study"]  # type: ignore[attr-defined]
    return {option for parameter in study.params for option in parameter.opts}


def test_every_study_is_a_command_and_a_row() -> None:
    assert {command.split()[0] for command in COMMANDS} == set(Name)
    assert re.findall(r"^\| `(\w+)` \|", STUDIES, re.MULTILINE) == list(Name)


@pytest.mark.parametrize("option", sorted(set(re.findall(r"--[a-z-]+\b", STUDIES))))
def test_an_option_that_is_named_exists(option: str) -> None:
    assert option in _options()
