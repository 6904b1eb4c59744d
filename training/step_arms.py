"""What the benchmark of a training step times: plain GRPO and CDRL, each a trainer in its process.

Both train the shipped base by the recipe `embedded` on the same rows in the same order from the
same seed, at learning rate 0: every step meets the same weights and draws the same completions,
whichever arm it is, and all of its work is done, the optimizer's included.
"""

import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from typing import Any, Literal, NamedTuple, get_args

from transformers import PrinterCallback, TrainerCallback
from transformers.trainer_utils import set_seed
from trl.trainer.grpo_trainer import GRPOTrainer

from catts.agents.engines.loading import load_model
from catts.agents.spec import embedded_folder
from catts.embedded.machine import prepare
from catts.training.arguments import parsed
from catts.training.data import twins
from catts.training.regions import noise_of
from catts.training.rewards import Normalisation
from catts.training.row_rewards import format_of, output_of
from catts.training.run import source_of
from catts.training.trainer import CDRLTrainer

Arm = Literal["plain", "cdrl"]
ARMS: tuple[Arm, ...] = get_args(Arm)

Part = Literal["data", "generation", "reference", "confidences", "scoring", "loss", "update"]
"""`data`: questions, pictures and noise. `scoring`: image processing, rewards and advantages.
`loss`: its forward pass. `update`: backward pass, optimizer and the loop around them."""
PARTS: tuple[Part, ...] = get_args(Part)

_METHODS: dict[str, Part] = {
    "get_batch_samples": "data",
    "_prepare_inputs": "scoring",
    "_generate": "generation",
    "_confidences": "confidences",
    "_compute_loss": "loss",
}


class StepSetting(NamedTuple):
    """What is timed."""

    questions: int
    """In a step; each is drawn `num_generations` times with its picture and as often noised."""
    steps: int
    """Measured, after one that is not."""
    threads: int
    seed: int


class Step(NamedTuple):
    """One whole step."""

    seconds: dict[Part, float]
    completions: int
    tokens: int
    """Of all completions."""

    @property
    def total(self) -> float:
        """Seconds of the whole step."""
        return sum(self.seconds.values())


def serve(pipe: Connection, arm: Arm, setting: StepSetting) -> None:
    """One arm's process: a `Step` for each request, `setting.steps` and one in all."""
    with tempfile.TemporaryDirectory(prefix="catts-bench-") as folder:
        trainer = _open(arm, setting, folder)
        trainer.remove_callback(PrinterCallback)  # what is printed here is the table
        turns = _Turns(pipe)
        _listen(trainer, turns)
        trainer.add_callback(turns)
        turns.wait()
        trainer.train()


def _open(arm: Arm, setting: StepSetting, folder: str) -> GRPOTrainer:
    group = parsed("embedded", [])[1].group
    run, config, _ = parsed("embedded", [
        "--output_dir", folder, "--save_strategy", "no", "--disable_tqdm", "true",
        "--per_device_train_batch_size", f"{2 * group * setting.questions}",
        "--max_steps", f"{setting.steps + 1}", "--warmup_steps", "0", "--learning_rate", "0",
        # unshuffled, TRL's own order is that of pairs: a group of clean rows, then the noised ones
        "--shuffle_dataset", "false",
        "--seed", f"{setting.seed}", "--threads", f"{setting.threads}",
    ])  # fmt: skip
    prepare(run.threads)
    set_seed(config.seed)
    loaded, source = load_model(embedded_folder("base"), device="cpu"), source_of(run)
    options: dict[str, Any] = {
        "model": loaded.model,
        "args": config,
        "train_dataset": twins(
            source, loaded.prompts, loaded.vocabulary.plain, noise_of(run, config, source)
        ),
        "processing_class": loaded.processor,
    }
    if arm == "plain":
        # TRL pads prompts on the left, and takes the processor to do so
        loaded.processor.tokenizer.padding_side = "left"
        return GRPOTrainer(reward_funcs=[output_of, format_of], **options)
    # a step takes the same work on whatever scale its rewards are
    return CDRLTrainer(normalisation=Normalisation(mean=0.0, deviation=1.0), **options)


class _Clock:
    """Splits the time that passes into parts; a part inside another one counts for itself alone."""

    def __init__(self) -> None:
        self._inside: list[Part] = ["update"]
        self._spent = dict.fromkeys(PARTS, 0.0)
        self._since = 0.0

    def start(self) -> None:
        self._spent = dict.fromkeys(PARTS, 0.0)
        self._since = time.perf_counter()

    def read(self) -> dict[Part, float]:
        """Seconds of every part since `start`."""
        self._count()
        return dict(self._spent)

    @contextmanager
    def part(self, name: Part) -> Iterator[None]:
        self._count()
        self._inside.append(name)
        try:
            yield
        finally:
            self._count()
            self._inside.pop()

    def _count(self) -> None:
        now = time.perf_counter()
        self._spent[self._inside[-1]] += now - self._since
        self._since = now


class _Turns(TrainerCallback):  # type: ignore[misc]
    """Takes a step when it is asked for one, and tells what it took."""

    def __init__(self, pipe: Connection) -> None:
        self._pipe, self.clock = pipe, _Clock()
        self.completions = self.tokens = 0

    def wait(self) -> None:
        self._pipe.recv()
        self.clock.start()

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        self._pipe.send(Step(self.clock.read(), self.completions, self.tokens))
        if state.global_step < state.max_steps:
            self.wait()


def _listen(trainer: GRPOTrainer, turns: _Turns) -> None:
    """Have the trainer's methods tell the clock when they begin and end."""

    def timed(name: str, part: Part) -> None:
        method = getattr(trainer, name)

        def call(*given: Any, **options: Any) -> Any:
            with turns.clock.part(part):
                return method(*given, **options)

        setattr(trainer, name, call)

    for name, part in _METHODS.items():
        if hasattr(trainer, name):
            timed(name, part)
    score, prepared = trainer._get_per_token_logps_and_entropies, trainer._prepare_inputs

    def scored(model: Any, *given: Any, **options: Any) -> Any:
        if model is not trainer.ref_model:
            return score(model, *given, **options)
        with turns.clock.part("reference"):
            return score(model, *given, **options)

    def counted(batch: Any) -> Any:
        inputs = prepared(batch)
        mask = inputs["completion_mask"]
        turns.completions, turns.tokens = len(mask), int(mask.sum())
        return inputs

    trainer._get_per_token_logps_and_entropies = scored  # type: ignore[method-assign]
    trainer._prepare_inputs = counted  # type: ignore[method-assign]
