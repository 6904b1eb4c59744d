"""Questions per second of one engine, asked one at a time and many at once, timed in one run.

All arms answer the same questions with the same engine: concurrent `await engine.sample` calls, so
many at once, then the next. In every repeat the arms take turns, so all meet the same machine, and
each is compared with the first arm of its own repeat. Image processing is part of all.
"""

import asyncio
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from catts.agents.engines.loading import load_model
from catts.agents.engines.transformers_engine import TransformersEngine
from catts.agents.miniatures.random_model import MEDIUM, Size, random_qwen2_5_vl
from catts.agents.protocol import SamplingParams
from catts.question import Question
from catts.records import Record

AT_ONCE = (1, 4, 16)


class QuestionsRow(Record):
    """One arm: so many questions at once. Rates are medians over the repeats, with extremes."""

    at_once: int
    questions: int
    """Asked in each repeat."""
    n: int
    visual_tokens: int
    new_tokens: int
    repeats: int
    threads: int
    device: str
    parameters: int
    questions_per_second: float
    questions_per_second_range: tuple[float, float]
    speedup: float
    """Median over the repeats of this arm's rate over the first arm's in the same repeat."""
    speedup_range: tuple[float, float]


def run_questions_benchmark(
    at_once: Sequence[int] = AT_ONCE,
    *,
    n: int = 4,
    new_tokens: int = 16,
    visual_tokens: int = 64,
    repeats: int = 3,
    device: str = "cpu",
    size: Size = MEDIUM,
    advance: Callable[[int, int], None] = lambda done, total: None,
) -> list[QuestionsRow]:
    """Time one engine on a random-weight Qwen2.5-VL; as many questions as the largest arm asks.

    Args:
        at_once: how many questions each arm asks at once; the first is what others compare with.
        n: completions per question.
        new_tokens: length of each completion; ending earlier is suppressed.
        visual_tokens: size of the pictures, a square number.
        repeats: measured rounds of all arms, after one that is not.
        device: a torch device.
        size: the model's size.
        advance: told after each arm how many of how many are done.
    """
    side = 28 * round(visual_tokens**0.5)
    with tempfile.TemporaryDirectory(prefix="catts-bench-") as folder:
        for part in random_qwen2_5_vl(size, max_pixels=side * side):
            part.save_pretrained(folder)
        loaded = load_model(Path(folder), device=device)
    ends, suppressed = loaded.vocabulary.end_ids, loaded.vocabulary.suppressed
    endless = loaded.vocabulary._replace(suppressed=(*suppressed, *ends))
    engine = TransformersEngine(replace(loaded, vocabulary=endless))
    asked = [_question(index, side) for index in range(max(at_once))]
    params = SamplingParams(n=n, max_new_tokens=new_tokens)
    rates: dict[int, list[float]] = {count: [] for count in at_once}

    async def measure() -> None:
        for repeat in range(repeats + 1):
            for place, count in enumerate(at_once):
                seconds = await _seconds(engine, asked, count, params)
                if repeat > 0:
                    rates[count].append(len(asked) / seconds)
                advance(repeat * len(at_once) + place + 1, (repeats + 1) * len(at_once))
        await engine.aclose()

    asyncio.run(measure())
    rows = []
    for count, rate in rates.items():
        ratios = [ours / first for ours, first in zip(rate, rates[at_once[0]], strict=True)]
        rows.append(
            QuestionsRow(
                at_once=count,
                questions=len(asked),
                n=n,
                visual_tokens=visual_tokens,
                new_tokens=new_tokens,
                repeats=repeats,
                threads=torch.get_num_threads(),
                device=device,
                parameters=sum(weights.numel() for weights in loaded.model.parameters()),
                questions_per_second=statistics.median(rate),
                questions_per_second_range=(min(rate), max(rate)),
                speedup=statistics.median(ratios),
                speedup_range=(min(ratios), max(ratios)),
            )
        )
    return rows


def format_questions(rows: Sequence[QuestionsRow]) -> str:
    """The rows as a Markdown table."""
    lines = ["| questions at once | questions per second | speed-up |", "|---|---|---|"]
    for row in rows:
        slowest, fastest = row.questions_per_second_range
        low, high = row.speedup_range
        lines.append(
            f"| {row.at_once} | {row.questions_per_second:.2f} ({slowest:.2f} to {fastest:.2f}) "
            f"| {row.speedup:.2f}x ({low:.2f} to {high:.2f}) |"
        )
    return "\n".join(lines)


def _question(index: int, side: int) -> tuple[Question, list[Image.Image]]:
    pixels = np.random.default_rng(index).integers(0, 256, (side, side, 3), dtype=np.uint8)
    question = Question(text=f"What do you see in picture {index}?", images=(f"{index:064x}",))
    return question, [Image.fromarray(pixels)]


async def _seconds(
    engine: TransformersEngine,
    asked: Sequence[tuple[Question, list[Image.Image]]],
    at_once: int,
    params: SamplingParams,
) -> float:
    started = time.perf_counter()
    for start in range(0, len(asked), at_once):
        group = asked[start : start + at_once]
        await asyncio.gather(*(engine.sample(*each, params) for each in group))
    return time.perf_counter() - started
