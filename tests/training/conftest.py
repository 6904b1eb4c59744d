"""Trainers on the shipped base, and what they train on."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from catts.agents.engines.loading import LoadedModel, load_model
from catts.agents.spec import embedded_folder
from catts.training.config import CDRLConfig
from catts.training.data import Noise, twins
from catts.training.embedded_source import EmbeddedSource
from catts.training.rewards import Normalisation
from catts.training.trainer import CDRLTrainer

NORM = Normalisation(mean=11.5, deviation=0.5, slope=1.6, offset=1.4)


@pytest.fixture
def loaded() -> LoadedModel:
    """The shipped base, a copy of its own for each test."""
    return load_model(embedded_folder("base"), device="cpu")


@pytest.fixture
def make(tmp_path: Path, loaded: LoadedModel) -> Callable[..., CDRLTrainer]:
    """`make(...)`: a trainer of two questions a step, with these settings changed."""

    def trainer(**changed: Any) -> CDRLTrainer:
        options: dict[str, Any] = {
            "output_dir": str(tmp_path / "run"), "per_device_train_batch_size": 8,
            "gradient_accumulation_steps": 1, "num_generations": 2, "max_completion_length": 48,
            "learning_rate": 1e-4, "beta": 0.1, "max_steps": 1, "report_to": [], "use_cpu": True,
            "bf16": False, "gradient_checkpointing": False, "save_strategy": "no",
            "logging_steps": 1, "disable_tqdm": True, "lr_scheduler_type": "constant",
        }  # fmt: skip
        given = {
            name: changed.pop(name) for name in ("peft_config", "callbacks") if name in changed
        }
        config = CDRLConfig(**options | changed)
        data = twins(EmbeddedSource(16), loaded.prompts, loaded.vocabulary.plain, Noise())
        return CDRLTrainer(
            model=loaded.model, args=config, normalisation=NORM, train_dataset=data,
            processing_class=loaded.processor, **given,
        )  # fmt: skip

    return trainer
