"""Importing the package and asking for help load nothing heavy."""

import subprocess
import sys

import pytest

HEAVY = {
    "torch", "torchvision", "transformers", "tokenizers", "peft", "trl", "vllm",
    "langgraph", "langchain", "langchain_core", "sympy", "math_verify", "matplotlib",
    "sklearn", "scipy", "inspect_ai",
}  # fmt: skip


def _loaded_by(statement: str) -> set[str]:
    """Top-level modules in a fresh interpreter after `statement`."""
    show = "import sys; print(); print(*{m.partition('.')[0] for m in sys.modules})"
    code = f"{statement}\n{show}"
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    return set(result.stdout.splitlines()[-1].split())


@pytest.mark.parametrize(
    "statement",
    [
        "import catts",
        "import catts.question, catts.confidence, catts.errors, catts.prompts",
        "import catts.cli",
        "import catts.cli\ntry: catts.cli.main(['--help'])\nexcept SystemExit: pass",
        "import catts.cli\ntry: catts.cli.main(['demo', '--help'])\nexcept SystemExit: pass",
    ],
)
def test_light_imports_load_nothing_heavy(statement: str) -> None:
    assert not _loaded_by(statement) & HEAVY


def test_the_check_can_fail() -> None:
    assert "math_verify" in _loaded_by("import math_verify")
