"""docs/results.md shows the stored results of the studies, digit by digit."""

import re
from pathlib import Path

import pytest

from catts.evals.studies.commands import Name
from catts.evals.studies.result import StudyResult
from catts.evals.studies.show import as_markdown

DOCS = Path(__file__).parents[3] / "docs"
PAGE = (DOCS / "results.md").read_text("utf-8")

TRAINED = (Name.CDRL, Name.LADDER)
"""Studies of trained bases, which are not on this page."""


def shown(result: StudyResult) -> StudyResult:
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


@pytest.mark.parametrize("name", [name for name in Name if name not in TRAINED])
def test_each_study_stands_on_the_page(name: str) -> None:
    (path,) = (DOCS / "results").glob(f"{name}*.json")
    result = StudyResult.model_validate_json(path.read_text("utf-8"))
    setting = result.made.setting
    assert (setting.task, setting.seed, setting.store) == (
        "embedded", 0, Path("runs/store.sqlite"),
    )  # fmt: skip
    table = re.search(rf"<!-- {name} -->\n\n(.*?)\n<!-- /{name} -->", PAGE, re.DOTALL)
    assert table is not None
    assert table[1] == as_markdown(shown(result))
    limit = "" if setting.limit is None else f" --limit {setting.limit}"
    asked = f"`catts study {name}{limit}`: {result.made.questions:,} questions, {result.made.date}"
    assert asked in PAGE
    assert f"(results/{path.stem}.png)" in PAGE
    assert (DOCS / "results" / f"{path.stem}.png").is_file()
