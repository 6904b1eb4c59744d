"""The page itself: one file that asks nobody for anything and runs no script but its own."""

import base64
import hashlib
from collections.abc import Sequence
from importlib.metadata import version
from importlib.resources import files

from catts.evals.pages.cards import Runs, Section
from catts.evals.pages.runs import runs_section
from catts.evals.pages.study import study_section
from catts.evals.pages.text import escape

_SCRIPTS = ("make.js", "votes.js", "card.js", "list.js", "start.js")
_STYLES = ("page.css", "runs.css")


def page(sections: Sequence[Section], title: str) -> str:
    """The whole document.

    Its policy lets the browser run this one script and style, both by their hash, and show pictures
    that stand in the page: whatever a text in it may say, nothing is loaded and nothing else runs.
    """
    script, style = _joined(_SCRIPTS), _joined(_STYLES)
    policy = (
        f"default-src 'none'; script-src '{_hash(script)}'; style-src '{_hash(style)}'; "
        "img-src data:; base-uri 'none'; form-action 'none'"
    )
    shown = [(f"section-{place}", section) for place, section in enumerate(sections)]
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="referrer" content="no-referrer">\n<link rel="icon" href="data:,">\n'
        f"<title>{escape(title)}</title>\n<style>{style}</style>\n</head>\n<body>\n"
        f"<header><h1>{escape(title)}</h1>{_contents(shown)}</header>\n<main>\n"
        f"{''.join(_html(section, anchor) for anchor, section in shown)}\n</main>\n"
        f"<footer>Written by catts {escape(version('catts'))}.</footer>\n"
        f"<script>{script}</script>\n</body>\n</html>\n"
    )


def _html(section: Section, anchor: str) -> str:
    if isinstance(section, Runs):
        return runs_section(section, anchor)
    return study_section(section, anchor)


def _contents(shown: Sequence[tuple[str, Section]]) -> str:
    if len(shown) < 2:
        return ""
    names = [section.title.partition(":")[0] for _, section in shown]
    if len(set(names)) < len(names):
        names = [section.title for _, section in shown]
    links = (
        f'<a href="#{anchor}">{escape(name)}</a>'
        for (anchor, _), name in zip(shown, names, strict=True)
    )
    return f"<nav>{''.join(links)}</nav>"


def _joined(names: Sequence[str]) -> str:
    folder = files("catts.evals.pages") / "assets"
    return "\n" + "\n".join((folder / name).read_text("utf-8") for name in names)


def _hash(text: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"
