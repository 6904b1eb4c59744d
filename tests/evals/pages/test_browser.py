"""The page in a real browser: what it shows, how it is used, and that hostile text stays text."""

from dataclasses import replace
from pathlib import Path

import pytest
from scripted_models import ScriptedEngine, ScriptedExpert

from catts.errors import EngineError, RoleError
from catts.evals.pages.cards import Runs
from catts.evals.pages.write import write_page
from catts.evals.studies.result import Line

pytestmark = pytest.mark.browser

HOSTILE = (
    "</script><script>window.hit=1</script></noscript></title></style>"
    "<img src=x onerror=window.hit=1>"
    "\"><svg onload=window.hit=1>' onmouseover=window.hit=1 <!--<script> ]]> &lt;b&gt; "
    "{{window.hit=1}} ${window.hit=1} \x1b[2J\x1b]0;title\x07 \u202e\u2028 \x00 \ud800 "
    "<iframe src=javascript:top.hit=1></iframe><link rel=stylesheet href=http://example.invalid/a>"
)
SHOWN = "<img src=x onerror=window.hit=1>"

OPEN = "document.querySelectorAll('details.run')[{}].open = true"
VISIBLE = (
    "[...document.querySelectorAll('details.run')].filter(d => !d.hidden)"
    ".map(d => d.querySelector('.id').textContent)"
)
VOTES = (
    "Object.fromEntries([...document.querySelectorAll('details[open] .candidate')]"
    ".map(c => [c.querySelector('.name').textContent, "
    "Number(c.querySelector('.votes').dataset.votes)]))"
)


def _written(tmp_path: Path, *sections, title: str = "Title") -> Path:
    return write_page(sections, tmp_path / "page.html", title).path


async def _settled(browser) -> None:
    browser.js("new Promise(done => setTimeout(done, 50))")


@pytest.fixture
async def page(browser, tmp_path, cards, study):
    path = _written(tmp_path, Runs("runs", tuple(cards)), study())
    browser.open(path)
    yield browser
    assert browser.complaints() == []
    assert browser.requests() == [path.as_uri()]


async def test_a_line_for_each_run_and_a_card_behind_it(page, cards):
    assert page.js(VISIBLE) == ["a", "b", "c", "d"]
    assert page.js("document.querySelectorAll('.card').length") == 0
    page.js(OPEN.format(3))
    await _settled(page)
    text = page.js("document.querySelector('.card').innerText")
    for part in (
        "Where is it?", "✓ right", "the samples led with 3", "top k mean", "count again",
        "voter → critic → self-check", "next in the plan", "lock step", "hard", "3 expert calls",
    ):  # fmt: skip
        assert part in text, part
    widths = page.js("[...document.querySelectorAll('.card img')].map(i => i.naturalWidth)")
    assert widths == [48, 48]


async def test_the_steps_end_at_the_traces_votes(page, cards):
    page.js(OPEN.format(3))
    await _settled(page)
    trace = cards[3].trace
    assert page.js(VOTES) == trace.votes
    back, following = (f"document.querySelector('details[open] .{n}')" for n in ("back", "next"))
    seen = []
    while not page.js(f"{back}.disabled"):
        page.js(f"{back}.click()")
        seen.append(page.js(VOTES))
    assert len(seen) == 3
    assert sum(seen[-1].values()) == pytest.approx(1)  # the samples' ballots alone
    assert page.js("document.querySelector('details[open] .leads .name').textContent") == "3"
    while not page.js(f"{following}.disabled"):
        page.js(f"{following}.click()")
    assert page.js(VOTES) == trace.votes
    assert page.js("document.querySelector('details[open] .leads .name').textContent") == "4"
    page.js("document.querySelectorAll('details[open] .station')[1].click()")
    assert "voter" in page.js("document.querySelector('details[open] .step').textContent")


async def test_bars_are_as_long_as_their_votes(page, cards):
    page.js(OPEN.format(3))
    page.js("new Promise(done => setTimeout(done, 600))")  # they grow
    lengths = page.js(
        "[...document.querySelectorAll('details[open] .stack')].map(s => "
        "[...s.children].reduce((sum, p) => sum + p.getBoundingClientRect().width, 0)"
        " / s.getBoundingClientRect().width)"
    )
    most = max(cards[3].trace.votes.values())
    assert lengths == pytest.approx([v / most for v in cards[3].trace.votes.values()], abs=0.01)


@pytest.mark.parametrize(
    ("key", "left"),
    [("wrong", ["b"]), ("failed", ["c"]), ("changed", ["d"]), ("all", list("abcd"))],
)
async def test_filters(page, key, left):
    page.js(f"document.querySelector('[data-filter={key}]').click()")
    assert page.js(VISIBLE) == left
    pressed = page.js("document.querySelector('[aria-pressed=true]').dataset.filter")
    assert pressed == key


@pytest.mark.parametrize(
    ("text", "left"),
    [("LINES", ["b"]), ("hard", ["d"]), ("7", ["b"]), ("", list("abcd")), ("nowhere", [])],
)
async def test_search(page, text, left):
    page.js(
        f"(() => {{ const s = document.querySelector('[type=search]'); s.value = '{text}';"
        " s.dispatchEvent(new Event('input')); })()"
    )
    assert page.js(VISIBLE) == left
    told = page.js("document.querySelector('.status').textContent")
    assert told == {4: "", 0: "Nothing matches."}.get(len(left), f"{len(left)} of 4 shown")


async def test_filter_and_search_together(page):
    page.js("document.querySelector('[data-filter=failed]').click()")
    page.js(
        "(() => { const s = document.querySelector('[type=search]'); s.value = 'lines';"
        " s.dispatchEvent(new Event('input')); })()"
    )
    assert page.js(VISIBLE) == []


async def test_a_failed_role_is_named_in_its_line_and_its_card(page):
    page.js(OPEN.format(2))
    await _settled(page)
    text = page.js("document.querySelector('details[open]').innerText")
    assert "voter failed: RoleError: no reply in 3 s" in text


async def test_an_address_with_a_runs_name_opens_its_card(browser, tmp_path, cards):
    path = _written(tmp_path, Runs("runs", tuple(cards)))
    browser.open(path, "#section-0-2")
    await _settled(browser)
    opened = "[...document.querySelectorAll('details.run[open] .id')].map(i => i.textContent)"
    assert browser.js(opened) == ["c"]


async def test_curves_are_seen_and_told_of(page):
    shape = page.js(
        "(() => { const b = document.querySelector('.plot svg .band.s0').getBoundingClientRect();"
        " return [b.width > 50, b.height > 10]; })()"
    )
    assert shape == [True, True]
    colours = page.js(
        "['s0', 's1'].map(s => document.querySelector(`.plot g.${s} .line`))"
        ".map(line => getComputedStyle(line).stroke)"
    )
    assert len(set(colours)) == 2


async def test_nothing_is_wider_than_the_window(page):
    for place in range(4):
        page.js(OPEN.format(place))
    await _settled(page)
    for width in (1440, 1024, 700, 390):
        page.look(width=width)
        assert page.js("document.documentElement.scrollWidth") <= width


async def test_the_dark_scheme_is_dark(page):
    colour = "getComputedStyle(document.body).backgroundColor"
    light = page.js(colour)
    page.look(scheme="dark")
    assert page.js(colour) != light


async def test_hostile_text_stays_text_wherever_it_stands(browser, tmp_path, asked, cards, study):
    spelt = HOSTILE.replace("\ud800", "")  # models and questions with it do not come this far
    engine = ScriptedEngine([(spelt, 2.0), ("3", 2.5)], reanswer=spelt, contrast=spelt)
    failing = ScriptedExpert(critique=spelt, fail={"voter": RoleError("voter", spelt, cause=spelt)})
    trace = await asked(spelt, engine=engine, expert=failing, choices=(spelt, "3"))
    free = await asked(spelt, engine=engine, expert=ScriptedExpert(critique=spelt))
    named = {"engine": HOSTILE, "expert": HOSTILE}
    card = replace(
        cards[3], id=HOSTILE, trace=trace.model_copy(update=named), gold=HOSTILE, right=False,
        groups={HOSTILE: HOSTILE},
    )  # fmt: skip
    other = replace(card, trace=free.model_copy(update=named))
    line = Line(group=HOSTILE, label=HOSTILE, cells={"accuracy": HOSTILE})
    evil = study(
        title=HOSTILE, notes=(HOSTILE,), columns=("accuracy", HOSTILE),
        lines=(line,), curves={f"{HOSTILE}: {HOSTILE}": study().curves["CA-TTS"]},
        axes=(HOSTILE, HOSTILE),
    )  # fmt: skip
    evil = evil.model_copy(update={"made": evil.made.model_copy(update={"base": HOSTILE})})
    path = _written(tmp_path, Runs(HOSTILE, (card, other)), evil, title=HOSTILE)
    browser.open(path)
    for place in (0, 1):
        browser.js(OPEN.format(place))
    browser.js("document.querySelectorAll('details').forEach(d => { d.open = true; })")
    browser.js("new Promise(done => setTimeout(done, 300))")
    assert browser.js("window.hit") is None
    assert browser.js("document.title").startswith("</script>")
    assert browser.complaints() == []
    assert browser.requests() == [path.as_uri()]
    kinds = browser.js(
        "[...new Set([...document.body.querySelectorAll('*')].map(e => e.localName))]"
    )
    assert not {"iframe", "link", "b0"} & set(kinds)
    assert browser.js("document.querySelectorAll('script:not([type])').length") == 1
    sources = browser.js("[...document.images].map(i => i.src.slice(0, 11))")
    assert set(sources) == {"data:image/"}
    handlers = browser.js(
        "[...document.querySelectorAll('*')].flatMap(e => e.getAttributeNames())"
        ".filter(name => name.startsWith('on'))"
    )
    assert handlers == []
    text = browser.js("document.body.innerText")
    assert text.count(SHOWN) > 20
    assert not {"\x1b", "\x07", "\u202e"} & set(text)


async def test_two_thousand_runs_open_at_once(browser, tmp_path, cards):
    text = "the bar on the left is higher than the one in the middle " * 25
    trace = cards[3].trace
    samples = tuple(s.model_copy(update={"text": f"{text}{s.text}"}) for s in trace.samples)
    long = replace(cards[3], trace=trace.model_copy(update={"samples": samples}))
    many = tuple(replace(long if place % 2 else cards[1], id=str(place)) for place in range(2000))
    seconds = browser.open(_written(tmp_path, Runs("many", many)))
    assert seconds < 10
    assert browser.js("document.querySelectorAll('details.run').length") == 2000
    browser.js("document.querySelector('[data-filter=wrong]').click()")
    assert len(browser.js(VISIBLE)) == 1000
    browser.js(OPEN.format(1234))
    await _settled(browser)
    assert browser.js("document.querySelectorAll('.card').length") == 1
    assert browser.complaints() == []


async def test_every_card_of_every_route_can_be_opened(browser, tmp_path, asked, cards):
    engines = (
        ScriptedEngine([("", 1.0)]),
        ScriptedEngine([("3", 1.0)]),
        ScriptedEngine(fail={"sample": EngineError("out of memory")}),
        ScriptedEngine([("3", 2.0), ("4", 1.0)], fail={"contrast": EngineError("x")}),
    )
    routings = ("paper", "planned", "parallel")
    traces = [await asked(engine=e, routing=r) for e in engines for r in routings]
    bare = tuple(replace(cards[0], trace=t, gold=None, right=None) for t in traces)
    browser.open(_written(tmp_path, Runs("bare", bare)))
    browser.js("document.querySelectorAll('details').forEach(d => { d.open = true; })")
    browser.js("new Promise(done => setTimeout(done, 300))")
    assert browser.js("document.querySelectorAll('.card').length") == len(traces)
    assert browser.complaints() == []
    text = browser.js("document.body.innerText")
    assert "undefined" not in text
    assert "NaN" not in text
    assert "[object" not in text
