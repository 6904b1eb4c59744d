from pathlib import Path

import pytest

from catts.agents.benchmark import format_rows, run_sampler_benchmark
from catts.agents.benchmark_arms import ARMS, Arm, Setting, open_arm
from catts.agents.random_model import TINY

VOCABULARY, N, TOKENS = 265, 2, 4


@pytest.mark.parametrize("arm", ARMS)
def test_every_arm_writes_all_tokens(arm: Arm, tiny_checkpoint: Path) -> None:
    facts, call = open_arm(arm, Setting(tiny_checkpoint, 16, N, TOKENS, "cpu"))
    held = {"sampler": N * TOKENS * 2 * 4, "generate": N * TOKENS * VOCABULARY * 4}
    assert facts.held_bytes == held.get(arm, 0)
    assert facts.peak_bytes >= 0
    assert call() > 0


@pytest.mark.slow
def test_side_by_side_in_one_run() -> None:
    (row,) = run_sampler_benchmark([16], n=N, new_tokens=TOKENS, repeats=2, size=TINY)
    assert (row.visual_tokens, row.n, row.new_tokens) == (16, N, TOKENS)
    assert row.confidence_bytes < 0.01 * row.scores_bytes
    assert row.speedup_range[0] <= row.speedup <= row.speedup_range[1]
    assert row.contrast_range[0] <= row.contrast_ratio <= row.contrast_range[1]
    assert f"| 16 | {row.sampler_seconds:.3f} s |" in format_rows([row])
