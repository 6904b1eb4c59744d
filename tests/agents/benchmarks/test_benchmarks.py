from pathlib import Path

import pytest

from catts.agents.benchmarks.arms import ARMS, Arm, Setting, open_arm
from catts.agents.benchmarks.questions import format_questions, run_questions_benchmark
from catts.agents.benchmarks.sampler import format_rows, run_sampler_benchmark
from catts.agents.miniatures.random_model import TINY
from catts.errors import ModelSpecError

VOCABULARY, N, TOKENS = 265, 2, 4


@pytest.mark.parametrize("arm", ARMS)
def test_every_arm_writes_all_tokens(arm: Arm, tiny_checkpoint: Path) -> None:
    facts, call = open_arm(arm, Setting(tiny_checkpoint, 16, N, TOKENS, "cpu"))
    held = {"sampler": N * TOKENS * 2 * 4, "generate": N * TOKENS * VOCABULARY * 4}
    assert facts.held_bytes == held.get(arm, 0)
    assert facts.peak_bytes >= 0
    assert call() > 0


def test_a_bad_device_is_told_before_any_process_starts() -> None:
    with pytest.raises(ModelSpecError, match="'foo' is no device"):
        run_sampler_benchmark([16], size=TINY, device="foo")


@pytest.mark.slow
def test_side_by_side_in_one_run() -> None:
    (row,) = run_sampler_benchmark([16], n=N, new_tokens=TOKENS, repeats=2, size=TINY)
    assert (row.visual_tokens, row.n, row.new_tokens) == (16, N, TOKENS)
    assert row.confidence_bytes < 0.01 * row.scores_bytes
    assert row.speedup_range[0] <= row.speedup <= row.speedup_range[1]
    assert row.contrast_range[0] <= row.contrast_ratio <= row.contrast_range[1]
    assert f"| 16 | {row.sampler_seconds:.3f} s |" in format_rows([row])


def test_questions_are_asked_one_at_a_time_and_at_once() -> None:
    told: list[tuple[int, int]] = []
    one, three = run_questions_benchmark(
        [1, 3],
        n=N,
        new_tokens=TOKENS,
        visual_tokens=16,
        repeats=2,
        size=TINY,
        advance=lambda done, total: told.append((done, total)),
    )
    assert told == [(done, 6) for done in range(1, 7)]
    assert (one.at_once, three.at_once, one.questions) == (1, 3, 3)
    assert (one.speedup, one.speedup_range) == (1.0, (1.0, 1.0))
    assert three.speedup_range[0] <= three.speedup <= three.speedup_range[1]
    low, high = three.questions_per_second_range
    assert 0 < low <= three.questions_per_second <= high
    table = format_questions([one, three])
    assert f"| 3 | {three.questions_per_second:.2f} ({low:.2f} to {high:.2f}) | " in table
