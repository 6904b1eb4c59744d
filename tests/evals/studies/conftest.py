"""A trained base beside a lab's own."""

import pytest
from asked import Told
from scripted_models import ScriptedExpert
from trained_bases import AFTER, BEFORE

from catts.evals.studies import lab as lab_module
from catts.graph.context import Context


@pytest.fixture
def trained(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """Bases other than the lab's own say what a trained one would; what was opened."""
    opened: list[object] = []

    class Opened:
        def __init__(self, base: object, expert: object, **_: object) -> None:
            opened.append(base)
            own = not isinstance(base, str)
            self._engine = Told(BEFORE) if own else Told(AFTER, fingerprint=str(base))

        async def __aenter__(self) -> Context:
            return Context.of(self._engine, ScriptedExpert(), routing="paper", samples=3)

        async def __aexit__(self, *_: object) -> None:
            pass

    monkeypatch.setattr(lab_module, "open_context", Opened)
    return opened
