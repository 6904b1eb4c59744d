"""The quality table on the shipped models, small; and that the documents show what was measured."""

import json
import re
from pathlib import Path

import pytest

from catts.agents.engines.transformers_engine import TransformersEngine
from catts.agents.spec import embedded_folder
from catts.embedded.questions import FAMILIES
from catts.evals.shipped import sight
from catts.evals.shipped.presentation import quality_markdown
from catts.evals.shipped.quality import Measurement
from catts.evals.shipped.report import model_readme, write_report
from catts.evals.shipped.rows import Row

pytestmark = [pytest.mark.models, pytest.mark.slow]

REPOSITORY = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def models():
    return [TransformersEngine.load(embedded_folder(which)) for which in ("base", "expert")]


@pytest.fixture(scope="module")
def published():
    record = json.loads((REPOSITORY / "docs" / "quality.json").read_text("utf-8"))
    return record, [Row(**row) for row in record["rows"]]


def test_a_measurement_is_whole_and_resumes(models, tmp_path, monkeypatch):
    monkeypatch.setattr(sight, "NOISE_STEPS", (500, 999))
    quality = Measurement(*models, tmp_path, n=36, quiet=True).run()
    rows = {(row.group, row.measure): row for row in quality.rows}
    assert rows["base, easiest grade", "accuracy, greedy"].value > 0.7
    for family in FAMILIES:
        assert ("base, easiest grade", f"{family} above shuffled image") in rows
    for row in quality.rows:
        if row.low is not None:
            assert row.low <= row.value <= row.high
    assert [p.t for p in quality.curve] == [0, 500, 999]

    def asked_again(*_args, **_options):
        raise AssertionError("what is stored must not be asked again")

    for name in ("sample_many_sync", "complete_many_sync", "contrast_many_sync"):
        monkeypatch.setattr(TransformersEngine, name, asked_again)
    again = Measurement(*models, tmp_path, n=36, quiet=True).run()
    assert again.rows == quality.rows

    folders = {"base": embedded_folder("base"), "expert": embedded_folder("expert")}
    record = write_report(quality, folders, tmp_path, n=36, seed=0)
    assert json.loads((tmp_path / "quality.json").read_text("utf-8")) == json.loads(
        json.dumps(record)
    )
    for name in ("quality.md", "bars.md", "noise.png", "base.md", "expert.md"):
        assert (tmp_path / name).stat().st_size > 100


def test_documents_show_the_published_measurement(published):
    _, rows = published
    shown = {
        "README.md": [row for row in rows if row.met is not None],
        "docs/embedded.md": rows,
    }
    for name, kept in shown.items():
        text = (REPOSITORY / name).read_text("utf-8")
        table = re.search(r"<!-- quality -->\n\n(.*?)\n<!-- /quality -->", text, re.DOTALL)
        assert table is not None, name
        assert table[1] == quality_markdown(kept), name


@pytest.mark.parametrize("which", ["base", "expert"])
def test_model_cards_show_the_published_measurement(published, which):
    record, rows = published
    folder = embedded_folder(which)
    card = model_readme(which, folder, rows, n=record["n"], seed=record["seed"])
    assert (folder / "README.md").read_text("utf-8") == card
