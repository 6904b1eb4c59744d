"""A training run from its settings to a checkpoint; a killed one goes on from its last save."""

import copy
import json
import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch
from pydantic import ValidationError
from rich.progress import Progress
from transformers.trainer_utils import set_seed
from trl.trainer.model_config import ModelConfig
from trl.trainer.utils import get_peft_config

from catts.agents.card import ModelCard, write_card
from catts.agents.engines.loading import LoadedModel, load_model
from catts.agents.engines.transformers_engine import TransformersEngine
from catts.agents.local_spec import checkpoint_folder
from catts.agents.spec import SHIPPED, shipped_folder
from catts.embedded.machine import prepare
from catts.errors import InputError
from catts.files import write_whole
from catts.training.arguments import RunArguments
from catts.training.begun import begin, begun_with, last_checkpoint
from catts.training.checks import check_model_options
from catts.training.config import CDRLConfig
from catts.training.data import Source, twins
from catts.training.dataset_source import open_dataset
from catts.training.embedded_source import EmbeddedSource
from catts.training.need import need_settings
from catts.training.normalise import normalisation_of
from catts.training.readme import readme
from catts.training.regions import noise_of
from catts.training.rewards import Normalisation
from catts.training.sharded import check_sharding, loading_whole, whole_state
from catts.training.trainer import CDRLTrainer

_NORMALISATION = "normalisation.json"
_KEPT = ("config.json", "generation_config.json")


def train(run: RunArguments, config: CDRLConfig, model: ModelConfig) -> Path:
    """Train, from the last checkpoint in `config.output_dir` where there is one.

    Returns:
        The folder of the trained checkpoint (or LoRA adapter), with its processor and card.

    Raises:
        InputError: the base or the data cannot be used.
        CalibrationError: nothing can be fitted to the base's confidence.
    """
    need_settings(vllm=config.use_vllm, lora=model.use_peft)
    check_model_options(model)
    prepare(run.threads)
    set_seed(config.seed)
    base = model.model_name_or_path or "embedded"
    source = source_of(run, quiet=_quiet(config))
    noise = noise_of(run, config, source)
    at_once = _questions_at_once(config)
    if len(source) < at_once:
        raise InputError(
            f"{run.data}: {len(source)} questions, and a step takes {at_once}: give more, or a "
            "smaller per_device_train_batch_size"
        )
    with loading_whole(config):
        loaded = load_model(
            shipped_folder(base, "base") if base in SHIPPED else base,
            device="cpu" if config.use_cpu else None,
            dtype=model.dtype,
            attn_implementation=model.attn_implementation,
        )
    if len(loaded.folders) > 1:
        raise InputError(
            f"{base} is a LoRA adapter: merge it into its base first (PEFT's merge_and_unload, "
            "save_pretrained), and train that"
        )
    out, on_hub = Path(config.output_dir), _hub_id(base)
    page: Callable[[int], str] | None = None
    with config.main_process_first(local=False, desc="the folder of the run"):
        if config.process_index == 0:
            begun = begun_with(loaded, source, run, config, adapter=bool(model.use_peft))
            begin(out, begun)
            page = partial(
                readme, f"{loaded.name}-cdrl", loaded.name, run.data, begun, config,
                on_hub=on_hub, adapter=bool(model.use_peft),
            )  # fmt: skip
    normalisation = _normalisation(loaded, source, run, config)
    trainer = CDRLTrainer(
        model=loaded.model,
        args=config,
        normalisation=normalisation,
        readme=page,
        train_dataset=twins(source, loaded.prompts, loaded.vocabulary.plain, noise, keep=at_once),
        # the trainer changes it: prompts are padded on the left
        processing_class=copy.deepcopy(loaded.processor),
        peft_config=get_peft_config(model),
    )
    check_sharding(trainer)
    last = last_checkpoint(out)
    trainer.train(resume_from_checkpoint=None if last is None else str(last))
    return _finish(trainer, loaded, out, on_hub)


def source_of(run: RunArguments, *, quiet: bool = False) -> Source:
    """The training questions that the settings name.

    Raises:
        InputError: they cannot be used.
    """
    if run.data == "embedded":
        if run.subset or run.split:
            raise InputError("the embedded stream has neither subset nor split: leave them out")
        return EmbeddedSource(run.questions)
    return open_dataset(
        run.data, subset=run.subset, split=run.split, max_pixels=run.max_pixels, quiet=quiet
    )


def _normalisation(
    loaded: LoadedModel, source: Source, run: RunArguments, config: CDRLConfig
) -> Normalisation:
    """Measured once, by the first process, before the first step; else it is read."""
    path = Path(config.output_dir) / _NORMALISATION
    with config.main_process_first(local=False, desc="the base's confidence"):
        if not path.is_file():
            _measure(loaded, source, run, config, path)
    try:
        return Normalisation.model_validate_json(path.read_bytes())
    except FileNotFoundError as error:
        raise InputError(f"{path} was not written: see what the first process said") from error
    except ValidationError as error:
        raise InputError(f"{path} is broken: start in another output_dir") from error


def _measure(
    loaded: LoadedModel, source: Source, run: RunArguments, config: CDRLConfig, path: Path
) -> None:
    engine = TransformersEngine(loaded)
    with Progress(transient=True, disable=_quiet(config)) as progress:
        total = min(run.normalise_on, len(source))
        task = progress.add_task("the base's confidence", total=total)
        found = normalisation_of(
            engine, source, config.calibration, max_new_tokens=config.longest, n=run.normalise_on,
            seed=config.seed, advance=lambda done: progress.advance(task, done),
        )  # fmt: skip
    write_whole(path, f"{found.model_dump_json(indent=2)}\n")


def _questions_at_once(config: CDRLConfig) -> int:
    """Questions of one generation, whose pictures are asked for again and again."""
    return max(1, (config.generation_batch_size or 0) // (2 * config.group))


def _hub_id(base: str) -> str | None:
    return base if base not in SHIPPED and checkpoint_folder(base) is None else None


def _finish(trainer: CDRLTrainer, loaded: LoadedModel, out: Path, on_hub: str | None) -> Path:
    """The trained checkpoint, in the precision of the base's own files."""
    folder = out / "model"
    policy = trainer.accelerator.unwrap_model(trainer.model)
    dtype, state = _stored_dtype(loaded), whole_state(trainer)
    if trainer.accelerator.is_main_process:
        part, old = out / "model.part", out / "model.old"
        for left in (part, old):
            shutil.rmtree(left, ignore_errors=True)
        for adapter in getattr(policy, "peft_config", {}).values():
            # a hub id names the base on any machine, and the folder of its download does not
            if on_hub is not None:
                adapter.base_model_name_or_path = on_hub
        if state is None:
            policy.to(dtype).save_pretrained(part)
        else:
            policy.save_pretrained(part, state_dict={n: w.to(dtype) for n, w in state.items()})
        loaded.processor.save_pretrained(part)
        for kept in _KEPT:
            # a trained model is the base's in shape and stored precision; transformers would write
            # what it was trained in, and that it keeps no cache
            if (part / kept).is_file() and (loaded.folders[0] / kept).is_file():
                shutil.copyfile(loaded.folders[0] / kept, part / kept)
        for weights in part.glob("*.safetensors"):
            # transformers leaves them readable by their owner alone; a package is for everyone
            weights.chmod(0o644)
        name = f"{loaded.name}-cdrl"
        card = ModelCard(
            name=name,
            prompt_set=loaded.prompts.name,
            prompt_hash=loaded.prompts.hash,
            max_new_tokens=max(loaded.card.max_new_tokens, trainer.args.longest),
        )
        write_card(part, card)
        if trainer.readme is not None:
            write_whole(part / "README.md", trainer.readme(trainer.state.global_step))
        if folder.exists():
            folder.rename(old)
        part.rename(folder)
        shutil.rmtree(old, ignore_errors=True)
    trainer.accelerator.wait_for_everyone()
    return folder


def _quiet(config: CDRLConfig) -> bool:
    return bool(config.disable_tqdm or config.process_index)


def _stored_dtype(loaded: LoadedModel) -> torch.dtype:
    """The precision of the base's files, whatever it was loaded in."""
    config = json.loads((loaded.folders[0] / "config.json").read_text("utf-8"))
    name = config.get("dtype") or config.get("torch_dtype")
    dtype = getattr(torch, str(name), None)
    return dtype if isinstance(dtype, torch.dtype) else loaded.dtype
