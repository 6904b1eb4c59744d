"""Cards of scripted runs, and a Chromium to look at them with."""

import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from PIL import Image
from scripted_models import ScriptedEngine, ScriptedExpert

sys.path.insert(0, str(Path(__file__).parent))  # for `chromium`

from chromium import FOUND, chromium

from catts.errors import RoleError
from catts.evals.pages.cards import RunCard
from catts.evals.small_picture import thumbnail
from catts.evals.studies.result import Estimate, Line, StudyResult
from catts.evals.studies.setting import Made, Setting
from catts.graph.context import Context, Policy
from catts.graph.embed import answer
from catts.graph.nodes import render
from catts.graph.trace import Trace

Asked = Callable[..., Awaitable[Trace]]


@pytest.fixture
def picture() -> Image.Image:
    return Image.linear_gradient("L").resize((48, 32)).convert("RGB")


@pytest.fixture
def asked(picture: Image.Image) -> Asked:
    """`await asked(...)`: a run by scripted models."""

    async def ask(
        question: str = "How many dots?",
        *,
        engine: ScriptedEngine | None = None,
        expert: ScriptedExpert | None = None,
        routing: str = "paper",
        **options: object,
    ) -> Trace:
        held = Context.of(engine or ScriptedEngine(), expert or ScriptedExpert(), routing=routing)
        return await answer(picture, question, context=held, **options)

    return ask


@pytest.fixture
async def cards(asked: Asked, picture: Image.Image) -> list[RunCard]:
    """Four: a right one, a wrong one, one whose voter failed, one whose winner changed."""
    failing = ScriptedExpert(fail={"voter": RoleError("voter", "no reply in 3 s")})
    surer = ScriptedExpert(votes={"3": 0.1, "4": 0.9})
    swayed = await asked("Where is it?", engine=ScriptedEngine(contrast="4"), expert=surer)
    assert swayed.self_check is not None
    noised = thumbnail(render(swayed.self_check.noised[0], picture), noised=True)
    return [
        RunCard("a", await asked("How many dots?"), gold="3", right=True),
        RunCard("b", await asked("How many lines?"), gold="7", right=False),
        RunCard("c", await asked("What fails?", expert=failing), gold="3", right=True),
        RunCard(
            "d", swayed, (thumbnail(picture),), (noised,), gold="4", right=True,
            groups={"grade": "hard"},
        ),
    ]  # fmt: skip


@pytest.fixture
def study() -> Callable[..., StudyResult]:
    """`study(...)`: a study's result with these fields changed."""

    def make(**changed: object) -> StudyResult:
        made = Made(
            study="scaling", setting=Setting(limit=4), questions=4, base="small", expert="large",
            base_fingerprint="b" * 64, expert_fingerprint="e" * 64, policy=Policy(),
            catts_version="0.1.0", data="d" * 64,
        )  # fmt: skip
        half = Estimate(value=0.5, low=0.25, high=0.75)
        most = Estimate(value=0.9, low=0.8, high=1.0)
        worse = Estimate(value=-0.2, low=-0.3, high=-0.1)
        lines = (
            Line(group="one", label="n = 1", cells={"accuracy": half, "tokens": 12}),
            Line(group="two", label="n = 8", cells={"accuracy": most, "vs majority": worse}),
        )
        result = StudyResult(
            made=made,
            title="Scaling: more samples",
            columns=("accuracy", "vs majority", "tokens"),
            lines=lines,
            notes=("a note",),
            curves={"CA-TTS": ((1.0, half), (8.0, most)), "majority": ((1.0, half),)},
            axes=("samples n", "accuracy"),
        )
        return result.model_copy(update=changed)

    return make


@pytest.fixture
def browser(tmp_path: Path):
    """A tab of a headless Chromium."""
    if FOUND is None:
        pytest.skip("there is no Chromium on the PATH; on Debian: apt-get install chromium")
    with chromium(tmp_path / "profile") as page:
        yield page
