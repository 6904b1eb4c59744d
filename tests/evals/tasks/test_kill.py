"""A run killed with SIGKILL wherever it is, and resumed: nothing lost, nothing done twice."""

import random
import time
from contextlib import suppress
from multiprocessing.process import BaseProcess
from pathlib import Path

import pytest
from forked import forked
from inspect_ai import score
from inspect_ai.log import EvalSample, list_eval_logs, read_eval_log
from inspect_ai.log._recorders.buffer.database import SampleBufferDatabase

from catts import cli
from catts.evals.tasks.logs import read_log
from catts.evals.tasks.scorers import strict

LIMIT, EPOCHS = 6, 2
COMMAND = [
    "eval", "embedded", "--limit", str(LIMIT), "--epochs", str(EPOCHS), "--samples", "1",
    "--routing", "parallel", "--max-samples", "2", "--json", "--log-dir",
]  # fmt: skip
BEAT_S = 0.2


def started(folder: Path) -> BaseProcess:
    """`catts eval` in a process of its own, to begin or to go on."""
    return forked(cli.main, [*COMMAND, str(folder)])


def ended(folder: Path) -> None:
    """`catts eval` to its end."""
    run = started(folder)
    run.join()
    assert run.exitcode == 0


def written(folder: Path) -> dict[tuple[str, int], EvalSample]:
    """The samples that the folder's logs hold, but for those that a kill cut off."""
    found: dict[tuple[str, int], EvalSample] = {}
    for log in reversed(list_eval_logs(str(folder)) if folder.is_dir() else []):
        try:
            samples = read_eval_log(log).samples or []
        except ValueError:  # one that is being written, or that a kill cut off
            continue
        held = {(str(sample.id), sample.epoch): sample for sample in samples}
        assert len(held) == len(samples), "a sample stands twice in the log"
        found |= {key: sample for key, sample in held.items() if sample.error is None}
    return found


def killed_run(folder: Path, rng: random.Random) -> None:
    """Start or go on, and kill once up to four more samples are written."""
    enough = min(len(written(folder)) + rng.randint(0, 4), LIMIT * EPOCHS - 1)
    run = started(folder)
    begun = time.monotonic()
    while run.is_alive() and time.monotonic() - begun < 200:
        with suppress(FileNotFoundError):  # a log that the run takes away as it is listed here
            if len(written(folder)) >= max(enough, 1):
                break
        time.sleep(BEAT_S)
    time.sleep(rng.random())
    run.kill()
    run.join()


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
        ended(folder)
        after = written(folder)
        assert len(after) == LIMIT * EPOCHS
        assert all(sample.error is None and sample.scores for sample in after.values())
        for key, uuid in known.items():
            assert after[key].uuid == uuid, f"{key} was written and asked again"
        seeds = {
            (sample.epoch, sample.store["trace"]["policy"]["seed"]) for sample in after.values()
        }
        assert seeds == {(1, 0), (2, 1)}


@pytest.mark.slow
@pytest.mark.models
@pytest.mark.timeout(600)
def test_what_only_the_buffer_held_comes_back_whole(tmp_path: Path) -> None:
    """The log is written every sixth sample here: a kill leaves some in Inspect's buffer alone."""
    rarely = (
        "from catts import cli; from catts.evals.tasks import running; running.BUFFERED = 2; "
        f"cli.main({[*COMMAND, str(tmp_path)]!r})"
    )
    run = forked(exec, rarely)
    begun = time.monotonic()
    while run.is_alive() and time.monotonic() - begun < 200:
        with suppress(FileNotFoundError):
            if len(buffered(tmp_path)) >= 3:
                break
        time.sleep(BEAT_S)
    run.kill()
    run.join()
    ended_before = set(buffered(tmp_path))
    assert len(ended_before - set(written(tmp_path))) >= 2
    again = forked(exec, rarely)
    again.join()
    assert again.exitcode == 0
    after = written(tmp_path)
    assert len(after) == LIMIT * EPOCHS
    for key, sample in after.items():
        assert sample.store["trace"]["answer_text"] == sample.output.completion, key
        assert sample.scores, key
    (log,) = list_eval_logs(str(tmp_path))
    assert len(read_log(Path(log.name.removeprefix("file://"))).runs) == LIMIT * EPOCHS
    score(read_eval_log(log), strict(), display="none")


def buffered(folder: Path) -> list[tuple[str, int]]:
    """Samples that ended, by Inspect's live view of a run, in its log's file or not."""
    logs = list_eval_logs(str(folder)) if folder.is_dir() else []
    if not logs:
        return []
    data = SampleBufferDatabase(logs[0].name, create=False).get_samples()
    if data is None or isinstance(data, str):
        return []
    return [(str(s.id), s.epoch) for s in data.samples if s.completed]


@pytest.mark.models
@pytest.mark.slow
def test_a_log_that_was_cut_off_is_put_aside(tmp_path: Path) -> None:
    ended(tmp_path)
    (log,) = tmp_path.glob("*.eval")
    torn = log.with_name(f"{log.stem}-recovered.eval")
    torn.write_bytes(log.read_bytes()[:5000])
    ended(tmp_path)
    assert list(tmp_path.glob("*.eval")) == [log]
    assert torn.with_suffix(".eval.torn").is_file()
