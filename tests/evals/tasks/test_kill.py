"""A run killed with SIGKILL wherever it is, and resumed: nothing lost, nothing done twice."""

import os
import random
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest
from inspect_ai.log import EvalSample, list_eval_logs, read_eval_log

LIMIT, EPOCHS = 10, 2
COMMAND = [
    sys.executable, "-m", "catts.cli", "eval", "embedded", "--limit", str(LIMIT), "--epochs",
    str(EPOCHS), "--samples", "1", "--routing", "parallel", "--max-samples", "2", "--json",
]  # fmt: skip


def written(folder: Path) -> dict[tuple[str, int], EvalSample]:
    """The samples that the folder's logs hold, but for those that a kill cut off."""
    found: dict[tuple[str, int], EvalSample] = {}
    for log in reversed(list_eval_logs(str(folder)) if folder.is_dir() else []):
        samples = read_eval_log(log).samples or []
        held = {(str(sample.id), sample.epoch): sample for sample in samples}
        assert len(held) == len(samples), "a sample stands twice in the log"
        found |= {key: sample for key, sample in held.items() if sample.error is None}
    return found


def killed_run(folder: Path, rng: random.Random) -> None:
    """Start or go on, and kill once up to four more samples are written."""
    enough = min(len(written(folder)) + rng.randint(0, 4), LIMIT * EPOCHS - 1)
    run = subprocess.Popen(
        [*COMMAND, "--log-dir", str(folder)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    started = time.monotonic()
    while run.poll() is None and time.monotonic() - started < 200:
        with suppress(FileNotFoundError):  # a log that the run takes away as it is listed here
            if len(written(folder)) >= max(enough, 1):
                break
        time.sleep(0.05)
    time.sleep(rng.random())
    os.kill(run.pid, signal.SIGKILL)
    run.wait()


@pytest.mark.slow
@pytest.mark.models
@pytest.mark.timeout(1800)
def test_a_killed_run_goes_on_where_it_was(tmp_path: Path, request: pytest.FixtureRequest) -> None:
    kills = int(request.config.getoption("kills"))
    rng = random.Random(kills)
    kept: dict[Path, dict[tuple[str, int], str | None]] = {}
    for kill in range(kills):
        folder = tmp_path / str(kill // 3)  # a run is killed up to three times
        killed_run(folder, rng)
        known = kept.setdefault(folder, {})
        for key, sample in written(folder).items():
            assert known.setdefault(key, sample.uuid) == sample.uuid, f"{key} was asked again"
    for folder, known in kept.items():
        ended = subprocess.run([*COMMAND, "--log-dir", str(folder)], capture_output=True)
        assert ended.returncode == 0, ended.stderr.decode()[-2000:]
        after = written(folder)
        assert len(after) == LIMIT * EPOCHS
        assert all(sample.error is None and sample.scores for sample in after.values())
        for key, uuid in known.items():
            assert after[key].uuid == uuid, f"{key} was written and asked again"
        seeds = {
            (sample.epoch, sample.store["trace"]["policy"]["seed"]) for sample in after.values()
        }
        assert seeds == {(1, 0), (2, 1)}
