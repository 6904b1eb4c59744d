"""`catts report` in this process."""

import json

import pytest

from catts import cli
from catts.graph.trace import write_traces


@pytest.fixture
def run(capsys):
    """`run("a.json", ...)`: exit code, stdout, stderr of `catts report`."""

    def call(*arguments: object) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as ended:
            cli.main(["report", *map(str, arguments)])
        out, err = capsys.readouterr()
        return ended.value.code or 0, out, err

    return call


async def test_a_page_of_studies_and_runs(run, tmp_path, asked, study, picture):
    (tmp_path / "scaling.json").write_text(study().model_dump_json())
    write_traces(tmp_path / "traces.jsonl", [await asked(), await asked()])
    picture.save(tmp_path / "000.png")
    page = tmp_path / "page.html"
    paths = tmp_path / "scaling.json", tmp_path / "traces.jsonl"
    code, out, err = run(*paths, "--out", page, "--images", tmp_path, "--json")
    assert (code, err) == (0, "")
    told = json.loads(out)
    assert told["path"] == str(page)
    assert told["bytes"] == page.stat().st_size
    assert [section["kind"] for section in told["sections"]] == ["study", "runs"]
    assert told["sections"][1] == {
        "kind": "runs", "title": "traces.jsonl", "questions": 2, "pictures": 4, "missing": 0,
    }  # fmt: skip


async def test_pictures_that_are_missing_are_told_of(run, tmp_path, asked):
    write_traces(tmp_path / "traces.jsonl", [await asked()])
    path = tmp_path / "page.html"
    code, out, err = run(tmp_path / "traces.jsonl", "--out", path, "--images", tmp_path)
    assert code == 0
    assert str(path) in out
    assert err == "warning: traces.jsonl: pictures not found: 1\n"


@pytest.mark.parametrize("name", ["none.jsonl", "none.json", "none.txt"])
def test_what_cannot_be_read_is_told_in_one_line(run, tmp_path, name):
    code, out, err = run(tmp_path / name, "--out", tmp_path / "page.html")
    assert (code, out) == (2, "")
    assert len(err.strip().splitlines()) == 1
    assert name in err
    assert not (tmp_path / "page.html").exists()
