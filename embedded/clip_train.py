"""Train the embedded CLIP from nothing: which text is true of which picture, and of what in it.

Two losses, both of the sigmoid kind (SigLIP, arXiv 2303.15343) on labels that are known:

- picture and text: the cosine of their embeddings, for every pair of the batch;
- patch and text: the cosine of a patch's token, taken through the same last norm and projection as
  the class token, and the text; true where the patch belongs to the text's evidence.

The second one is what makes a run of minutes suffice: by the first alone the tower first has to
find out that there are things. Its bias is thrown away; what is left is an open_clip model like any
other. Muon for the matrices of the blocks, AdamW for the rest, as for the other embedded models.
"""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from catts.embedded.clip_model import (
    CONFIG,
    CONTEXT,
    PATCH,
    WEIGHTS,
    build_clip,
    build_tokenizer,
    configuration,
)
from catts.embedded.clip_pairs import Pairs, draw_pairs
from catts.embedded.drawing import CELL, GRID, SIDE
from catts.embedded.fast_linear import use_bfloat16_products
from catts.embedded.machine import prepare
from catts.embedded.scene import Grade
from catts.embedded.training_steps import (
    append_log,
    descend,
    load_state,
    muon_and_adamw,
    progress_of_steps,
    save_state,
    schedule,
)

_COLUMNS = SIDE // PATCH
CELL_OF_PATCH = [
    (i // _COLUMNS * PATCH // CELL) * GRID + i % _COLUMNS * PATCH // CELL
    for i in range(_COLUMNS * _COLUMNS)
]
"""The cell of the board that each patch lies in, in reading order."""


@dataclass(frozen=True, slots=True)
class ClipRecipe:
    """Everything that decides a training run, besides the code and the seed."""

    steps: int = 2200
    boards: int = 32
    """Boards of a batch; each comes with its twin and brings two texts."""
    grades: dict[Grade, float] = field(default_factory=lambda: {1: 0.4, 2: 0.3, 3: 0.3})
    """Shares of the perceptual grades among the boards."""
    local: float = 20.0
    """Weight of the loss of patches, of which one in sixty is true."""
    learning_rate: float = 2e-3
    warmup: int = 100
    weight_decay: float = 0.05


def train_clip(
    out: Path,
    *,
    recipe: ClipRecipe | None = None,
    seed: int = 0,
    device: str = "cpu",
    threads: int | None = None,
    checkpoint_every: int = 200,
) -> Path:
    """Train the CLIP and write its checkpoint folder, which `catts.perception.clip` loads.

    Args:
        out: folder of the run; `out/model` is the finished checkpoint, `out/state.pt` what a killed
            run resumes from, `out/log.jsonl` the losses.
        recipe: what to teach; the shipped model's by default.
        seed: decides weights and pairs.
        device: torch device.
        threads: CPU threads; None leaves torch's choice.
        checkpoint_every: steps between checkpoints; a killed run repeats at most so many.

    Returns:
        The finished checkpoint folder; of a run that was finished before, without training.

    Raises:
        InputError: `out` holds a run of another recipe or seed.
    """
    prepare(threads)
    out.mkdir(parents=True, exist_ok=True)
    run = _Run(recipe or ClipRecipe(), out, seed, device, checkpoint_every)
    run.resume()
    if not (out / "model").is_dir():
        run.learn()
        run.finish()
    return out / "model"


class _Run:
    def __init__(
        self, recipe: ClipRecipe, out: Path, seed: int, device: str, checkpoint_every: int
    ) -> None:
        self.recipe, self.out, self.seed, self.device = recipe, out, seed, device
        self.checkpoint_every = checkpoint_every
        self.tokenizer = build_tokenizer()
        self.config = configuration(self.tokenizer)
        self.model = build_clip(self.config, seed).to(device).train()
        self.model.visual.output_tokens = True
        use_bfloat16_products(self.model)
        self.patch_bias = nn.Parameter(torch.tensor(-4.0, device=device))
        self.optimizers = self._optimizers()
        self.done = 0

    def learn(self) -> None:
        """All steps that are left."""
        with progress_of_steps() as progress:
            bar = progress.add_task("pairs", total=self.recipe.steps, completed=self.done, state="")
            while self.done < self.recipe.steps:
                facts = self._step()
                self.done += 1
                shown = " ".join(f"{name} {value:.3f}" for name, value in facts.items())
                progress.update(bar, completed=self.done, state=shown)
                if self.done % 50 == 0:
                    append_log(self.out, {"step": self.done, **facts})
                if self.done % self.checkpoint_every == 0:
                    self._save()

    def finish(self) -> None:
        """Write the finished checkpoint in half precision, with configuration and tokenizer."""
        from safetensors.torch import save_file

        folder = self.out / "model.part"
        self.tokenizer.save_pretrained(folder)
        (folder / CONFIG).write_text(f"{json.dumps(self.config, indent=2)}\n", "utf-8")
        recipe = {**asdict(self.recipe), "seed": self.seed}
        (folder / "recipe.json").write_text(f"{json.dumps(recipe, indent=2)}\n", "utf-8")
        weights = {name: w.half().contiguous() for name, w in self.model.state_dict().items()}
        save_file(weights, folder / WEIGHTS)
        (folder / WEIGHTS).chmod(0o644)  # a package is for everyone
        folder.rename(self.out / "model")

    def resume(self) -> None:
        """Continue from the last checkpoint when there is one."""
        state = load_state(self.out, self._identity(), self.device, decides="recipe or seed")
        if state is None:
            return
        self.model.load_state_dict(state["model"])
        self.patch_bias.data.copy_(state["patch_bias"])
        for optimizer, kept in zip(self.optimizers, state["optimizers"], strict=True):
            optimizer.load_state_dict(kept)
        self.done = state["done"]

    def _step(self) -> dict[str, float]:
        recipe = self.recipe
        schedule(self.optimizers, self.done, recipe.steps, recipe.learning_rate, recipe.warmup)
        start = self.done * recipe.boards
        pairs = draw_pairs(range(start, start + recipe.boards), recipe.grades, self.seed)
        whole, patches, right = self._losses(pairs)
        descend(self.optimizers, self.model, whole + recipe.local * patches)
        return {"loss": whole.item(), "patches": patches.item(), "twins_told_apart": right}

    def _losses(self, pairs: Pairs) -> tuple[Tensor, Tensor, float]:
        """Loss of the pictures, loss of the patches, share of twins that are told apart."""
        model = self.model
        pooled, tokens = model.visual(self._pixels(pairs))
        words = self.tokenizer(
            pairs.words, padding="max_length", max_length=CONTEXT, truncation=True,
            return_tensors="pt",
        ).input_ids.to(self.device)  # fmt: skip
        texts = model.encode_text(words, normalize=True)
        scale = model.logit_scale.exp()
        logits = scale * F.normalize(pooled, dim=-1) @ texts.T + model.logit_bias
        true = torch.from_numpy(pairs.true).to(self.device, torch.float32)
        whole = F.binary_cross_entropy_with_logits(logits, true)
        seen = F.normalize(tokens @ model.visual.proj, dim=-1)
        local = scale * torch.einsum("bpd,td->btp", seen, texts) + self.patch_bias
        evidence = torch.from_numpy(pairs.evidence)[..., CELL_OF_PATCH]
        patches = F.binary_cross_entropy_with_logits(local, evidence.to(self.device, torch.float32))
        return whole, patches, _told_apart(logits.detach(), true)

    def _pixels(self, pairs: Pairs) -> Tensor:
        pixels = torch.from_numpy(np.stack([np.asarray(image) for image in pairs.images]))
        return pixels.permute(0, 3, 1, 2).to(self.device, torch.float32) / 127.5 - 1

    def _identity(self) -> str:
        """What a checkpoint must agree on with the run that continues from it."""
        return json.dumps([asdict(self.recipe), self.config, self.seed])

    def _save(self) -> None:
        state = {
            "run": self._identity(),
            "model": self.model.state_dict(),
            "patch_bias": self.patch_bias.data,
            "optimizers": [optimizer.state_dict() for optimizer in self.optimizers],
            "done": self.done,
        }
        save_state(self.out, state)

    def _optimizers(self) -> list[torch.optim.Optimizer]:
        matrices: list[nn.Parameter] = []
        others: list[nn.Parameter] = [self.patch_bias]
        for name, parameter in self.model.named_parameters():
            inner = parameter.dim() == 2 and "resblocks" in name
            (matrices if inner else others).append(parameter)
        decay = self.recipe.weight_decay
        return muon_and_adamw(matrices, others, decay=decay, others_decay=0.01)


def _told_apart(logits: Tensor, true: Tensor) -> float:
    """Share of a board's questions that fit the board better than its twin, where only it fits."""
    boards = torch.arange(0, len(logits), 2, device=logits.device)
    decided = true[boards, boards] > true[boards + 1, boards]
    better = logits[boards, boards] > logits[boards + 1, boards]
    return better[decided].float().mean().item() if decided.any() else 1.0
