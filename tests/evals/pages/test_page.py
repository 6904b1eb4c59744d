"""The page as text: its policy, its static parts, and that it is written whole or not at all."""

import base64
import hashlib
import json
import re
from datetime import date

import pytest

from catts.errors import ReportError
from catts.evals.pages.cards import Runs
from catts.evals.pages.page import page
from catts.evals.pages.write import write_page
from catts.evals.studies.result import Estimate, Line


def _hash(text: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"


async def test_the_policy_lets_only_the_pages_own_script_and_style_run(cards):
    html = page([Runs("runs", tuple(cards))], "Title")
    policy = re.search(r'http-equiv="Content-Security-Policy" content="([^"]+)"', html)
    (script,) = re.findall(r"<script>(.*?)</script>", html, re.DOTALL)
    (style,) = re.findall(r"<style>(.*?)</style>", html, re.DOTALL)
    assert policy
    assert policy[1].startswith("default-src 'none'; ")
    assert f"script-src '{_hash(script)}'" in policy[1]
    assert f"style-src '{_hash(style)}'" in policy[1]
    assert "unsafe" not in policy[1]


async def test_the_script_writes_no_markup_and_the_page_has_no_handlers(cards, study):
    html = page([Runs("runs", tuple(cards)), study()], "Title")
    assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(", html)
    assert not re.search(r"<[^>]+\s(on\w+|style)=", html)
    assert not re.search(r"""(src|href)=["'](?!#|data:)""", html)


async def test_every_run_is_a_block_of_its_own(cards):
    html = page([Runs("runs", tuple(cards))], "Title")
    blocks = re.findall(r'<script type="application/json" id="data-([\w-]+)">(.*?)</script>', html)
    names = [name for name, _ in blocks]
    assert names == ["section-0-rows", *(f"section-0-{place}" for place in range(4))]
    rows = json.loads(blocks[0][1])
    assert [row["id"] for row in rows] == ["a", "b", "c", "d"]
    assert all(json.loads(text)["steps"] for _, text in blocks[1:])


async def test_without_a_script_the_votes_are_still_told(cards):
    html = page([Runs("runs", tuple(cards))], "Title")
    static = re.search(r"<noscript>(.*?)</noscript>", html, re.DOTALL)
    assert static
    assert "How many dots?" in static[1]
    assert "(wrong)" in static[1]
    assert re.search(r"3: 1\.\d+ = samples 0\.\d+ \+ voter 0\.250 \+ self-check 0\.500", static[1])


async def test_what_was_answered_stands_before_the_score(cards):
    html = page([Runs("runs", tuple(cards))], "Title")
    tiles = re.findall(r"<dt>([^<]+)</dt><dd>([^<]+)<small>([^<]*)", html)
    told = {name: (value.strip(), note) for name, value, note in tiles}
    assert list(told)[:2] == ["answered", "right"]
    assert told["answered"] == ("4", "of 4")
    assert told["right"] == ("75.0%", "3 of 4")
    assert told["winner changed"][0] == told["with a failed role"][0] == "1"


def test_a_study_shows_its_numbers_notes_and_making(study):
    html = page([study()], "Title")
    for part in (
        "Scaling: more samples", '<td class="value">0.500</td>', "0.250 to 0.750", "a note",
        '<td class="value sure">−0.200</td>', '<td class="value">12</td>', "<svg", "bbbbbbbbbbbb",
    ):  # fmt: skip
        assert part in html, part


def test_every_row_of_a_table_is_as_wide_as_its_head(study):
    line = Line(label="only tokens", cells={"tokens": 3})
    html = page([study(lines=(*study().lines, line))], "Title")
    table = re.search(r'<table class="numbers">(.*?)</table>', html, re.DOTALL)
    assert table
    widths = set()
    for line_ in re.findall(r"<tr[^>]*>(.*?)</tr>", table[1]):
        cells = re.findall(r"<t[hd]([^>]*)>", line_)
        widths.add(sum(int((re.search(r"colspan=(\d+)", c) or [0, 1])[1]) for c in cells))
    assert len(widths) == 1


def test_the_page_of_the_same_sections_is_the_same(study):
    assert page([study()], "Title") == page([study()], "Title")


def test_several_sections_have_a_table_of_contents(study):
    html = page([study(), study(title="Cost: seconds")], "Title")
    assert '<a href="#section-0">Scaling</a><a href="#section-1">Cost</a>' in html
    same = page([study(), study(title="Scaling: again")], "Title")
    assert ">Scaling: again</a>" in same
    assert "<nav>" not in page([study()], "Title")


def test_runs_without_a_card_are_no_error():
    assert "none" in page([Runs("none", ())], "Title")


def test_a_page_is_written_whole_or_not_at_all(tmp_path, study):
    path = tmp_path / "report.html"
    written = write_page([study()], path, "Title")
    assert written.bytes == path.stat().st_size
    assert written.sections[0].kind == "study"
    assert [file.name for file in tmp_path.iterdir()] == ["report.html"]
    with pytest.raises(ReportError, match="choose another file"):
        write_page([study()], tmp_path / "none" / "report.html", "Title")
    (tmp_path / "folder.html").mkdir()
    with pytest.raises(ReportError, match="choose another file"):
        write_page([study()], tmp_path / "folder.html", "Title")
    assert sorted(file.name for file in tmp_path.iterdir()) == ["folder.html", "report.html"]


def test_a_study_tells_its_day_and_large_numbers_with_one_decimal(study):
    many = Estimate(value=1234.56, low=999.94, high=2000.0)
    lines = (Line(label="x", cells={"tokens": many}),)
    dated = study().made.model_copy(update={"date": date(2026, 11, 25)})
    html = page([study(lines=lines, made=dated)], "Title")
    assert "2026-11-25" in html
    assert "1234.6</td>" in html
    assert "999.9 to 2000.0" in html
    assert "not told" in page([study()], "Title")
