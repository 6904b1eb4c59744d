"""One step of plain gradient descent on greedy completions."""

from pathlib import Path

import torch
from fsdp_on_cpu import use_fsdp
from safetensors.torch import save_file

from catts.agents.engines.loading import load_model
from catts.agents.spec import embedded_folder
from catts.training.config import CDRLConfig
from catts.training.data import Noise, twins
from catts.training.embedded_source import EmbeddedSource
from catts.training.rewards import Normalisation
from catts.training.sharded import whole_state
from catts.training.trainer import CDRLTrainer


def main(out: Path, rows: int, sharded: bool) -> None:
    torch.set_num_threads(1)
    if sharded:
        use_fsdp()
    loaded = load_model(embedded_folder("base"), device="cpu")
    config = CDRLConfig(
        output_dir=str(out / "run"), per_device_train_batch_size=rows, num_generations=2,
        max_completion_length=40, max_steps=1, beta=0.1, learning_rate=1.0, optim="sgd",
        max_grad_norm=0.0, lr_scheduler_type="constant", report_to=[], bf16=False,
        gradient_checkpointing=False, save_strategy="no", disable_tqdm=True, logging_steps=1,
        use_cpu=not sharded,
        # a group's completions are alike, and its only signal the confidence's own gradient
        generation_kwargs={"do_sample": False},
    )  # fmt: skip
    trainer = CDRLTrainer(
        model=loaded.model, args=config,
        normalisation=Normalisation(mean=11.5, deviation=0.5, slope=1.6, offset=1.4),
        train_dataset=twins(
            EmbeddedSource(16), loaded.prompts, loaded.vocabulary.plain, Noise()
        ),
        processing_class=loaded.processor,
    )  # fmt: skip
    with torch.no_grad():
        # away from the reference, or KL would have no gradient
        for parameter in trainer.model.parameters():
            parameter.mul_(1.01)
    trainer.train()
    assert trainer.is_fsdp_enabled == sharded
    state = whole_state(trainer)
    if trainer.accelerator.is_main_process:
        model = trainer.accelerator.unwrap_model(trainer.model)
        whole = dict(model.named_parameters()) if state is None else state
        weights = {n: whole[n].detach().contiguous() for n, _ in model.named_parameters()}
        save_file(weights, out / "after.safetensors")
        told = trainer.state.log_history[0]
        (out / "fall").write_text(f"{told['confidence/fall']}\n")
