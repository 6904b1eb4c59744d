"""What CDRL holds beside a plain GRPO step at a vocabulary of 152,000, allocation by allocation."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch
from datasets import Dataset
from PIL import Image
from torch.profiler import ProfilerActivity, profile
from trl.trainer.grpo_trainer import GRPOTrainer

from catts.agents.engines.loading import load_model
from catts.agents.miniatures.random_model import Size, random_qwen2_5_vl
from catts.training.config import CDRLConfig
from catts.training.rewards import Normalisation
from catts.training.row_rewards import format_of, output_of
from catts.training.token_terms import CHUNK, Reference, token_terms
from catts.training.trainer import CDRLTrainer

VOCABULARY, ROWS, TOKENS = 152_000, 4, 130
SIZE = Size(
    hidden=16, layers=1, heads=2, kv_heads=1, vision_hidden=16, vision_layers=1,
    vocabulary=VOCABULARY,
)  # fmt: skip
CHUNK_BYTES = CHUNK * VOCABULARY * 4


class Held(NamedTuple):
    peak: int
    """Bytes, above what lived before."""
    largest: int
    """Bytes of one allocation."""


def held(work: Callable[[], object]) -> Held:
    """What torch's allocator was asked for while `work` ran, inside of its kernels too."""
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True, acc_events=True) as seen:
        work()
    events = [e for e in seen.profiler.kineto_results.events() if e.name() == "[memory]"]
    live = peak = 0
    for event in sorted(events, key=lambda e: e.start_ns()):
        live += event.nbytes()
        peak = max(peak, live)
    return Held(peak, max(event.nbytes() for event in events))


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wide")
    for part in random_qwen2_5_vl(SIZE, max_pixels=56 * 56):
        part.save_pretrained(folder)
    return folder


def step(checkpoint: Path, out: Path, kind: str) -> tuple[Held, int]:
    """One whole step but for drawing the completions, and the bytes of policy and reference."""
    loaded = load_model(checkpoint, device="cpu")
    loaded.processor.tokenizer.padding_side = "left"
    rows = [
        {"prompt": [{"role": "user", "content": "What?"}], "question": "What?", "choices": [],
         "answer": "4", "image": Image.new("RGB", (56, 56), colour)}
        for colour in ("red", "gray")
    ]  # fmt: skip
    options: dict[str, Any] = {
        "model": loaded.model,
        "processing_class": loaded.processor,
        "train_dataset": Dataset.from_list(rows),
        "args": CDRLConfig(
            output_dir=str(out), per_device_train_batch_size=ROWS, num_generations=2, max_steps=1,
            max_completion_length=TOKENS, beta=0.1, gradient="whole", report_to=[], use_cpu=True,
            bf16=False, gradient_checkpointing=False, save_strategy="no", disable_tqdm=True,
        ),
    }  # fmt: skip
    if kind == "plain":
        trainer = GRPOTrainer(reward_funcs=[output_of, format_of], **options)
    else:
        trainer = CDRLTrainer(normalisation=Normalisation(mean=8.0, deviation=0.5), **options)
    drawn = torch.randint(300, VOCABULARY, (ROWS, TOKENS), generator=torch.manual_seed(0)).tolist()
    trainer._generate_single_turn = lambda *given, **more: (drawn, None)
    weights = [p for model in (trainer.model, trainer.ref_model) for p in model.parameters()]
    found = held(trainer.train)
    (told,) = (entry for entry in trainer.state.log_history if "train_loss" in entry)
    assert told["num_tokens"] > ROWS * TOKENS
    return found, sum(p.nbytes for p in weights)


@pytest.mark.slow
def test_a_step_holds_little_more_than_a_plain_one(checkpoint: Path, tmp_path: Path) -> None:
    assert ROWS * TOKENS > 2 * CHUNK, "more than a chunk"
    plain, weights = step(checkpoint, tmp_path, "plain")
    ours, _ = step(checkpoint, tmp_path, "cdrl")
    assert ours.peak + weights < 1.1 * (plain.peak + weights)
    assert ours.largest == CHUNK_BYTES, "a chunk's logits, and nothing larger"


@pytest.mark.parametrize("chunks", [2, 5])
def test_two_tensors_of_a_chunk_however_many_tokens(chunks: int) -> None:
    vocabulary, width, tokens = 20_000, 4, chunks * CHUNK
    hidden = torch.randn(tokens, width, requires_grad=True)
    weight = torch.randn(vocabulary, width, requires_grad=True)
    reference = Reference(torch.randn(tokens, width), torch.randn(vocabulary, width))

    def work() -> None:
        c, kl = token_terms(hidden, weight, reference=reference)
        assert kl is not None
        (c + kl).sum().backward()

    found = held(work)
    chunk = CHUNK * vocabulary * 4
    assert found.largest == chunk
    # beside the two a sum's copy of some rows, the weight's gradient, and what a token has
    assert 2 * chunk < found.peak < 2.25 * chunk
