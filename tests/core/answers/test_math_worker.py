"""What the worker that compares expressions says, with a library in math-verify's place."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from catts.answers import math_process

LIBRARY = """
import os, resource, signal, sys
class LatexExtractionConfig: pass

def parse(text, extraction_config, parsing_timeout):
    assert parsing_timeout is None and isinstance(extraction_config[0], LatexExtractionConfig)
    assert text[0] == text[-1] == "$"
    return text[1:-1]

def verify(left, right, timeout_seconds):
    assert timeout_seconds is None
    if (left, right) in {("b", "a"), ("1", "1")}:
        return ["true"]
    if left == "limits":
        limits = resource.getrlimit(resource.RLIMIT_AS), resource.getrlimit(resource.RLIMIT_CORE)
        return repr(limits) == right
    if left == "large":
        bytearray(1 << 40)
    if left == "talkative":
        print("equal", flush=True)
        os.write(1, b"equal\\n")
    if left == "killed":
        os.kill(os.getpid(), signal.SIGKILL)
    if left == "exits":
        os._exit(77)
    if left == "raises":
        raise RecursionError("too deep")
    if left == "leaves":
        sys.exit(10)
    while left == "endless":
        pass
    return False
"""

Ask = Callable[..., list[str]]


@pytest.fixture
def ask(tmp_path: Path) -> Ask:
    """`ask((a, b), ...)`: what the worker wrote for these, started anew."""
    (tmp_path / "math_verify.py").write_text(LIBRARY)

    def told(*pairs: tuple[str, str], cpu_s: float = 5.0) -> list[str]:
        lines = (json.dumps({"a": a, "b": b, "cpu_s": cpu_s}) + "\n" for a, b in pairs)
        worker = subprocess.run(
            [sys.executable, "-P", math_process._WORKER, str(math_process._MEMORY_BYTES)],
            input="".join(lines),
            env={"PYTHONPATH": str(tmp_path)},
            stdout=subprocess.PIPE,
            text=True,
            timeout=60,
            check=True,
        )
        return worker.stdout.splitlines()

    return told


def test_it_says_ready_and_then_one_word_for_each_pair(ask: Ask) -> None:
    assert ask() == ["ready"], "and ends when its input does"
    pairs = [("1", "1"), ("1", "2"), ("a", "b"), ("b", "a"), ("a", "a")]
    assert ask(*pairs) == ["ready", "equal", "different", "equal", "equal", "different"]


def test_what_the_library_prints_is_no_reply(ask: Ask) -> None:
    assert ask(("talkative", "x"), ("1", "1")) == ["ready", "different", "equal"]


@pytest.mark.parametrize(
    ("pair", "word"),
    [
        (("large", "x"), "memory"),
        (("killed", "x"), "memory"),
        (("exits", "x"), "memory"),
        (("raises", "x"), "different"),
        (("leaves", "x"), "different"),
        (("endless", "x"), "timeout"),
    ],
)
def test_a_comparison_that_breaks_off_costs_no_other(
    ask: Ask, pair: tuple[str, str], word: str
) -> None:
    assert ask(pair, ("1", "1"), cpu_s=0.2) == ["ready", word, "equal"]


def test_a_comparison_has_a_gigabyte_and_leaves_no_core_file(ask: Ask) -> None:
    gigabyte = 1 << 30
    limits = ((gigabyte, gigabyte), (0, 0))
    assert ask(("limits", repr(limits))) == ["ready", "equal"]
