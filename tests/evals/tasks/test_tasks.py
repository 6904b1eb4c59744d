"""Inspect tasks on the shipped models: logs, spans, scorers, failures, the command."""

import io
import shutil
from collections import Counter
from dataclasses import replace
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import pytest
from inspect_ai import eval as inspect_eval
from inspect_ai import score
from inspect_ai.dataset import Sample
from inspect_ai.log import EvalLog, read_eval_log
from inspect_ai.scorer import Score
from rich.console import Console
from typer.testing import CliRunner

from catts.agents.card import ChosenOn, read_card, write_card
from catts.agents.experts.roles import ChatExpert
from catts.agents.protocol import Usage
from catts.agents.spec import embedded_folder
from catts.cli import app
from catts.errors import BenchmarkError, EngineError, InputError, RoleError
from catts.evals.benchmarks.digest import question_digest
from catts.evals.benchmarks.embedded import load_embedded
from catts.evals.benchmarks.item import Item
from catts.evals.metrics import cluster_bootstrap
from catts.evals.tasks import _registry, tasks
from catts.evals.tasks.models import OPENED
from catts.evals.tasks.outcome import Outcome, as_table, outcome_of
from catts.evals.tasks.running import run_task
from catts.evals.tasks.samples import asked, dataset, item_of
from catts.evals.tasks.scorers import official, strict
from catts.graph.trace import Trace
from catts.names import ROLES

NODES = {"sampler", "planner", "voter", "critic", "reanswer", "self_check", "route", "decide"}
SHORT: dict[str, Any] = {"samples": 2, "routing": "paper"}


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> EvalLog:
    """Three questions, two epochs, every module."""
    folder = tmp_path_factory.mktemp("logs")
    (made,) = inspect_eval(
        tasks.embedded(first=3, **SHORT), model="none/none", epochs=2, log_dir=str(folder),
        display="none", max_samples=6,
    )  # fmt: skip
    return read_eval_log(made.location)


def test_an_item_survives_the_log() -> None:
    item = Item(
        id="7",
        question="How long?",
        choices=("5 min", "5 h"),
        images=(),
        answer="B",
        question_type="multiple-choice",
        answer_letter="B",
        groups={"subject": "time"},
        fields={"precision": 2, "answers": ["5 h"]},
        evidence=((1, 2, 3, 4),),
        origin="a.parquet, row 3",
    )
    (sample,) = dataset("t", [item])
    again = Sample.model_validate_json(sample.model_dump_json())
    assert item_of(again.metadata or {}) == item
    assert (sample.target, sample.id) == ("B", "7")
    assert sample.input == asked(item) == "How long?\n\n(A) 5 min (B) 5 h"
    (drawn,) = load_embedded("test", 1).items
    (sample,) = dataset("t", [drawn])
    assert item_of(sample.metadata or {}) == replace(drawn, images=())
    assert len(sample.model_dump_json()) < 2000, "no picture is in it"


@pytest.mark.models
@pytest.mark.slow
def test_the_log_holds_each_run_whole(log: EvalLog) -> None:
    assert log.status == "success"
    assert {(s.id, s.epoch) for s in log.samples or []} == {
        (f"embedded/test/{i}", epoch) for i in range(3) for epoch in (1, 2)
    }
    for sample in log.samples or []:
        trace = Trace.model_validate(sample.store["trace"])
        assert trace.answer_text == sample.output.completion
        assert trace.policy.seed == sample.epoch - 1
        assert not OPENED.used, "the models are freed at the end of the run"


@pytest.mark.models
@pytest.mark.slow
def test_every_node_is_a_span_with_its_time_and_its_ballots(log: EvalLog) -> None:
    for sample in log.samples or []:
        trace = Trace.model_validate(sample.store["trace"])
        begun = {e.id: e for e in sample.events if e.event == "span_begin" and e.type == "catts"}
        ended = {e.id: e for e in sample.events if e.event == "span_end"}
        assert {span.name for span in begun.values()} == NODES
        told = [e for e in sample.events if e.event == "info" and e.span_id in begun]
        for run in trace.usage.nodes:
            (span,) = [s for s in begun.values() if s.name == run.node]
            assert span.timestamp.timestamp() == pytest.approx(run.started, abs=0.2)
            assert ended[span.id].timestamp.timestamp() == pytest.approx(run.ended, abs=0.2)
            (facts,) = [e.data for e in told if e.span_id == span.id and isinstance(e.data, dict)]
            source = {"sampler": "sample", "reanswer": "critic", "critic": ""}.get(
                run.node, run.node
            )
            cast = [b for b in trace.ballots if b.source == source]
            assert len(facts.get("ballots", ())) == len(cast)
            assert facts["runs"][0]["usage"]["calls"] == run.usage.calls
        decided = [e.data for e in told if begun[e.span_id].name == "route"]
        assert [d["route"][0]["reason"] for d in decided] == [d.reason for d in trace.route]


@pytest.mark.models
@pytest.mark.slow
def test_the_transcript_shows_small_pictures_clean_and_noised(log: EvalLog) -> None:
    attachments = (log.samples or [])[0].attachments
    text = (log.samples or [])[0].model_dump_json()
    assert "![picture 1]" in text
    assert "![noised picture, t = " in text
    assert all(len(value) < 60_000 for value in attachments.values())
    assert len(text) < 150_000


@pytest.mark.models
@pytest.mark.slow
def test_a_log_is_graded_again_without_running_again(log: EvalLog) -> None:
    (result,) = [r for r in (log.results.scores if log.results else []) if r.name == "strict"]
    again = score(log, [strict(), official("mmmu")], action="overwrite", display="none")
    assert again.results is not None
    by_name = {s.name: s for s in again.results.scores}
    assert by_name["strict"].metrics["accuracy"].value == result.metrics["accuracy"].value
    assert {"accuracy", "stderr", "unparsed", "guessed"} <= set(by_name["official"].metrics)
    for sample in again.samples or []:
        assert sample.scores is not None
        graded: Score = sample.scores["strict"]
        assert graded.metadata is not None
        assert graded.metadata["failed_nodes"] == []


@pytest.mark.models
@pytest.mark.slow
def test_a_run_with_a_failed_sample_never_looks_complete(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from catts.agents.engines.transformers_engine import TransformersEngine

    asked_for, sample = [], TransformersEngine.sample

    async def failing(self: Any, question: Any, *args: Any) -> Any:
        asked_for.append(question.text)
        if len(set(asked_for)) == 2 and question.text == asked_for[-1]:
            raise EngineError("the GPU fell off")
        return await sample(self, question, *args)

    options: dict[str, Any] = {
        "data": None, "split": None, "limit": 2, "epochs": 1, "max_samples": 1, "quiet": True,
        "skip_malformed": False, "log_dir": tmp_path / "log", "settings": {"samples": 1},
    }  # fmt: skip
    monkeypatch.setattr(TransformersEngine, "sample", failing)
    broken = run_task("embedded", **options)
    assert (broken.completed, broken.total, broken.complete) == (1, 2, False)
    assert "the GPU fell off" in broken.errors[0]
    assert broken.plain()["complete"] is False
    monkeypatch.setattr(TransformersEngine, "sample", sample)
    mended = run_task("embedded", **options)
    assert (mended.completed, mended.total, mended.errors) == (2, 2, ())


def test_what_cannot_be_used_is_told_before_anything_is_asked(tmp_path: Path) -> None:
    options: dict[str, Any] = {
        "data": None, "split": None, "limit": 2, "epochs": 1, "max_samples": 1, "quiet": True,
        "skip_malformed": False, "log_dir": tmp_path / "log",
    }  # fmt: skip
    with pytest.raises(BenchmarkError, match="no task nonsense"):
        run_task("nonsense", **options, settings={})
    with pytest.raises(InputError, match="no model at 'nowhere'"):
        run_task("embedded", **options, settings={"base": "nowhere"})
    with pytest.raises(BenchmarkError, match="no split dev"):
        run_task("embedded", **options | {"split": "dev"}, settings={})
    assert not (tmp_path / "log").exists()


@pytest.mark.models
@pytest.mark.slow
def test_another_card_is_another_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    base = tmp_path / "base"
    shutil.copytree(embedded_folder("base"), base)
    options: dict[str, Any] = {
        "data": None, "split": None, "limit": 2, "epochs": 1, "max_samples": 2, "quiet": True,
        "skip_malformed": False, "log_dir": None, "settings": {"samples": 1, "base": str(base)},
    }  # fmt: skip
    first = run_task("embedded", **options)
    assert run_task("embedded", **options).log == first.log, "the same is not asked again"
    assert first.chosen_on == 0
    card = read_card(base)
    (item, _) = load_embedded("test", 2).items
    seen = ChosenOn(
        task="embedded", split="test", expert="e", questions=(question_digest(item), "0" * 12)
    )
    write_card(base, card.model_copy(update={"max_new_tokens": 1, "chosen_on": seen}))
    second = run_task("embedded", **options)
    assert second.chosen_on == 1
    assert second.log.parent != first.log.parent
    assert second.scores["strict"]["unparsed"] == 2
    with pytest.raises(InputError, match="holds a run of other models, settings or questions"):
        run_task("embedded", **options | {"log_dir": first.log.parent})
    with pytest.raises(InputError, match="holds a run of other"):
        run_task("embedded", **options | {"log_dir": second.log.parent, "limit": 3})
    with pytest.raises(InputError, match=r"cannot use .* as a folder of logs"):
        run_task("embedded", **options | {"log_dir": first.log})


@pytest.mark.models
@pytest.mark.slow
def test_every_epoch_is_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def unwell(*_: Any) -> Any:
        raise RoleError("critic", "no reply")

    monkeypatch.setattr(ChatExpert, "criticise", unwell)
    outcome = run_task(
        "embedded", data=None, split=None, limit=3, epochs=2, max_samples=6, quiet=True,
        skip_malformed=False, log_dir=tmp_path / "log",
        settings={"samples": 2, "routing": "parallel"},
    )  # fmt: skip
    assert (outcome.completed, outcome.total) == (6, 6)
    assert outcome.scores["strict"]["failed_nodes"] == 6


def test_the_command_prints_json_alone(tmp_path: Path) -> None:
    result = CliRunner().invoke(
        app,
        ["eval", "embedded", "--limit", "2", "--base", "nowhere", "--json", "--log-dir",
         str(tmp_path / "log")],
    )  # fmt: skip
    assert result.exit_code != 0
    assert result.stdout == ""


def test_inspect_finds_the_tasks_by_name() -> None:
    (point,) = [p for p in entry_points(group="inspect_ai") if p.name == "catts"]
    assert point.load() is _registry
    assert {"embedded", "mathvista", "mathvision", "mmstar", "mmmu"} <= set(_registry.__all__)


@pytest.mark.models
@pytest.mark.slow
def test_accuracy_has_an_interval_over_questions(log: EvalLog) -> None:
    numbers = outcome_of("embedded", log).scores["strict"]
    questions: dict[str, list[float]] = {}
    for sample in log.samples or []:
        graded = (sample.scores or {})["strict"]
        questions.setdefault(str(sample.id), []).append(float(graded.value == "C"))
    found = cluster_bootstrap(list(questions.values()))
    assert (numbers["accuracy"], numbers["low"], numbers["high"]) == tuple(found)


@pytest.mark.models
@pytest.mark.slow
def test_what_the_experts_roles_cost_is_summed(log: EvalLog) -> None:
    calls: Counter[str] = Counter()
    read: Counter[str] = Counter()
    for sample in log.samples or []:
        for run in sample.store["trace"]["usage"]["nodes"]:
            if run["node"] in ROLES:
                calls[run["node"]] += run["usage"]["calls"]
                read[run["node"]] += run["usage"]["prompt_tokens"]
    told = outcome_of("embedded", log).cost
    assert {role: cost["calls"] for role, cost in told.items()} == dict(calls)
    assert {role: cost["prompt_tokens"] for role, cost in told.items()} == dict(read)
    assert sum(read.values()) > 0


@pytest.mark.models
@pytest.mark.slow
def test_a_run_goes_on_with_another_budget(tmp_path: Path) -> None:
    def run(**settings: Any) -> Outcome:
        return run_task(
            "embedded", data=None, split=None, limit=2, epochs=1, max_samples=2,
            skip_malformed=False, log_dir=tmp_path, quiet=True,
            settings={"samples": 2, "routing": "parallel", **settings},
        )  # fmt: skip

    first = run(expert_limits="calls=0")
    assert (first.completed, first.unpaid) == (2, 2)
    assert "expert_limits" not in first.log.read_bytes().decode("latin-1")
    again = run(expert_limits="calls=9", expert_cache=tmp_path.parent / "replies.sqlite")
    assert (again.completed, again.unpaid, again.log) == (2, 2, first.log)
    text = Console(width=300, record=True, file=io.StringIO())
    text.print(as_table(again))
    assert "2 samples went without a role whose budget was spent" in text.export_text()


def test_an_unknown_setting_is_told_before_a_sample_starts() -> None:
    with pytest.raises(InputError, match="sample"):
        tasks.embedded(first=2, sample=1)


def test_words_of_models_are_no_markup() -> None:
    cost = {"voter": Usage(calls=1200, dollars=1.5, unpriced=3, prompt_tokens=9).model_dump()}
    outcome = Outcome("t", Path("a[/b].eval"), 1, 2, 0, {}, ("said [/INST] and [red]",), 3, cost)
    console = Console(width=200, record=True, file=io.StringIO())
    console.print(as_table(outcome))
    text = " ".join(console.export_text().split())
    for part in ("a[/b].eval", "said [/INST] and [red]", "INCOMPLETE", "nothing was graded",
                 "chosen on 3 of these questions", "voter: 1,200 calls, 9 tokens read, 0 written, "
                 "$1.50, 3 calls at a price that is not known"):  # fmt: skip
        assert part in text
