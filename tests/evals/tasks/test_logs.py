"""Logs read back, and their section of a report: scripted models, Inspect's real files."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from inspect_ai import eval as inspect_eval
from inspect_ai.log import read_eval_log, write_eval_log
from scripted_models import ScriptedEngine, ScriptedExpert

from catts.errors import EngineError, ReportError, TraceError
from catts.evals.benchmarks.embedded import load_embedded
from catts.evals.pages import readers
from catts.evals.pages.cards import Runs
from catts.evals.pages.runs import runs_section
from catts.evals.small_picture import thumbnail
from catts.evals.tasks import tasks
from catts.evals.tasks.logs import read_log
from catts.evals.tasks.models import OPENED
from catts.evals.tasks.spans import pictures_of
from catts.graph.context import Context
from catts.graph.embed import answer
from catts.images import load_image


class _FailsOn(ScriptedEngine):
    """Out of order for one question."""

    def __init__(self, question: str) -> None:
        super().__init__()
        self._question = question

    async def sample(self, question: Any, *args: Any) -> Any:
        if question.text == self._question:
            raise EngineError("the GPU fell off")
        return await super().sample(question, *args)


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """`run(epochs, engine)`: the log of three questions."""

    def ask(epochs: int = 1, engine: ScriptedEngine | None = None) -> Path:
        context = Context.of(engine or ScriptedEngine(), ScriptedExpert(), routing="paper")

        async def opened(settings: dict[str, Any]) -> Context:
            return context

        monkeypatch.setattr(OPENED, "get", opened)
        (made,) = inspect_eval(
            tasks.embedded(first=3), model="none/none", epochs=epochs, display="none",
            log_dir=str(tmp_path / "logs"),
        )  # fmt: skip
        return Path(made.location.removeprefix("file://"))

    return ask


async def test_a_log_gives_back_what_was_run(run: Any) -> None:
    log = read_log(await asyncio.to_thread(run, 2))
    items = load_embedded("test", 3).items
    assert (log.task, log.epochs, log.total) == ("embedded", 2, 6)
    told = [(run.item.id, run.epoch) for run in log.runs]
    assert told == [(item.id, epoch) for item in items for epoch in (1, 2)]
    context = Context.of(ScriptedEngine(), ScriptedExpert(), routing="paper")
    for logged, item in zip(log.runs[::2], items, strict=True):
        again = await answer(
            item.load_images(), item.question, choices=item.choices, context=context
        )
        assert logged.trace.ballots == again.ballots
        assert logged.item.answer == item.answer
        assert set(logged.grades) == {"strict"}
        (picture,), (shown,) = item.load_images(), logged.pictures
        assert shown == thumbnail(picture, 40_000)
        (noised,) = logged.noised
        assert load_image(noised).size == load_image(shown).size
        assert noised != shown


def test_a_report_of_a_log_shows_its_grades_and_pictures(
    run: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(readers, "share_of_budget", lambda pictures: 3000)
    runs = readers.read(run(2))
    assert isinstance(runs, Runs)
    assert [card.id for card in runs.cards][:2] == [
        "embedded/test/0, epoch 1", "embedded/test/0, epoch 2",
    ]  # fmt: skip
    assert (runs.asked, runs.missing) == (6, 0)
    for card in runs.cards:
        assert card.gold is not None
        assert card.right == (card.trace.answer_text == card.gold)
        assert len(card.pictures) == len(card.noised) == 1
        assert len(card.pictures[0]) <= 3000
        assert {"grade", "family"} <= set(card.groups)
    assert "NOT COMPLETE" not in runs_section(runs, "a")


def test_other_graders_stand_among_the_groups(run: Any) -> None:
    path = run()
    log = read_eval_log(path)
    for sample in log.samples or []:
        assert sample.scores is not None
        sample.scores["official"] = sample.scores["strict"].model_copy(update={"value": "C"})
    write_eval_log(log, path)
    runs = readers.read(path)
    assert isinstance(runs, Runs)
    assert {card.groups["official grader"] for card in runs.cards} == {"right"}


def test_samples_that_failed_make_the_report_incomplete(run: Any) -> None:
    failing = load_embedded("test", 3).items[1]
    runs = readers.read(run(1, _FailsOn(failing.question)))
    assert isinstance(runs, Runs)
    assert runs.asked == 3
    assert failing.id not in {card.id for card in runs.cards}
    assert "NOT COMPLETE: 2 of 3 runs finished" in runs_section(runs, "a")


def test_logs_of_others_and_broken_ones_are_told(run: Any, tmp_path: Path) -> None:
    broken = tmp_path / "broken.eval"
    broken.write_bytes(b"PK\x03\x04 cut off")
    with pytest.raises(ReportError, match="cannot be read as an Inspect log"):
        readers.read(broken)
    with pytest.raises(ReportError, match="there is no log"):
        readers.read(tmp_path / "none.eval")
    path = run()
    broken.write_bytes(path.read_bytes()[:-300])
    with pytest.raises(ReportError, match="cannot be read as an Inspect log"):
        readers.read(broken)
    log = read_eval_log(path)
    (log.samples or [])[0].store["trace"]["version"] = -1
    write_eval_log(log, path)
    with pytest.raises(TraceError, match=r"sample embedded/test/0 of .* is not a trace of version"):
        readers.read(path)
    del (log.samples or [])[0].store["trace"]
    write_eval_log(log, path)
    with pytest.raises(ReportError, match="is no run of the graph; give a log that"):
        readers.read(path)


def test_texts_that_look_like_a_picture_are_no_picture(run: Any) -> None:
    (sample, *_) = read_eval_log(run(), resolve_attachments="full").samples or []
    shown = pictures_of(sample.events)
    infos = [event for event in sample.events if event.event == "info"]
    (picture,) = [e for e in infos if isinstance(e.data, str) and e.data.startswith("picture 1")]
    foreign = picture.model_copy(update={"source": "other"})
    said = picture.model_copy(update={"data": {"answer": picture.data}})
    assert pictures_of([foreign, said]).clean == ()
    assert pictures_of([*sample.events, foreign, said]) == shown
