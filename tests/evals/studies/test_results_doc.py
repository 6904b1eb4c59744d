"""docs/results.md and docs/cdrl.md show the stored results of the studies, digit by digit."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from catts.evals.studies.commands import Name
from catts.evals.studies.result import StudyResult
from catts.evals.studies.show import as_markdown

DOCS = Path(__file__).parents[3] / "docs"
BASE = (DOCS / "results.md").read_text("utf-8")
TRAINED = (DOCS / "cdrl.md").read_text("utf-8")
"""Here stand the results that compare the base with trained ones."""

ABOUT_TRAINING = (Name.CDRL, Name.LADDER)


def of_base(result: StudyResult) -> StudyResult:
    """All lines, but of the grid of weights those that change one tau alone."""
    if result.made.study != "weights":
        return result
    default = {"tau1": 0.5, "tau2": 0.5, "tau3": 0.5}
    lines = tuple(
        line
        for line in result.lines
        if sum(line.cells.get(tau, value) != value for tau, value in default.items()) <= 1
    )
    return result.model_copy(update={"lines": lines})


def of_trained(result: StudyResult) -> StudyResult:
    """All lines, but of probing those of the key region."""
    lines = tuple(line for line in result.lines if not line.group.endswith("whole picture"))
    return result.model_copy(update={"lines": lines})


@pytest.mark.parametrize("name", [name for name in Name if name not in ABOUT_TRAINING])
def test_each_study_stands_on_the_page(name: str) -> None:
    check(DOCS / "results", name, BASE, of_base)


@pytest.mark.parametrize("name", [*ABOUT_TRAINING, Name.PROBING, Name.SCALING])
def test_what_training_has_changed_stands_beside_it(name: str) -> None:
    check(DOCS / "results" / "trained", name, TRAINED, of_trained)


def check(folder: Path, name: str, page: str, shown: Callable[[StudyResult], StudyResult]) -> None:
    (path,) = folder.glob(f"{name}*.json")
    result = StudyResult.model_validate_json(path.read_text("utf-8"))
    setting = result.made.setting
    assert (setting.task, setting.seed, setting.store) == (
        "embedded", 0, Path("runs/store.sqlite"),
    )  # fmt: skip
    table = re.search(rf"<!-- {name} -->\n\n(.*?)\n<!-- /{name} -->", page, re.DOTALL)
    assert table is not None
    assert table[1] == as_markdown(shown(result))
    told = f"`{command(result)}`: {result.made.questions:,} questions, {result.made.date}"
    assert told in page
    picture = path.with_suffix(".png")
    assert f"({picture.relative_to(DOCS)})" in page
    assert picture.is_file()


def command(result: StudyResult) -> str:
    """What prints this result."""
    setting = result.made.setting
    options = [] if setting.limit is None else [f"--limit {setting.limit}"]
    options += [] if setting.samples == 8 else [f"--samples {setting.samples}"]
    options += [] if setting.base == "embedded" else [f"--base {setting.base}"]
    options += [f"--calibrated-base {base}" for base in setting.calibrated_bases]
    return " ".join(["catts study", result.made.study, *options])
