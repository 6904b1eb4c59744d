"""docs/cdrl.md speaks of commands and settings that there are."""

import re
import shlex
from importlib.util import find_spec
from pathlib import Path

import pytest
import typer.main
from accelerate.commands.launch import launch_command_parser

from catts import cli
from catts.training.arguments import parsed

PAGE = (Path(__file__).parents[2] / "docs" / "cdrl.md").read_text("utf-8")
CATTS = re.findall(r"^catts (train|pairs) (.+)$", PAGE, re.MULTILINE)
LAUNCHED = re.findall(r"^accelerate launch (.+)$", PAGE, re.MULTILINE)


def check_training(words: list[str]) -> None:
    """The words after `catts train` are settings that can be used."""
    options = dict(zip(words[::2], words[1::2], strict=True))
    recipe = options.pop("--recipe")
    if (out := options.pop("--out", None)) is not None:
        options["--output_dir"] = out
    settings = [word for pair in options.items() for word in pair]
    parsed(recipe, [*settings, "--use_cpu", "true", "--bf16", "false"])


@pytest.mark.parametrize(("command", "rest"), CATTS)
def test_a_command_exists(command: str, rest: str) -> None:
    words = shlex.split(rest)
    if command == "train":
        check_training(words)
        return
    known = typer.main.get_command(cli.app).commands[command].params  # type: ignore[attr-defined]
    assert set(words[::2]) <= {name for parameter in known for name in parameter.opts}


@pytest.mark.parametrize("line", LAUNCHED)
def test_what_accelerate_launches_exists(line: str) -> None:
    launched = launch_command_parser().parse_args(shlex.split(line))
    assert launched.module
    assert find_spec(launched.training_script) is not None
    command, *words = launched.training_script_args
    assert command == "train"
    check_training(words)


def test_there_are_such_lines() -> None:
    assert (len(CATTS), len(LAUNCHED)) == (9, 4)
