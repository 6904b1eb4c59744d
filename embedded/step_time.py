"""What bfloat16 products save: forward and backward of the same batches with and without them.

python -m catts.embedded.step_time
"""

import time
from statistics import median
from typing import NamedTuple

from catts.embedded.architecture import build_model
from catts.embedded.curriculum import Curriculum
from catts.embedded.fast_linear import use_bfloat16_products
from catts.embedded.machine import prepare
from catts.embedded.processor import build_processor
from catts.embedded.recipes import RECIPES, Recipe
from catts.embedded.train import PROMPT_SET, lesson_loss
from catts.prompts import load_prompts


class StepTime(NamedTuple):
    """Median seconds of a forward and backward pass, and the median of the paired ratios."""

    recipe: str
    float32: float
    bfloat16: float
    ratio: float
    """Of the time with bfloat16 products to the time without."""


def measure(recipe: Recipe, *, batches: int = 8, repeats: int = 3) -> StepTime:
    """Time both ways on the same batches in turn; the first pass over them is not counted."""
    prompts = load_prompts(PROMPT_SET)
    tokenizer = build_processor(prompts, lessons=600).tokenizer
    curriculum = Curriculum(recipe, tokenizer, prompts, seed=0)
    mixed = recipe.look_steps + recipe.answer_steps
    drawn = [curriculum.lessons(mixed + i) for i in range(batches)]
    plain, fast = (build_model(recipe.size, tokenizer, 0).train() for _ in range(2))
    use_bfloat16_products(fast)
    taken: list[list[float]] = [[], []]
    for _ in range(repeats + 1):
        for batch in drawn:
            for times, model in zip(taken, (plain, fast), strict=True):
                start = time.perf_counter()
                lesson_loss(model, batch).backward()  # type: ignore[no-untyped-call]
                times.append(time.perf_counter() - start)
    before, after = (times[batches:] for times in taken)
    ratios = [b / a for a, b in zip(before, after, strict=True)]
    return StepTime(recipe.name, median(before), median(after), median(ratios))


if __name__ == "__main__":
    prepare(1)
    for recipe in RECIPES.values():
        found = measure(recipe)
        print(f"{found.recipe}: float32 {found.float32:.3f} s, bfloat16 products "
              f"{found.bfloat16:.3f} s, ratio {found.ratio:.2f}")  # fmt: skip
