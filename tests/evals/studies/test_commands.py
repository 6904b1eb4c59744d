"""`catts study ...`: what it refuses, before anything is loaded."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from asked import Told, item, laboratory, said
from scripted_models import ScriptedExpert

from catts import cli
from catts.errors import RoleError
from catts.evals import need
from catts.evals.studies import lab as lab_module
from catts.evals.studies.lab import Lab
from catts.evals.studies.setting import SIZES, Setting

Run = Callable[..., tuple[int | str | None, str, str]]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Run:
    monkeypatch.chdir(tmp_path)

    def call(*arguments: str) -> tuple[int | str | None, str, str]:
        with pytest.raises(SystemExit) as ended:
            cli.main(["study", *arguments])
        out, err = capsys.readouterr()
        return ended.value.code, out, err

    return call


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("scaling", "--sizes", "1,two"), "--sizes 1,two: give two or more whole numbers"),
        (("scaling", "--sizes", "8"), "--sizes 8: give two or more"),
        (("scaling", "--sizes", "0,1"), "--sizes 0,1: give two or more"),
        (("scaling", "--sizes", ""), "give two or more"),
        (("ablation", "--task", "imagenet"), "task"),
        (("ablation", "--data", "folder"), "embedded draws its questions: leave folder out"),
        (("ablation", "--split", "val"), "embedded has no split val"),
        (("peers", "--task", "mmstar", "--data", "./none"), "no file or folder at ./none"),
        (("cost", "--limit", "2", "--base", "./nowhere"), "./nowhere"),
        (("cost", "--limit", "2", "--store", "."), "cannot use . as a store"),
        (("cdrl", "--limit", "2", "--calibrated-base", "cdrl=./gone"), "no model at './gone'"),
    ],
)
def test_what_cannot_be_used_is_told_in_one_line(
    run: Run, arguments: tuple[str, ...], words: str
) -> None:
    code, out, err = run(*arguments)
    assert (code, out) == (2, "")
    assert len(err.strip().splitlines()) == 1, err
    assert words in err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("winning",), "winning"),
        (("ablation", "--limit", "1"), "--limit"),
        (("ablation", "--samples", "0"), "--samples"),
        (("ablation", "--max-samples", "0"), "--max-samples"),
        ((), "Missing argument"),
    ],
)
def test_what_the_command_line_refuses_itself(
    run: Run, arguments: tuple[str, ...], words: str
) -> None:
    code, out, err = run(*arguments)
    assert (code, out) == (2, "")
    assert words in err
    assert "Traceback" not in err


def test_a_folder_that_cannot_be_written_is_told_before_anything_is_asked(
    run: Run, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    code, _, err = run("cost", "--out", "file", "--base", "./nowhere")
    assert code == 2
    assert "choose another --out" in err


def test_libraries_that_are_missing_are_told(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(need, "find_spec", lambda name: None if name == "sklearn" else object())
    code, _, err = run("cost")
    assert code == 2
    assert "sklearn is missing: pip install 'catts[evals]'" in err


@pytest.mark.parametrize(("fail", "code"), [({}, 0), ({"critic": RoleError("critic", "no")}, 1)])
def test_a_study_that_is_not_complete_exits_with_1(
    run: Run,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    fail: dict[str, Exception],
    code: int,
) -> None:
    given: list[Setting] = []

    @asynccontextmanager
    async def opened(setting: Setting) -> AsyncIterator[Lab]:
        given.append(setting)
        told = Told({"a": [said("3"), said("4")]}, reanswer="3", contrast="3")
        yield laboratory([item("a")], told, ScriptedExpert(fail=fail), tmp_path, samples=2)

    monkeypatch.setattr(lab_module, "open_lab", opened)
    address = "http://localhost:8000/v1"
    ended, out, _ = run("weights", "--expert", "mine", "--expert-url", address)
    assert (ended or 0) == code
    assert ("NOT COMPLETE" in out) == bool(code)
    assert (given[0].expert, given[0].expert_url) == ("mine", address)
    assert (tmp_path / "runs" / "studies" / "weights.json").exists()


@pytest.mark.parametrize("sizes", [(), (4,), (0, 1), (1, 1), (4, 2)])
def test_sizes_rise(sizes: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="two or more rising whole numbers"):
        Setting(sizes=sizes)
    assert Setting().sizes == SIZES
