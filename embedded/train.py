"""Train an embedded model from nothing: first to see, then to answer and to fill the roles.

Stage one teaches the vision tower what stands in each cell of the board and which cell it is, by a
linear head that is thrown away; without it the language model rests on the text's prior and never
looks. Stage two teaches lessons (`catts.embedded.lessons`) with the usual next-token loss on the
completions: how an address leads to a cell, then answers, then all roles. Its optimizer is Muon for
the matrices and AdamW for the rest.

A killed run continues from its last checkpoint with the same batches.
"""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from rich.progress import Progress
from torch import nn

from catts.agents.card import ModelCard, write_card
from catts.embedded.architecture import build_model
from catts.embedded.batches import IGNORED
from catts.embedded.curriculum import CELL_CLASSES, Curriculum
from catts.embedded.drawing import GRID
from catts.embedded.fast_linear import use_bfloat16_products
from catts.embedded.machine import prepare
from catts.embedded.processor import build_processor
from catts.embedded.recipes import Recipe
from catts.embedded.training_steps import (
    append_log,
    descend,
    load_state,
    muon_and_adamw,
    progress_of_steps,
    save_state,
    schedule,
)
from catts.prompts import PromptSet, load_prompts

PROMPT_SET = "embedded"
CELLS = GRID * GRID
LONGEST_REPLY = 160
"""Tokens; the longest target of a lesson, a vote on many candidates, has about 140."""
PREDICTIONS = 256
"""The number of tokens predicted in a batch is filled up to a multiple of this, for the reason of
`batches.LENGTHS`."""


def train(
    recipe: Recipe,
    out: Path,
    *,
    seed: int = 0,
    device: str = "cpu",
    threads: int | None = None,
    checkpoint_every: int = 250,
) -> Path:
    """Train a model and write its checkpoint folder.

    Args:
        recipe: what to teach.
        out: folder of the run; `out/model` is the finished checkpoint, `out/state.pt` what a killed
            run resumes from, `out/log.jsonl` the losses.
        seed: decides weights and lessons.
        device: torch device.
        threads: CPU threads; None leaves torch's choice.
        checkpoint_every: steps between checkpoints; a killed run repeats at most so many.

    Returns:
        The finished checkpoint folder; of a run that was finished before, without training.

    Raises:
        InputError: `out` holds a run of another recipe, seed or prompt set.
    """
    prepare(threads)
    out.mkdir(parents=True, exist_ok=True)
    prompts = load_prompts(PROMPT_SET)
    processor = _processor(out, prompts)
    run = _Run(recipe, out, processor, prompts, seed, device, checkpoint_every)
    run.resume()
    if (out / "model").is_dir():
        return out / "model"
    with progress_of_steps() as progress:
        run.see(progress)
        run.learn(progress)
    return run.finish()


def lesson_loss(model: Any, batch: dict[str, torch.Tensor]) -> torch.Tensor:
    """Weighted mean next-token loss of a batch of `collate`, nats.

    Logits are only computed where there is something to predict.
    """
    inputs = {k: v for k, v in batch.items() if k not in ("labels", "weights")}
    hidden = model.model(**inputs).last_hidden_state[:, :-1].flatten(0, 1)
    labels, weights = (batch[k][:, 1:].flatten() for k in ("labels", "weights"))
    taught = (labels != IGNORED).nonzero().squeeze(1)
    # filled up with places that weigh nothing, so that the products have few shapes
    idle = (labels == IGNORED).nonzero().squeeze(1)
    rows = torch.cat([taught, idle[: -len(taught) % PREDICTIONS]])
    losses = nn.functional.cross_entropy(
        model.lm_head(hidden[rows]).float(), labels[rows], reduction="none", ignore_index=IGNORED
    )
    weight = weights[rows]
    return (losses * weight).sum() / weight.sum()


class _Run:
    def __init__(
        self,
        recipe: Recipe,
        out: Path,
        processor: Any,
        prompts: PromptSet,
        seed: int,
        device: str,
        checkpoint_every: int,
    ) -> None:
        self.recipe, self.out, self.processor, self.device = recipe, out, processor, device
        self.prompts, self.seed, self.checkpoint_every = prompts, seed, checkpoint_every
        self.curriculum = Curriculum(recipe, processor.tokenizer, prompts, seed)
        self.model = build_model(recipe.size, processor.tokenizer, seed).to(device)
        use_bfloat16_products(self.model)
        self.head = nn.Linear(recipe.size.hidden, CELL_CLASSES + CELLS).to(device)
        self.seen = 0
        self.learned = 0
        self.optimizers = self._vision_optimizers()

    def see(self, progress: Progress) -> None:
        """Stage one."""
        bar = progress.add_task("cells", total=self.recipe.vision_steps, state="")
        visual = self.model.model.visual
        cells = torch.arange(CELLS, device=self.device)
        grid = torch.tensor([[1, 2 * GRID, 2 * GRID]] * self.recipe.vision_batch)
        while self.seen < self.recipe.vision_steps:
            batch = self.curriculum.vision(self.seen)
            schedule(self.optimizers, self.seen, self.recipe.vision_steps, 1e-3, 20)
            out = visual(batch.pixels.to(self.device), grid_thw=grid.to(self.device))
            logits, places = self.head(out.pooler_output).split((CELL_CLASSES, CELLS), dim=-1)
            labels = batch.labels.to(self.device)
            loss = nn.functional.cross_entropy(logits, labels)
            loss = loss + nn.functional.cross_entropy(
                places, cells.expand(len(labels) // CELLS, -1).reshape(-1)
            )
            self._step(loss)
            self.seen += 1
            occupied = labels > 0
            right = (logits.argmax(-1) == labels)[occupied].float().mean().item()
            placed = (places.argmax(-1).view(-1, CELLS) == cells).float().mean().item()
            told = {"occupied_right": right, "placed": placed}
            self._report(progress, bar, self.seen, "cells", loss.item(), told)
        if self.learned == 0:
            self._match_scales()
            self.optimizers = self._lesson_optimizers()

    def learn(self, progress: Progress) -> None:
        """Stage two."""
        bar = progress.add_task("lessons", total=self.recipe.steps, state="")
        self.model.train()
        smooth = None
        while self.learned < self.recipe.steps:
            schedule(
                self.optimizers,
                self.learned,
                self.recipe.steps,
                self.recipe.learning_rate,
                self.recipe.warmup,
            )
            batch = {k: v.to(self.device) for k, v in self.curriculum.lessons(self.learned).items()}
            loss = lesson_loss(self.model, batch)
            self._step(loss)
            self.learned += 1
            smooth = loss.item() if smooth is None else 0.99 * smooth + 0.01 * loss.item()
            self._report(progress, bar, self.learned, "lessons", smooth, {})

    @torch.no_grad()
    def _match_scales(self) -> None:
        """Give visual tokens the norm of text tokens.

        Stage one leaves them a hundred times longer, and then nothing that the language model adds
        to them changes their direction.
        """
        batch = {k: v.to(self.device) for k, v in self.curriculum.lessons(0).items()}
        visual = self.model.model.visual
        seen = visual(batch["pixel_values"], grid_thw=batch["image_grid_thw"]).pooler_output
        words = self.model.get_input_embeddings().weight
        scale = words.norm(dim=-1).mean() / seen.norm(dim=-1).mean()
        last = [layer for layer in visual.merger.mlp if isinstance(layer, nn.Linear)][-1]
        last.weight.mul_(scale)
        last.bias.mul_(scale)

    def finish(self) -> Path:
        """Write the finished checkpoint in half precision, with processor, recipe and card."""
        folder = self.out / "model.part"
        self.model.half().save_pretrained(folder)
        self.processor.save_pretrained(folder)
        # transformers leaves the weights readable by their owner alone; a package is for everyone
        (folder / "model.safetensors").chmod(0o644)
        recipe = {**asdict(self.recipe), "seed": self.seed}
        (folder / "recipe.json").write_text(f"{json.dumps(recipe, indent=2)}\n", "utf-8")
        card = ModelCard(
            name=f"embedded-{self.recipe.name}",
            prompt_set=self.prompts.name,
            prompt_hash=self.prompts.hash,
            max_new_tokens=LONGEST_REPLY,
        )
        write_card(folder, card)
        return folder.rename(self.out / "model")

    def resume(self) -> None:
        """Continue from the last checkpoint when there is one."""
        state = load_state(
            self.out, self._identity(), self.device, decides="recipe, seed or prompt set"
        )
        if state is None:
            return
        self.model.load_state_dict(state["model"])
        self.head.load_state_dict(state["head"])
        self.seen, self.learned = state["seen"], state["learned"]
        if self.learned > 0:
            self.optimizers = self._lesson_optimizers()
        for optimizer, kept in zip(self.optimizers, state["optimizers"], strict=True):
            optimizer.load_state_dict(kept)

    def _identity(self) -> str:
        """What a checkpoint must agree on with the run that continues from it."""
        return json.dumps([asdict(self.recipe), self.seed, self.prompts.hash])

    def _save(self) -> None:
        state = {
            "run": self._identity(),
            "model": self.model.state_dict(),
            "head": self.head.state_dict(),
            "optimizers": [optimizer.state_dict() for optimizer in self.optimizers],
            "seen": self.seen,
            "learned": self.learned,
        }
        save_state(self.out, state)

    def _vision_optimizers(self) -> list[torch.optim.Optimizer]:
        parameters = [*self.model.model.visual.parameters(), *self.head.parameters()]
        return [torch.optim.AdamW(parameters, lr=1e-3, weight_decay=0.01)]

    def _lesson_optimizers(self) -> list[torch.optim.Optimizer]:
        """Muon for the matrices, AdamW for embeddings, norms and biases."""
        decay = self.recipe.weight_decay
        embedding = self.model.get_input_embeddings().weight
        matrices: list[nn.Parameter] = []
        others: list[nn.Parameter] = []
        for parameter in self.model.parameters():
            inner = parameter.dim() == 2 and parameter is not embedding
            (matrices if inner else others).append(parameter)
        return muon_and_adamw(matrices, others, decay=decay, others_decay=decay)

    def _step(self, loss: torch.Tensor) -> None:
        descend(self.optimizers, self.model, loss)

    def _report(
        self,
        progress: Progress,
        bar: Any,
        step: int,
        stage: str,
        loss: float,
        extra: dict[str, float],
    ) -> None:
        shown = " ".join(f"{k} {v:.3f}" for k, v in extra.items())
        progress.update(bar, completed=step, state=f"loss {loss:.3f} {shown}")
        if step % 50 == 0:
            append_log(self.out, {"stage": stage, "step": step, "loss": loss, **extra})
        if step % self.checkpoint_every == 0:
            self._save()


def _processor(out: Path, prompts: PromptSet) -> Any:
    from transformers import AutoProcessor

    folder = out / "processor"
    if not folder.is_dir():
        part = out / "processor.part"
        build_processor(prompts).save_pretrained(part)
        part.replace(folder)
    return AutoProcessor.from_pretrained(folder)
