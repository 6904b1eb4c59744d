"""The floors of the architecture: a module imports only floors below its own, and no circle."""

import ast
import tomllib
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FLOORS = {
    "catts": 0,
    "catts.answers": 0,
    "catts.prompts": 0,
    "catts.perception": 1,
    "catts.agents": 2,
    "catts.agents.engines": 3,
    "catts.agents.engines.vllm": 4,
    "catts.agents.experts": 3,
    "catts.agents.miniatures": 3,
    "catts.agents.benchmarks": 4,
    "catts.agents.call_queue": 4,
    "catts.agents.panel": 4,
    "catts.agents.roles": 4,
    "catts.agents.transformers_engine": 4,
    "catts.agents.base_spec": 5,
    "catts.agents.expert_spec": 6,
    "catts.agents.spec": 7,
    "catts.agents.commands": 8,
    "catts.agents.doctor": 8,
    "catts.agents.serve_command": 8,
    "catts.graph": 9,
    "catts.embedded": 9,
    "catts.training": 10,
    "catts.evals.benchmarks": 10,
    "catts.evals.graders": 11,
    "catts.evals": 12,
    "catts.evals.chaos": 13,
    "catts.evals.shipped": 13,
    "catts.evals.studies": 13,
    "catts.evals.tasks": 13,
    "catts.evals.pages": 14,
}
"""Packages, and modules that stand higher than the rest of theirs, on their floors."""
FRONT_DOORS = {"catts", "catts.cli"}
"""The public API and the command line, which may reach every floor."""

MODELS = {"catts.agents.engines", "catts.agents.miniatures", "catts.agents.benchmarks"}
"""Packages that hold models in memory."""

HEAVY = {
    "torch": {
        "catts.training",
        "catts.perception",
        *MODELS,
        "catts.agents.engines.vllm",
        "catts.embedded",
        "catts.agents",
    },
    "torchvision": {"catts.perception", "catts.embedded"},
    "transformers": {"catts.training", *MODELS, "catts.embedded"},
    "tokenizers": {*MODELS, "catts.embedded"},
    "safetensors": {*MODELS, "catts.embedded"},
    "open_clip": {"catts.perception", "catts.embedded"},
    "peft": {"catts.agents.engines"},
    "trl": {"catts.training"},
    "datasets": {"catts.training"},
    "pyarrow": {"catts.evals.benchmarks"},
    "huggingface_hub": {
        "catts.perception",
        "catts.agents.engines",
        "catts.evals.benchmarks",
        "catts.training",
    },
    "langchain": {"catts.agents.experts", "catts.graph"},
    "langchain_core": {"catts.agents", "catts.agents.experts", "catts.graph"},
    "langchain_google_genai": {"catts.agents.experts"},
    "langchain_openai": {"catts.agents.experts"},
    "langgraph": {"catts.graph", "catts.evals.chaos"},
    "math_verify": {"catts.answers"},
    "sympy": {"catts.answers"},
    "matplotlib": {"catts.evals.shipped", "catts.evals.studies", "catts.embedded"},
    "openai": {"catts.agents.engines.vllm"},
    "vllm": {"catts.agents.engines.vllm"},
    "typer": {
        "catts",
        "catts.perception",
        "catts.agents",
        "catts.training",
        "catts.evals.chaos",
        "catts.evals.shipped",
        "catts.evals.studies",
        "catts.evals.tasks",
        "catts.evals.pages",
    },
    "inspect_ai": {"catts.evals.tasks"},
}
"""Heavy or one-purpose libraries, and the packages that may import them at all."""


def _packages() -> dict[str, Path]:
    with (ROOT / "pyproject.toml").open("rb") as file:
        mapping = tomllib.load(file)["tool"]["setuptools"]["package-dir"]
    return {package: ROOT / folder for package, folder in mapping.items()}


def _modules() -> dict[str, Path]:
    """Every module of the package: its name to its file."""
    modules = {}
    for package, folder in _packages().items():
        for file in folder.rglob("*.py"):
            parts = file.relative_to(folder).with_suffix("").parts
            modules[".".join((package, *(p for p in parts if p != "__init__")))] = file
    return modules


MODULES = _modules()


def _package_of(module: str) -> str:
    return max((p for p in FLOORS if module == p or module.startswith(p + ".")), key=len)


def _imports(module: str) -> set[str]:
    """Everything that a module imports, anywhere in it, TYPE_CHECKING blocks included."""
    found = set()
    for node in ast.walk(ast.parse(MODULES[module].read_text("utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module} line {node.lineno}: write imports in full"
            for alias in node.names:
                name = f"{node.module}.{alias.name}"
                found.add(name if name in MODULES else str(node.module))
    return found


def _inner_imports(module: str) -> set[str]:
    return {name for name in _imports(module) if name in MODULES}


@pytest.mark.parametrize("module", sorted(set(MODULES) - FRONT_DOORS))
def test_a_module_imports_no_floor_above_or_beside_its_own(module):
    package = _package_of(module)
    for imported in _inner_imports(module):
        target = _package_of(imported)
        assert target == package or FLOORS[target] < FLOORS[package] or FLOORS[target] == 0, (
            f"{module} imports {imported}: {target} is not below {package}"
        )
        assert imported not in FRONT_DOORS, f"{module} imports the front door {imported}"


def test_the_ground_floor_does_not_reach_up_and_prompts_read_only_the_vocabulary():
    for module in set(MODULES) - FRONT_DOORS:
        if (package := _package_of(module)) in ("catts", "catts.answers"):
            ground = {"catts", package}
            assert not {m for m in _inner_imports(module) if _package_of(m) not in ground}, module


def test_no_modules_import_each_other_in_a_circle():
    graph = {module: _inner_imports(module) for module in MODULES}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(f"import circle: {' <- '.join(error.args[1])}")


@pytest.mark.parametrize("module", sorted(MODULES))
def test_heavy_libraries_are_imported_only_where_they_belong(module):
    package = max((p for p in _packages() if f"{module}.".startswith(f"{p}.")), key=len)
    for imported in _imports(module):
        allowed = HEAVY.get(imported.partition(".")[0])
        assert allowed is None or package in allowed, f"{module} imports {imported}"


def test_every_imported_path_of_the_package_exists():
    for module in MODULES:
        for name in _imports(module):
            if name.partition(".")[0] == "catts":
                assert name in MODULES, f"{module} imports {name}, which does not exist"


def test_every_folder_of_the_package_is_known_here():
    assert {name for name in FLOORS if _is_package(name)} == set(_packages())


def _is_package(name: str) -> bool:
    return MODULES[name].name == "__init__.py"
