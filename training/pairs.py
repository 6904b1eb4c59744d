"""Pairs made before a training: every question with its picture and the noised one, in shards.

A shard is written in one piece and depends on nothing but the settings and its questions, so a run
that was killed goes on at the first shard that is missing and ends with the same bytes.
"""

import io
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import datasets
from PIL.Image import Image
from rich.console import Console
from rich.progress import MofNCompleteColumn, Progress, TimeRemainingColumn

from catts.errors import InputError
from catts.files import write_whole
from catts.options import Region
from catts.perception.clip import Clip
from catts.perception.key_region import DEFAULT_SHARE, KeyRegion, key_region
from catts.perception.saliency import Saliency, texts_of
from catts.training.apart import apart
from catts.training.data import Noise, TrainingRow
from catts.training.dataset_source import TWIN, DatasetSource, open_dataset
from catts.training.pairs_folder import SETTINGS, SHARD, PairsSettings, read_settings
from catts.training.regions import NO_CLIP, load_looker

_TOGETHER = 16
"""Questions whose pictures are in memory, and go through the CLIP, at a time."""

_DIGESTS = {"digest": "other data", "clip": "another CLIP"}
"""What settings mean that say nothing to people."""
_FEATURES = datasets.Features(
    {
        "image": datasets.Image(),
        TWIN: datasets.Image(),
        "question": datasets.Value("string"),
        "answer": datasets.Value("string"),
        "choices": datasets.List(datasets.Value("string")),
        "t": datasets.Value("int32"),
        "region": {
            "grid": datasets.List(datasets.Value("int32")),
            "patches": datasets.List(datasets.Value("int32")),
        },
    }
)


@dataclass(frozen=True)
class Made:
    """What a run of `make_pairs` came to."""

    questions: int
    """Questions in the folder."""
    made: int
    """Those whose pairs were made by this run."""


def make_pairs(
    data: str,
    out: Path,
    *,
    subset: str | None = None,
    split: str | None = None,
    region: Region = "saliency",
    clip: str | None = None,
    region_share: float = DEFAULT_SHARE,
    noise_low: int = 400,
    noise_high: int = 999,
    max_pixels: int | None = None,
    seed: int = 42,
    device: str | None = None,
    quiet: bool = False,
) -> Made:
    """Write a data set's pairs into a folder, those that it lacks.

    Args:
        data: a folder or a hub id, as `catts.training.dataset_source.open_dataset` takes it.
        out: the folder, which is made when missing.
        subset: which of the data set's configurations.
        split: which of its splits.
        region: where the noise goes.
        clip: what finds it, for `saliency`; see `catts.perception.clip.load_clip`.
        region_share: of the saliency that a key region holds, in (0, 1].
        noise_low: least diffusion step, from 0.
        noise_high: largest diffusion step, up to 1000.
        max_pixels: larger pictures, width times height, are scaled down to it before.
        seed: with the question's index it decides the step and the noise.
        device: of the CLIP; by default `cuda` where there is one.
        quiet: whether to show no progress.

    Raises:
        InputError: the data, the CLIP or a setting cannot be used, or the folder holds something
            else, or pairs of other data or settings.
    """
    Noise(noise_low, noise_high, seed)
    if region == "saliency" and clip is None:
        raise InputError(NO_CLIP)
    if region == "whole" and clip is not None:
        raise InputError("region whole asks no CLIP: leave clip out, or give region saliency")
    source = open_dataset(data, subset=subset, split=split, max_pixels=max_pixels, quiet=quiet)
    if source.paired:
        raise InputError(f"{data} holds pairs already: train with it")
    looker = None if clip is None else load_looker(clip, region_share, device)
    settings = PairsSettings(
        questions=len(source),
        digest=source.digest,
        region=region,
        clip=None if looker is None else looker.fingerprint,
        region_share=region_share,
        noise_low=noise_low,
        noise_high=noise_high,
        seed=seed,
        max_pixels=max_pixels,
    )
    made = _make(source, settings, None if looker is None else looker.clip, out, quiet)
    return Made(len(source), made)


def _make(
    source: DatasetSource, settings: PairsSettings, clip: Clip | None, out: Path, quiet: bool
) -> int:
    """Write the shards that `out` lacks; the number of their questions."""
    try:
        _begin(settings, out)
        missing = settings.missing(out)
        with _bar(quiet) as progress:
            found = len(source) - sum(len(_questions(source, n)) for n in missing)
            task = progress.add_task("pairs", total=len(source), completed=found)
            for number in missing:
                rows = []
                for row in _rows(source, _questions(source, number), settings, clip):
                    rows.append(row)
                    progress.advance(task)
                write_whole(settings.shard(out, number), _parquet(rows))
    except OSError as error:
        raise InputError(f"cannot write {out}: {error.strerror}; name another folder") from error
    return len(source) - found


def _begin(settings: PairsSettings, out: Path) -> None:
    """Leave a folder that holds these settings, and nothing half written."""
    begun = read_settings(out)
    if begun is not None and begun != settings:
        told = apart(begun.model_dump(), settings.model_dump(), _DIGESTS)
        raise InputError(
            f"{out} was begun with {told}: give the same data and settings to go on, or name "
            "another folder"
        )
    data = out / "data"
    strange = [p for p in out.iterdir() if not _half(p)] if out.exists() else []
    if begun is None and any(p != data or any(data.iterdir()) for p in strange):
        raise InputError(f"{out} holds something else than pairs: name another folder")
    data.mkdir(parents=True, exist_ok=True)
    for part in (*out.iterdir(), *data.iterdir()):
        if _half(part):
            part.unlink()
    if begun is None:
        write_whole(out / SETTINGS, f"{settings.model_dump_json(indent=2)}\n")


def _questions(source: DatasetSource, number: int) -> range:
    return range(number * SHARD, min((number + 1) * SHARD, len(source)))


def _rows(
    source: DatasetSource, questions: range, settings: PairsSettings, clip: Clip | None
) -> Iterator[dict[str, Any]]:
    noise = Noise(settings.noise_low, settings.noise_high, settings.seed)
    # its memory of maps begins anew: what other shards looked at would cut the batches otherwise,
    # and another batch is another rounding
    saliency = None if clip is None else Saliency(clip)
    for start in range(0, len(questions), _TOGETHER):
        part = questions[start : start + _TOGETHER]
        rows = [source[index] for index in part]
        places = _places(rows, settings.region_share, saliency)
        for index, row, place in zip(part, rows, places, strict=True):
            yield {
                "image": {"bytes": _png(row.image), "path": None},
                TWIN: {"bytes": _png(noise.noised(row.image, index, place)), "path": None},
                "question": row.question,
                "answer": row.answer,
                "choices": list(row.choices),
                "t": noise.step(index),
                "region": None if place is None else place.model_dump(exclude={"saliency"}),
            }


def _places(
    rows: list[TrainingRow], share: float, saliency: Saliency | None
) -> list[KeyRegion] | list[None]:
    if saliency is None:
        return [None] * len(rows)
    texts = [texts_of(row.question, row.choices) for row in rows]
    return [key_region(found, share) for found in saliency.maps([r.image for r in rows], texts)]


def _png(image: Image) -> bytes:
    data = io.BytesIO()
    image.save(data, "PNG", compress_level=1)
    return data.getvalue()


def _parquet(rows: list[dict[str, Any]]) -> bytes:
    data = io.BytesIO()
    datasets.Dataset.from_list(rows, features=_FEATURES).to_parquet(data)
    return data.getvalue()


def _half(path: Path) -> bool:
    """Whether it is what a kill leaves of `write_whole`."""
    return path.name.startswith(".") and path.name.endswith(".part")


def _bar(quiet: bool) -> AbstractContextManager[Progress]:
    columns = (*Progress.get_default_columns()[:2], MofNCompleteColumn(), TimeRemainingColumn())
    datasets.disable_progress_bars()  # one of its own for each shard
    return Progress(*columns, console=Console(stderr=True), transient=True, disable=quiet)
