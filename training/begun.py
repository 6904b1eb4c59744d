"""What a folder of a run was begun with: going on with anything else would mix two runs."""

import re
import shutil
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from transformers.trainer_utils import PREFIX_CHECKPOINT_DIR

from catts.agents.engines.loading import LoadedModel
from catts.errors import InputError
from catts.files import write_whole
from catts.records import Record
from catts.training.apart import apart
from catts.training.arguments import RunArguments
from catts.training.config import CDRLConfig
from catts.training.data import Source
from catts.training.dataset_source import holds_pairs
from catts.training.regions import NOISE_SETTINGS

RUN = "run.json"
_LAST_WRITTEN = "trainer_state.json"
_NUMBERED = re.compile(rf"{PREFIX_CHECKPOINT_DIR}-(\d+)")
_OF_THE_RUN = ("noise_low", "noise_high", "region", "clip", "region_share", "max_pixels",
               "normalise_on")  # fmt: skip
_OF_CDRL = ("seed", "alpha", "perception_beta", "calibration", "calibration_weight", "gradient",
            "twin", "confidence_k", "num_generations", "max_completion_length", "beta",
            "reward_weights", "scale_rewards", "loss_type", "temperature", "top_p", "top_k",
            "min_p", "repetition_penalty")  # fmt: skip

_DIGESTS = {"base": "another base", "data": "other data"}
"""What a difference of these means to people."""


class Begun(Record):
    """What decides what a run is about; how fast and how long it learns may change on the way."""

    base: str
    """Fingerprint of the base: weights, tokenizer, processor, prompts, precision."""
    data: str
    """Digest of the training questions."""
    settings: dict[str, bool | str | int | float | None]


def begun_with(
    loaded: LoadedModel, source: Source, run: RunArguments, config: CDRLConfig, *, adapter: bool
) -> Begun:
    """What these arguments begin; `adapter`: whether a LoRA adapter learns, and the base stays."""
    settings = {name: getattr(run, name) for name in _OF_THE_RUN}
    if holds_pairs(source):
        settings |= dict.fromkeys(NOISE_SETTINGS)
    settings |= {name: _told(getattr(config, name)) for name in _OF_CDRL} | {"adapter": adapter}
    return Begun(base=loaded.fingerprint, data=source.digest, settings=settings)


def _told(value: object) -> Any:
    return " ".join(map(str, value)) if isinstance(value, list) else value


def begin(out: Path, asked: Begun) -> None:
    """Leave a folder that was begun with `asked`, and nothing in it that a kill left half written.

    Raises:
        InputError: it was begun with something else.
    """
    out.mkdir(parents=True, exist_ok=True)
    path = out / RUN
    if path.is_file():
        _same(path, asked)
    elif last_checkpoint(out) is not None:
        raise InputError(f"{out} holds a run of another kind or version: name another folder (out)")
    else:
        write_whole(path, f"{asked.model_dump_json(indent=2)}\n")
    for checkpoint, _ in _checkpoints(out):
        if not (checkpoint / _LAST_WRITTEN).is_file():
            shutil.rmtree(checkpoint)


def last_checkpoint(out: Path) -> Path | None:
    """The last checkpoint that was written to its end."""
    whole = [found for found in _checkpoints(out) if (found[0] / _LAST_WRITTEN).is_file()]
    return max(whole, key=lambda found: found[1])[0] if whole else None


def _checkpoints(out: Path) -> list[tuple[Path, int]]:
    named = [(path, _NUMBERED.fullmatch(path.name)) for path in out.iterdir() if path.is_dir()]
    return [(path, int(found[1])) for path, found in named if found is not None]


def _same(path: Path, asked: Begun) -> None:
    try:
        begun = Begun.model_validate_json(path.read_bytes())
    except ValidationError as error:
        raise InputError(f"{path} is broken: start in another folder (out)") from error
    told = apart(_plain(begun), _plain(asked), _DIGESTS)
    if told:
        raise InputError(
            f"{path.parent} was begun with {told}: give the same to go on, or name "
            "another folder (out)"
        )


def _plain(begun: Begun) -> dict[str, object]:
    return {"base": begun.base, "data": begun.data, **begun.settings}
