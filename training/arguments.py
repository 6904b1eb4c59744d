"""A run's settings, out of a recipe in YAML and the command line."""

from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal, NamedTuple

from trl.scripts.utils import TrlParser
from trl.trainer.model_config import ModelConfig

from catts.errors import InputError
from catts.perception.key_region import DEFAULT_SHARE
from catts.training.config import CDRLConfig


@dataclass
class RunArguments:
    """What a run needs beside TRL's settings."""

    data: str = field(
        default="embedded",
        metadata={
            "help": "embedded (the drawn world's train stream), or a folder or hub dataset, of "
            "questions or of pairs."
        },
    )
    subset: str | None = field(
        default=None, metadata={"help": "Configuration of the dataset, where it has several."}
    )
    split: str | None = field(
        default=None,
        metadata={"help": "Its split, such as train[:1000] [default: train, or the only one]."},
    )
    questions: int = field(default=2560, metadata={"help": "Training questions of the stream."})
    noise_low: int = field(default=400, metadata={"help": "Least diffusion step of the twins."})
    noise_high: int = field(default=999, metadata={"help": "Largest diffusion step of the twins."})
    region: Literal["whole", "saliency"] | None = field(
        default=None,
        metadata={
            "help": "Where the noise goes: whole (everywhere) or saliency (where a CLIP finds the "
            "question) [default: the evidence of the stream, saliency for a dataset]."
        },
    )
    clip: str | None = field(
        default=None,
        metadata={
            "help": "CLIP for region saliency: a folder of open_clip's, NAME:PRETRAINED of its "
            "list such as ViT-B-32:laion2b_s34b_b79k, or hf-hub:org/name [default: the shipped "
            "one for the stream]."
        },
    )
    region_share: float = field(
        default=DEFAULT_SHARE, metadata={"help": "Share of the saliency that a key region holds."}
    )
    max_pixels: int | None = field(
        default=None,
        metadata={
            "help": "Larger pictures of a dataset, width times height, are scaled down to it, "
            "before they are noised."
        },
    )
    normalise_on: int = field(
        default=512, metadata={"help": "Questions on which the base's confidence is measured."}
    )
    threads: int | None = field(default=None, metadata={"help": "CPU threads."})


def recipe_path(recipe: str) -> Path:
    """The YAML of a shipped recipe by its name, or a file.

    Raises:
        InputError: there is neither.
    """
    shipped = Path(str(files("catts.training") / "recipes"))
    for path in (shipped / f"{recipe}.yaml", Path(recipe)):
        if path.is_file():
            return path
    known = ", ".join(sorted(path.stem for path in shipped.glob("*.yaml")))
    raise InputError(f"there is no recipe {recipe}: give {known}, or the path of a YAML file")


def parsed(recipe: str, overrides: Sequence[str]) -> tuple[RunArguments, CDRLConfig, ModelConfig]:
    """The settings of a recipe with overrides such as `--learning_rate 1e-5`.

    Raises:
        InputError: the recipe is not there, or a setting is unknown or cannot be used.
    """
    path = recipe_path(recipe)
    kinds: Any = (RunArguments, CDRLConfig, ModelConfig)
    parser = TrlParser(kinds, exit_on_error=False)
    try:
        run, config, model = parser.parse_args_and_config(["--config", str(path), *overrides])
    except InputError:
        raise
    except SystemExit as error:
        raise InputError("a setting is unknown or has no value; see the line above") from error
    except Exception as error:
        raise InputError(f"{path}: {error}") from error
    return run, config, model


class OwnSetting(NamedTuple):
    """A setting that is not TRL's."""

    name: str
    default: Any
    recipe: Any
    """What the recipe says."""
    help: str


def own_settings(recipe: str) -> list[OwnSetting]:
    """The settings that CDRL adds to TRL's, with what `recipe` makes of them.

    Raises:
        InputError: there is no such recipe.
    """
    run, config, _ = parsed(recipe, ())
    return [
        OwnSetting(each.name, each.default, getattr(held, each.name), each.metadata["help"])
        for held, names in ((run, vars(run)), (config, CDRLConfig.__annotations__))
        for each in fields(held)
        if each.name in names
    ]
