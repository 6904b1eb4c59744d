"""What measurements leave behind: tables, a plot, JSON, and the checkpoints' model cards."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from catts.evals.shipped.presentation import plot_curve, quality_markdown
from catts.evals.shipped.quality import Quality
from catts.evals.shipped.rows import Row

_ABOUT = {
    "base": "The base model of the embedded world: it answers questions about boards of shapes, "
    "answers again under a critique, and can fill the expert's roles itself. It was trained on "
    "clean pictures; its lessons show clear ones only, so it stays confident when it cannot see.",
    "expert": "The expert of the embedded world: it plans, votes and criticises. It is larger than "
    "the base and was trained on all grades of difficulty and on noised pictures.",
}
_GROUPS = {
    "base": ("base", "votes", "confidence", "over-confidence"),
    "expert": ("expert", "voter", "critic", "CA-TTS"),
}


def write_report(
    quality: Quality, folders: Mapping[str, Path], out: Path, *, n: int, seed: int
) -> dict[str, Any]:
    """Write quality.json, quality.md, bars.md, noise.png, and base.md and expert.md, into `out`.

    Args:
        quality: what was measured.
        folders: the checkpoints by `base` and `expert`; without a recipe there is no card.
        out: an existing folder.
        n: questions of the benchmark.
        seed: seed of the samples.

    Returns:
        What quality.json holds.
    """
    record = {
        "n": n,
        "seed": seed,
        "rows": [row._asdict() for row in quality.rows],
        "curve": [point._asdict() for point in quality.curve],
        "t_star": quality.t_star,
    }
    (out / "quality.json").write_text(f"{json.dumps(record, indent=1)}\n", "utf-8")
    (out / "quality.md").write_text(quality_markdown(quality.rows), "utf-8")
    judged = [row for row in quality.rows if row.met is not None]
    (out / "bars.md").write_text(quality_markdown(judged), "utf-8")
    plot_curve(quality.curve, quality.t_star, out / "noise.png")
    for which, folder in folders.items():
        if (folder / "recipe.json").is_file():
            card = model_readme(which, folder, quality.rows, n=n, seed=seed)
            (out / f"{which}.md").write_text(card, "utf-8")
    return record


def model_readme(which: str, folder: Path, rows: Sequence[Row], *, n: int, seed: int) -> str:
    """The model card of a checkpoint folder, with the rows of the quality table that concern it.

    Args:
        which: `base` or `expert`.
        folder: its checkpoint; `recipe.json` is read.
        rows: measured by `catts.evals.shipped.quality.Measurement`.
        n: questions of the benchmark that was measured.
        seed: seed of the samples.
    """
    recipe = json.loads((folder / "recipe.json").read_text("utf-8"))
    kept = [row for row in rows if row.group.startswith(_GROUPS[which])]
    told = "\n".join(f"| {key} | {_told(value)} |" for key, value in recipe.items())
    return f"""---
license: apache-2.0
library_name: transformers
pipeline_tag: image-text-to-text
---

# embedded-{which}

{_ABOUT[which]}

A real `Qwen2_5_VLForConditionalGeneration` in half precision with the real processor class. It
knows 112 x 112 pictures of its world and nothing else; the prompt set is `prompts/embedded/`.

## Recipe

    catts embedded train {which} --seed {recipe["seed"]} --threads 1

| | |
|---|---|
{told}

## Numbers

    catts embedded measure -n {n} --seed {seed}

On the test stream, 95 % bootstrap intervals clustered by question, samples at temperature 1 and
top_p 1. What `catts.json` recommends was chosen on the validation stream by `catts embedded fit`.

{quality_markdown(kept)}"""


def write_pointing(rows: Sequence[Row], folder: Path, out: Path, *, n: int) -> dict[str, Any]:
    """Write saliency.json and saliency.md into `out`, and clip.md, the CLIP's model card.

    Args:
        rows: measured by `catts.evals.shipped.pointing.measure_pointing`.
        folder: the CLIP's; without a recipe there is no card.
        out: made where it is missing.
        n: questions of the test stream that were measured.

    Returns:
        What saliency.json holds.
    """
    out.mkdir(parents=True, exist_ok=True)
    record = {"n": n, "rows": [row._asdict() for row in rows]}
    (out / "saliency.json").write_text(f"{json.dumps(record, indent=1)}\n", "utf-8")
    (out / "saliency.md").write_text(quality_markdown(rows), "utf-8")
    if (folder / "recipe.json").is_file():
        (out / "clip.md").write_text(_clip_readme(folder, rows, n), "utf-8")
    return record


def _clip_readme(folder: Path, rows: Sequence[Row], n: int) -> str:
    recipe = json.loads((folder / "recipe.json").read_text("utf-8"))
    told = "\n".join(f"| {key} | {_told(value)} |" for key, value in recipe.items())
    return f"""---
license: apache-2.0
library_name: open_clip
pipeline_tag: zero-shot-image-classification
---

# embedded-clip

The CLIP of the embedded world: a question goes in beside a picture, and where it looks comes out
(`catts.perception.saliency`). A real `open_clip` model in half precision with its own configuration
(`open_clip_config.json`) and tokenizer. It knows 112 x 112 pictures of its world, and the words of
the questions asked about them, and nothing else.

## Recipe

    catts embedded train clip --seed {recipe["seed"]} --threads 1

Boards of the training stream, each with a twin in which one thing differs; two texts for each,
its question (some with an answer behind it) and a caption; for every pair of the batch, whether
the text is true of the picture and which patches show what it speaks of. So its patches are aligned
with texts, and saliency asks each of them.

| | |
|---|---|
{told}

## Numbers

    catts embedded saliency -n {n}

On the test stream, 95 % bootstrap intervals by question.

{quality_markdown(rows)}"""


def _told(value: object) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{k} {v}" for k, v in value.items())
    return str(value)
