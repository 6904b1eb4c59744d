"""Where studies are made: what goes into a result, what is told before, and what a kill costs."""

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from asked import MAP, Told, item, laboratory, said
from scripted_models import ScriptedExpert

from catts.agents.card import ChosenOn, ModelCard
from catts.agents.protocol import Sample
from catts.errors import BenchmarkError, ImageError, RoleError, StoreError
from catts.evals.benchmarks.digest import data_digest, question_digest
from catts.evals.benchmarks.item import Item
from catts.evals.benchmarks.loading import Loaded, Skipped
from catts.evals.studies import lab as lab_module
from catts.evals.studies.lab import Lab, open_lab
from catts.evals.studies.make import make_ablation, make_scaling, make_weights
from catts.evals.studies.result import Cell, Estimate, Line, StudyResult
from catts.evals.studies.setting import Setting
from catts.graph.context import Context

NAMES = "abcdef"
ANSWERS: dict[str, list[Sample]] = {
    n: [said("3", 2.0), said("4", 3.0), said("3", 1.0)] for n in NAMES
}


def build(folder: Path, names: str = NAMES, **options: object) -> Lab:
    told = Told(ANSWERS, reanswer="3", contrast="3")
    items = [item(n) for n in names]
    return laboratory(items, told, ScriptedExpert(), folder, samples=3, **options)


class TestDigest:
    def test_it_is_the_same_for_ever(self) -> None:
        """A digest that stands in a result of today has to be found again tomorrow."""
        assert data_digest([item("a"), item("b", "4", choices=("x", "y"))]) == (
            "42112ab18c47f9f04ebcfb3ba0f9ecb89530667056e47032b47d7fa56a040410"
        )

    @pytest.mark.parametrize(
        "other",
        [item("b"), item("a", "4"), item("a", None), item("a", choices=("x", "y")),
         item("a", size=(25, 16))],
    )  # fmt: skip
    def test_what_is_asked_and_what_is_right_count(self, other: Item) -> None:
        assert data_digest([item("a")]) != data_digest([other])

    def test_order_and_number_count_and_the_file_does_not(self) -> None:
        a, b = item("a"), item("b")
        assert len({data_digest(items) for items in ([a], [a, b], [b, a], [])}) == 4
        assert data_digest([replace(a, origin="elsewhere, row 7")]) == data_digest([a])


class TestOpening:
    async def test_a_question_without_a_label_is_told_before_a_model_is_loaded(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        items = (item("a"), item("b", None))
        monkeypatch.setattr(lab_module, "load_benchmark", lambda *a, **o: Loaded(items))
        with pytest.raises(BenchmarkError, match="b has no label"):
            async with open_lab(Setting(base="./nowhere", store=tmp_path / "s")):
                pass
        assert not (tmp_path / "s").exists()

    async def test_a_broken_picture_is_told_before_a_model_is_loaded(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        broken = Item("a", "a?", (), (b"none",), "3", "free-form", origin="f.json, row 1")
        monkeypatch.setattr(lab_module, "load_benchmark", lambda *a, **o: Loaded((broken,)))
        with pytest.raises(ImageError, match=r"f.json, row 1"):
            async with open_lab(Setting(base="./nowhere", store=tmp_path / "s")):
                pass

    async def test_a_store_that_cannot_be_one(self, tmp_path: Path) -> None:
        with pytest.raises(StoreError, match="choose another file"):
            async with open_lab(Setting(limit=2, store=tmp_path)):
                pass


class TestWithModels:
    async def test_the_setting_s_own_models_are_not_loaded_again(self, tmp_path: Path) -> None:
        lab = build(tmp_path)
        async with lab.with_models(None, "embedded") as context:
            assert context is lab.asking.context

    async def test_another_expert_beside_the_same_base_and_the_store(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        lab = build(tmp_path, "ab", expert_url="http://localhost:1/v1")
        engine, other = lab.context.engine, ScriptedExpert(critique="look again")
        given: list[object] = []

        class Opened:
            def __init__(self, base: object, expert: object, **options: object) -> None:
                given.extend(
                    (base, expert, options["expert_url"], options["routing"], options["samples"])
                )

            async def __aenter__(self) -> Context:
                return Context.of(engine, other, routing="paper", samples=3)

            async def __aexit__(self, *_: object) -> None:
                await other.aclose()

        monkeypatch.setattr(lab_module, "open_context", Opened)
        await lab.run("own")
        async with lab.with_models(None, "base") as context:
            await lab.run("other", context)
        assert given == [engine, "base", None, "paper", 3], "the base itself, not the stored one"
        assert isinstance(engine, Told)
        assert engine.asked["a", "sample"] == 1, "the samples were there already"
        assert engine.asked["a", "reanswer"] == 2, "under another critique"
        assert (other.calls.count("critic"), other.closed) == (2, 1)

    async def test_an_ablation_has_a_group_for_each_base_and_expert(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        lab = build(tmp_path, "ab", calibrated_bases=("runs/cdrl/model",))
        given: list[tuple[object, object]] = []

        class Opened:
            def __init__(self, base: object, expert: object, **_: object) -> None:
                given.append((base, expert))

            async def __aenter__(self) -> Context:
                return Context.of(Told(ANSWERS), ScriptedExpert(), routing="paper", samples=3)

            async def __aexit__(self, *_: object) -> None:
                pass

        monkeypatch.setattr(lab_module, "open_context", Opened)
        made = await make_ablation(lab)
        assert given == [
            (lab.context.engine, "base"),
            ("runs/cdrl/model", "embedded"),
            ("runs/cdrl/model", "base"),
        ]
        # two bases of one name stay two groups
        assert list(dict.fromkeys(line.group for line in made.lines)) == [
            "scripted, expert scripted-expert",
            "scripted, expert itself",
            "calibrated: scripted, expert scripted-expert",
            "calibrated: scripted, expert itself",
        ]
        assert made.made.setting.calibrated_bases == ("runs/cdrl/model",)


class TestResult:
    async def test_how_it_came_about(self, tmp_path: Path) -> None:
        lab = build(tmp_path, seed=7)
        made = lab.result("ablation", "title", ("accuracy",), [], ["a note"]).made
        assert (made.study, made.questions, made.setting.seed) == ("ablation", 6, 7)
        assert made.data == data_digest(lab.items)
        assert made.base_fingerprint == lab.context.engine.fingerprint
        assert made.policy.routing == "paper"

    async def test_rows_that_were_left_out_are_counted(self, tmp_path: Path) -> None:
        lab = build(tmp_path, "ab")
        skipped = tuple(Skipped("f", row, "answer", "is none") for row in (3, 5))
        told = replace(lab, loaded=replace(lab.loaded, skipped=skipped))
        assert told.result("x", "t", (), [], ["note"]).notes == (
            "note", "2 malformed rows were left out.",
        )  # fmt: skip

    async def test_roles_that_failed_are_told(self, tmp_path: Path) -> None:
        fail = {"voter": RoleError("voter", "no reply"), "critic": RoleError("critic", "none")}
        lab = laboratory(
            [item("a"), item("b")], Told(ANSWERS), ScriptedExpert(fail=fail), tmp_path, samples=3
        )
        made = lab.result("x", "t", (), [], ["note"])
        assert made.notes == ("note",)
        await lab.run("paper")
        (_, told) = lab.result("x", "t", (), [], ["note"]).notes
        assert told.startswith("NOT COMPLETE: nodes failed (critic 2, voter 2)")

    async def test_replies_of_no_use_are_told_apart_from_no_reply(self, tmp_path: Path) -> None:
        malformed = RoleError("voter", "malformed reply, twice: no numbers", cause="ReplyError")
        fail = {"voter": malformed, "critic": RoleError("critic", "none", cause="Refused")}
        lab = laboratory(
            [item("a"), item("b")], Told(ANSWERS), ScriptedExpert(fail=fail), tmp_path, samples=3
        )
        await lab.run("paper")
        (told,) = lab.result("x", "t", (), [], []).notes
        assert told.startswith("Replies that were malformed twice, or refusals: critic 2, voter 2.")

    async def test_a_result_tells_whether_it_is_complete_and_of_which_day(
        self, tmp_path: Path
    ) -> None:
        lab = build(tmp_path, "ab")
        made = lab.result("x", "t", (), [], [])
        assert made.complete
        assert made.made.date == datetime.now(UTC).date()
        lab.failed["critic"] += 1
        assert not lab.result("x", "t", (), [], []).complete
        left = replace(build(tmp_path, "ab"), left_out={"c": "c: too long"})
        assert not left.result("x", "t", (), [], []).complete

    async def test_what_a_card_was_chosen_on_is_told_of_every_base(self, tmp_path: Path) -> None:
        lab = build(tmp_path, "ab")
        lab.others["runs/cdrl"] = card(lab.items[:1], "scripted-expert")
        (seen,) = lab.result("x", "t", (), [], []).notes
        assert seen.startswith("The card of runs/cdrl was chosen on 1 of these 2 questions (t/s)")
        assert lab.seen() == 1
        lab.others["runs/cdrl"] = card([item("c")], "another")
        (beside,) = lab.result("x", "t", (), [], []).notes
        assert "were chosen beside the expert another, not beside scripted-expert" in beside
        assert lab.seen() == 0

    async def test_no_key_of_an_address_comes_into_a_result(self, tmp_path: Path) -> None:
        lab = build(tmp_path, "ab", expert_url="http://me:secret@host:8000/v1?key=secret")
        made = lab.result("x", "t", (), [], []).made
        assert made.setting.expert_url == "http://host:8000"

    async def test_a_changed_policy_is_the_runs_alone(self, tmp_path: Path) -> None:
        lab = build(tmp_path, "ab")
        (first, _) = await lab.run("planned", routing="planned", tau1=1.0)
        assert (first.trace.policy.routing, first.trace.policy.tau1) == ("planned", 1.0)
        assert lab.context.policy.routing == "paper"


def card(items: Sequence[Item], expert: str) -> ModelCard:
    seen = tuple(map(question_digest, items))
    return ModelCard(chosen_on=ChosenOn(task="t", split="s", expert=expert, questions=seen))


async def test_scaling_draws_once_for_all_sizes(tmp_path: Path) -> None:
    lab = build(tmp_path, "ab", sizes=(1, 3))
    made = await make_scaling(lab)
    told = lab.context.engine
    assert isinstance(told, Told)
    assert [told.asked[n, "sample"] for n in "ab"] == [1, 1]
    assert {p.n for p in told.params} == {3}
    assert [line.label for line in made.lines] == ["n = 1", "n = 3", "slope per doubling"]
    assert {name: [x for x, _ in points] for name, points in made.curves.items()} == {
        name: [1.0, 3.0] for name in ("majority", "confidence-weighted", "CA-TTS")
    }
    assert made.log_x


async def test_a_question_that_cannot_be_answered_ends_no_scaling(tmp_path: Path) -> None:
    lab = build(tmp_path, "ab", sizes=(1, 3))
    told = lab.context.engine
    assert isinstance(told, Told)
    told.cannot = "b"
    made = await make_scaling(lab)
    assert len(made.lines) == 3
    assert not made.complete
    assert "NOT COMPLETE: nodes failed (sampler 2)" in made.notes[-1]


async def test_weights_take_the_card_s_weight_and_the_other(tmp_path: Path) -> None:
    made = await make_weights(build(tmp_path, "ab", policy={"confidence_map": MAP}))
    groups = Counter(line.group for line in made.lines)
    assert groups == {"raw": 125, "mapped": 125, "mapped against raw": 2}
    assert len(made.curves) == 6
    mapped = {"confidence_map": MAP, "vote_weight": "mapped"}
    other = await make_weights(build(tmp_path / "other", "ab", policy=mapped))
    assert [line.group for line in other.lines][::125] == ["mapped", "raw", "mapped against raw"]
    without = await make_weights(build(tmp_path / "without", "ab"))
    assert {line.group for line in without.lines} == {"raw"}
    assert "no fitted mapping" in without.notes[-1]


KILLED = """
import asyncio, os, signal, sys
from pathlib import Path
sys.path[:0] = {path!r}
from test_lab import ANSWERS, NAMES
from asked import Told, item, laboratory
from scripted_models import ScriptedExpert

class Dying(Told):
    async def sample(self, question, images, params):
        if len(self.asked) >= {calls}:
            os.kill(os.getpid(), signal.SIGKILL)
        done = await super().sample(question, images, params)
        print(question.text[0], flush=True)
        return done

engine = Dying(ANSWERS, reanswer="3", contrast="3")
items = [item(n) for n in NAMES]
lab = laboratory(items, engine, ScriptedExpert(), Path({folder!r}), samples=3, concurrency=1)
asyncio.run(lab.run("killed"))
"""


async def test_a_killed_study_goes_on_and_asks_nothing_twice(tmp_path: Path) -> None:
    here = Path(__file__).parent
    path = [str(here), str(here.parent), str(here.parents[1] / "graph")]
    code = KILLED.format(path=path, calls=9, folder=str(tmp_path / "killed"))
    killed = await asyncio.to_thread(
        subprocess.run, [sys.executable, "-c", code], capture_output=True, text=True
    )
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    done = killed.stdout.split()
    assert done == ["a", "b", "c"], "three calls each"

    lab = build(tmp_path / "killed")
    votes = await lab.run("resumed")
    told = lab.context.engine
    assert isinstance(told, Told)
    asked = [name for name, method in told.asked.elements() if method == "sample"]
    assert sorted([*done, *asked]) == list(NAMES), "each question once, before or after"
    whole = await build(tmp_path / "whole").run("never killed")
    assert [v.trace.votes for v in votes] == [v.trace.votes for v in whole]
    assert [v.trace.ballots for v in votes] == [v.trace.ballots for v in whole]


def test_a_result_is_read_back_as_it_was(tmp_path: Path) -> None:
    lab = build(tmp_path, "ab")
    cells: dict[str, Cell] = {"accuracy": Estimate(value=1, low=0, high=1), "none": None}
    lines = [Line(label="x", cells=cells | {"n": 3, "t": 0.5, "why": "so"})]
    made = lab.result("x", "t", ("accuracy",), lines, ["n"], axes=("a", "b"))
    assert StudyResult.model_validate_json(made.model_dump_json()) == made
    assert json.loads(made.model_dump_json())["made"]["setting"]["store"].endswith("said.sqlite")
    assert os.fspath(made.made.setting.store).startswith(str(tmp_path))
