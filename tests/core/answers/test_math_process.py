"""What becomes of a worker that cannot serve, with a program in the worker's place."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from catts.answers import math_process
from catts.answers.math_process import MathProcess
from catts.errors import AnswerTimeoutError, CattsError


@pytest.fixture
def process() -> Iterator[MathProcess]:
    held = MathProcess()
    yield held
    held.close()


@pytest.fixture
def works_as(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    def put(program: str) -> None:
        path = tmp_path / "worker.py"
        path.write_text(program)
        monkeypatch.setattr(math_process, "_WORKER", path)

    return put


@pytest.mark.parametrize("program", ["", "print('not yet', flush=True); input()"])
def test_a_worker_that_does_not_start_is_told(
    process: MathProcess, works_as: Callable[[str], None], program: str
) -> None:
    works_as(program)
    with pytest.raises(CattsError, match=r"did not start; check that `.* -c 'import math_verify'`"):
        process.equal("x", "x")
    assert process._process is None


def test_a_worker_that_stopped_listening_is_replaced(
    process: MathProcess, works_as: Callable[[str], None]
) -> None:
    works_as("import os, time; os.close(0); print('ready', flush=True); time.sleep(60)")
    with pytest.raises(AnswerTimeoutError):
        process.equal("x", "x")
    works_as("print('ready', flush=True)\nwhile input(): print('equal', flush=True)")
    assert process.equal("x", "x")
    assert process.equal("x", "y"), "as this worker says of everything"


def test_what_a_worker_says_of_memory_and_time_is_an_error(
    process: MathProcess, works_as: Callable[[str], None]
) -> None:
    works_as(
        "print('ready', flush=True)\n"
        "for word in ('memory', 'timeout', 'different'): input(); print(word, flush=True)"
    )
    with pytest.raises(AnswerTimeoutError, match=r"^comparing two answers took more than 1 GiB of"):
        process.equal("x", "x")
    with pytest.raises(AnswerTimeoutError, match=r"^comparing two answers took more than 1 s$"):
        process.equal("x", "x")
    assert not process.equal("x", "x")
