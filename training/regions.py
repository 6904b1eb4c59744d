"""Where pictures are noised: everywhere, or where a CLIP finds the question looking."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from catts.errors import InputError
from catts.perception.looker import Looker
from catts.training.arguments import RunArguments
from catts.training.config import CDRLConfig
from catts.training.data import KeyPlace, Noise, Source, TrainingRow
from catts.training.dataset_source import holds_pairs

if TYPE_CHECKING:
    from catts.perception.saliency import Saliency

NOISE_SETTINGS = ("noise_low", "noise_high", "region_share")
"""What pairs that were made before decide themselves."""
NO_CLIP = (
    "region saliency needs a CLIP for your pictures: give clip, such as "
    "ViT-B-32:laion2b_s34b_b79k or a folder, or region whole"
)


def everywhere(row: TrainingRow) -> KeyPlace:
    """The whole picture."""
    return None


@dataclass(frozen=True)
class Looked:
    """The key region of a question: the fewest patches that hold `share` of its saliency."""

    looker: Looker
    share: float

    def __call__(self, row: TrainingRow) -> KeyPlace:
        """The region of a row, found when it is asked for."""
        return self.looker.region(row.image, row.question, row.choices, self.share)


def load_looker(clip: str, share: float, device: str | None) -> "Saliency":
    """The CLIP that finds key regions.

    Args:
        clip: as `catts.perception.clip.load_clip` takes it.
        share: of the saliency that a region is to hold.
        device: a torch device; by default `cuda` where there is one.

    Raises:
        InputError: there is no such CLIP or device, or the share does not lie in (0, 1].
    """
    if not 0 < share <= 1:
        raise InputError(f"region_share {share}: give a share of the saliency, up to 1")
    from catts.perception.saliency import Saliency

    return Saliency.load(clip, device=device)


def noise_of(run: RunArguments, config: CDRLConfig, source: Source) -> Noise:
    """How the settings noise these questions.

    Raises:
        InputError: a setting of the noise cannot be used, or says nothing for these questions.
    """
    steps = run.noise_low, run.noise_high, config.seed
    if holds_pairs(source):
        unset = RunArguments()
        for name in ("region", "clip", *NOISE_SETTINGS):
            if getattr(run, name) != getattr(unset, name):
                raise InputError(f"{run.data} holds pairs, noised already: leave {name} out")
        return Noise(*steps)
    stream = run.data == "embedded"
    region = run.region or (None if stream else "saliency")
    if region != "saliency" and run.clip is not None:
        raise InputError("clip is asked where region is saliency alone: leave it out, or give that")
    if region is None:
        return Noise(*steps)
    if region == "whole":
        return Noise(*steps, where=everywhere)
    clip = run.clip or ("embedded" if stream else None)
    if clip is None:
        raise InputError(NO_CLIP)
    if config.dataloader_num_workers and not config.use_cpu and torch.cuda.is_available():
        raise InputError(
            "dataloader_num_workers: a CLIP on a GPU finds no regions in other processes; give 0, "
            "or make the pairs before (`catts pairs`)"
        )
    looker = load_looker(clip, run.region_share, "cpu" if config.use_cpu else None)
    return Noise(*steps, where=Looked(looker, run.region_share))
