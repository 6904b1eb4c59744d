"""This package's sampler beside transformers' `generate`, timed in one run.

Both draw n completions of equal length from one image and prompt and end with the same confidences.
The arms: `Prefix.read` + `decode` here, and `model.generate(num_return_sequences=n,
output_scores=True)` with c_t computed from the kept scores afterwards. Each arm is a process of its
own, so peak memory is its own; the arms take turns, so both meet the same machine. Image processing
is part of both.

The contrastive decoder is timed against one greedy decode of the same length, decode phase only.
"""

import argparse
import statistics
import tempfile
from collections.abc import Sequence
from multiprocessing.connection import Connection
from pathlib import Path

from catts.agents.benchmarks.arms import ARMS, Arm, Setting, open_arm
from catts.agents.engines.loading import find_device
from catts.agents.miniatures.random_model import MEDIUM, Size, random_qwen2_5_vl
from catts.arms import started
from catts.records import Record

VISUAL_TOKENS = (64, 256, 1024)
"""Square numbers; an image of s x s visual tokens is 28 s pixels wide."""


class BenchmarkRow(Record):
    """One image size. Seconds are medians over the repeats; ratios come with their extremes."""

    visual_tokens: int
    new_tokens: int
    n: int
    repeats: int
    threads: int
    device: str
    parameters: int
    sampler_seconds: float
    generate_seconds: float
    speedup: float
    """Median over repeats of generate's seconds over the sampler's."""
    speedup_range: tuple[float, float]
    sampler_peak_bytes: int
    """Highest memory during the call above what was in use before it."""
    generate_peak_bytes: int
    confidence_bytes: int
    """Held for c_t and log p of all tokens."""
    scores_bytes: int
    """Held by generate for the scores that it is asked to keep."""
    greedy_seconds: float
    contrast_seconds: float
    contrast_ratio: float
    """Median over repeats of the contrastive decode's seconds over the greedy decode's."""
    contrast_range: tuple[float, float]


def run_sampler_benchmark(
    visual_tokens: Sequence[int] = VISUAL_TOKENS,
    *,
    n: int = 8,
    new_tokens: int = 32,
    repeats: int = 5,
    device: str = "cpu",
    size: Size = MEDIUM,
) -> list[BenchmarkRow]:
    """Time both arms on a random-weight Qwen2.5-VL.

    Args:
        visual_tokens: image sizes, square numbers.
        n: completions per call.
        new_tokens: length of each completion; ending earlier is suppressed in both arms.
        repeats: measured calls of each arm, after one that is not.
        device: a torch device.
        size: the model's size; the aims are stated for some 50 M parameters.

    Raises:
        ModelSpecError: there is no such device.
    """
    find_device(device)  # each arm's process would end with an error of its own
    side = 28 * round(max(visual_tokens) ** 0.5)
    with tempfile.TemporaryDirectory(prefix="catts-bench-") as folder:
        for part in random_qwen2_5_vl(size, max_pixels=side * side):
            part.save_pretrained(folder)
        return [
            _row(Setting(Path(folder), tokens, n, new_tokens, device), repeats)
            for tokens in visual_tokens
        ]


def format_rows(rows: Sequence[BenchmarkRow]) -> str:
    """The rows as a Markdown table."""
    head = (
        "visual tokens",
        "sampler",
        "generate",
        "speed-up",
        "peak memory",
        "generate's",
        "held for confidence",
        "contrast / greedy",
    )
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    for row in rows:
        cells = (
            f"{row.visual_tokens}",
            f"{row.sampler_seconds:.3f} s",
            f"{row.generate_seconds:.3f} s",
            f"{row.speedup:.2f}x ({row.speedup_range[0]:.2f} to {row.speedup_range[1]:.2f})",
            f"{row.sampler_peak_bytes / 2**20:.0f} MiB",
            f"{row.generate_peak_bytes / 2**20:.0f} MiB",
            f"{row.confidence_bytes / row.scores_bytes:.3%} of the scores",
            f"{row.contrast_ratio:.2f}x ({row.contrast_range[0]:.2f} to "
            f"{row.contrast_range[1]:.2f})",
        )
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _row(setting: Setting, repeats: int) -> BenchmarkRow:
    seconds: dict[Arm, list[float]] = {arm: [] for arm in ARMS}
    with started(ARMS, _serve, setting) as pipes:
        facts = {arm: pipe.recv() for arm, pipe in pipes.items()}
        for repeat in range(repeats + 1):
            for arm, pipe in pipes.items():
                pipe.send(True)
                elapsed = pipe.recv()
                if repeat > 0:
                    seconds[arm].append(elapsed)
        for pipe in pipes.values():
            pipe.send(False)
    ratios = _ratios(seconds["generate"], seconds["sampler"])
    contrast = _ratios(seconds["contrast"], seconds["greedy"])
    return BenchmarkRow(
        visual_tokens=setting.visual_tokens,
        new_tokens=setting.new_tokens,
        n=setting.n,
        repeats=repeats,
        threads=facts["sampler"].threads,
        device=setting.device,
        parameters=facts["sampler"].parameters,
        sampler_seconds=statistics.median(seconds["sampler"]),
        generate_seconds=statistics.median(seconds["generate"]),
        speedup=statistics.median(ratios),
        speedup_range=(min(ratios), max(ratios)),
        sampler_peak_bytes=facts["sampler"].peak_bytes,
        generate_peak_bytes=facts["generate"].peak_bytes,
        confidence_bytes=facts["sampler"].held_bytes,
        scores_bytes=facts["generate"].held_bytes,
        greedy_seconds=statistics.median(seconds["greedy"]),
        contrast_seconds=statistics.median(seconds["contrast"]),
        contrast_ratio=statistics.median(contrast),
        contrast_range=(min(contrast), max(contrast)),
    )


def _ratios(slow: list[float], fast: list[float]) -> list[float]:
    return [a / b for a, b in zip(slow, fast, strict=True)]


def _serve(pipe: Connection, arm: Arm, setting: Setting) -> None:
    """One arm's process: its facts first, then the seconds of a call for each request."""
    facts, call = open_arm(arm, setting)
    pipe.send(facts)
    while pipe.recv():
        pipe.send(call())


def main(arguments: Sequence[str] | None = None) -> None:
    """`python -m catts.agents.benchmarks.sampler [--json]`."""
    parser = argparse.ArgumentParser(description=run_sampler_benchmark.__doc__)
    parser.add_argument("--json", action="store_true", help="one JSON object a line")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--device", default="cpu")
    options = parser.parse_args(arguments)
    rows = run_sampler_benchmark(repeats=options.repeats, device=options.device)
    if options.json:
        for row in rows:
            print(row.model_dump_json())
    else:
        print(format_rows(rows))


if __name__ == "__main__":
    main()
