"""A training run's memory stays flat, and its products have few shapes."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from catts.embedded import train as train_module
from catts.embedded.batches import IGNORED, LENGTHS, collate, encode
from catts.embedded.processor import build_processor
from catts.embedded.train import PREDICTIONS, lesson_loss
from catts.prompts import load_prompts

pytestmark = pytest.mark.slow

PROMPTS = load_prompts("embedded")
STEPS = 32


def resident() -> float:
    """Resident memory of this process, MB."""
    status = Path("/proc/self/status").read_text("utf-8")
    found = re.search(r"VmRSS:\s+(\d+)", status)
    assert found is not None
    return int(found[1]) / 1024


def watch(out: str) -> None:
    """Train STEPS lessons in mixed tasks; print the memory after each."""
    from dataclasses import replace

    from catts.embedded.architecture import Size
    from catts.embedded.recipes import RECIPES

    recipe = replace(
        RECIPES["base"],
        size=Size(hidden=64, layers=2, heads=2, vision_hidden=64, vision_depth=1),
        vision_steps=0, look_steps=0, answer_steps=0, steps=STEPS, batch=8, vision_batch=4,
    )  # fmt: skip
    step = train_module._Run._step

    def stepped(run: object, loss: torch.Tensor) -> None:
        step(run, loss)
        print("step", resident())

    train_module._Run._step = stepped
    train_module.build_processor = lambda _: build_processor(PROMPTS, lessons=400)
    train_module.train(recipe, Path(out), threads=1)


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads Linux's /proc")
def test_memory_does_not_grow_with_the_batches(tmp_path):
    """Without the rounding of shapes this grows by some 8 MB a step, 130 MB in the second half."""
    code = f"import runpy; runpy.run_path({__file__!r})['watch']({str(tmp_path)!r})"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    told = [float(line.split()[1]) for line in ran.stdout.splitlines() if line.startswith("step")]
    assert len(told) == STEPS
    assert max(told[STEPS // 2 :]) - told[STEPS // 2 - 1] < 60, told


class Counting(torch.nn.Module):
    """Stands where a model does and notes how many places it is asked to predict."""

    def __init__(self) -> None:
        super().__init__()
        self.asked = 0

    def model(self, **inputs):
        shape = (*inputs["input_ids"].shape, 5)
        hidden = torch.arange(inputs["input_ids"].numel() * 5, dtype=torch.float32).view(shape)
        return type("Output", (), {"last_hidden_state": hidden.sin()})

    def lm_head(self, hidden):
        self.asked = len(hidden)
        return hidden.repeat(1, 200)


def test_what_fills_a_batch_up_weighs_nothing():
    tokenizer = build_processor(PROMPTS, lessons=400).tokenizer
    import random

    from catts.embedded.lessons import lesson
    from catts.embedded.world import example

    items = []
    for index in range(12):
        taught = lesson("voter", example("train", index), PROMPTS, random.Random(index))
        items.append(encode(tokenizer, taught.example.image, taught.prompt, taught.completion))
    batch = collate(items, 5)
    assert batch["input_ids"].shape[1] % LENGTHS == 0
    assert batch["attention_mask"].sum(1).tolist() == [
        len(item.prompt) + len(item.completion) for item in items
    ]
    model = Counting()
    loss = lesson_loss(model, batch)
    assert model.asked % PREDICTIONS == 0

    hidden = model.model(**batch).last_hidden_state[:, :-1]
    labels, weights = batch["labels"][:, 1:], batch["weights"][:, 1:]
    taught = labels != IGNORED
    plain = torch.nn.functional.cross_entropy(
        model.lm_head(hidden[taught]), labels[taught], reduction="none"
    )
    expected = (plain * weights[taught]).sum() / weights[taught].sum()
    torch.testing.assert_close(loss, expected)
