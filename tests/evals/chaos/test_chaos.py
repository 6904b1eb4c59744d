"""A small storm on the shipped base, and that what it finds is told."""

import json
import subprocess
import sys

import pytest
from typer.testing import CliRunner

from catts.cli import app
from catts.evals.chaos.report import FAULTS, ChaosReport, as_table

pytestmark = [pytest.mark.models, pytest.mark.slow]
QUESTIONS = 36


STORM = f"""
from catts.evals.chaos.script import Script
from catts.evals.chaos.storm import run_chaos

script = Script(3, failing=0.5, base_failing=0.1, cancelled=0.2, hurried=0.2, longest_s=5)
print(run_chaos({QUESTIONS}, at_once={QUESTIONS}, seed=3, script=script).model_dump_json())
"""


@pytest.fixture(scope="module")
def report() -> ChaosReport:
    """Of a process of its own, whose threads and files are the storm's alone."""
    ran = subprocess.run([sys.executable, "-c", STORM], capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr[-3000:]
    return ChaosReport.model_validate_json(ran.stdout.splitlines()[-1])


def test_nothing_happens_that_must_not(report: ChaosReport) -> None:
    assert report.faults == dict.fromkeys(FAULTS, 0), report.found
    assert report.holds


def test_enough_went_wrong_for_that_to_mean_something(report: ChaosReport) -> None:
    assert report.answered + sum(report.without_answer.values()) == QUESTIONS
    assert report.cancelled >= 2
    assert report.resumed == report.cancelled
    assert len(report.played) >= 8, report.played
    assert report.scripted >= 10
    assert len(report.failed) >= 4, report.failed
    assert report.played_by_base


def small(**faults: int) -> ChaosReport:
    return ChaosReport(
        questions=4,
        at_once=2,
        seed=0,
        base="embedded",
        samples=3,
        seconds=1,
        answered=4,
        without_answer={},
        cancelled=0,
        resumed=0,
        played={},
        played_by_base={},
        requests=8,
        failed={"voter": 2},
        out_of_time=0,
        scripted=2,
        peak_mb=100,
        growth_mb=None,
        faults=dict.fromkeys(FAULTS, 0) | faults,
        found=tuple(f"{FAULTS[name]}: x" for name in faults),
    )


@pytest.mark.parametrize("faults", [{}, {"garbage": 1}, {"keys": 2}])
def test_the_command_ends_with_1_if_anything_happened(monkeypatch, faults) -> None:
    asked = {}

    def told(questions: int, **options: object) -> ChaosReport:
        asked.update(options, questions=questions)
        return small(**faults)

    monkeypatch.setattr("catts.evals.chaos.storm.run_chaos", told)
    for flags in ([], ["--json"]):
        done = CliRunner().invoke(app, ["chaos", "--questions", "4", "--seed", "7", *flags])
        assert done.exit_code == bool(faults)
    assert (asked["questions"], asked["seed"], asked["at_once"]) == (4, 7, 32)
    printed = json.loads(done.stdout)
    assert printed["faults"] == small(**faults).faults
    assert small().missing_per_question == 0.5
    assert len(as_table(small()).rows) > len(FAULTS)
