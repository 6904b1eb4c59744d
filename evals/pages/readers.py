"""From a file to what the page shows of it: one function for each kind of file.

A further kind is one more function here and its suffix in `READERS`.
"""

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from PIL.Image import Image, Resampling
from pydantic import ValidationError

from catts.errors import ReportError
from catts.evals.pages.cards import RunCard, Runs, Section
from catts.evals.pages.pictures import PictureFolder, share_of_budget
from catts.evals.small_picture import thumbnail
from catts.evals.studies.result import StudyResult
from catts.graph.nodes import render
from catts.graph.records import NoisedImage
from catts.graph.trace import Trace, read_traces
from catts.images import load_image
from catts.perception.key_region import KeyRegion
from catts.perception.panels import region_map, saliency_map
from catts.records import first_problem


def read(path: Path, images: PictureFolder | None = None) -> Section:
    """What `path` holds, by its suffix; `images` has the pictures of files that hold none.

    Raises:
        ReportError: it is of no kind that is known, or cannot be read.
        TraceError: its traces cannot be read.
    """
    reader = READERS.get(path.suffix.lower())
    if reader is None:
        known = ", ".join(READERS)
        raise ReportError(f"{path} is of no kind that a report is made of; give one of {known}")
    return reader(path, images)


def read_study(path: Path, images: PictureFolder | None) -> StudyResult:
    """What `catts study` wrote."""
    try:
        return StudyResult.model_validate_json(path.read_bytes())
    except OSError as error:
        raise ReportError(f"cannot read {path}: {error.strerror}; check the path") from error
    except ValidationError as error:
        raise ReportError(
            f"{path} is no study: {first_problem(error)}; give the JSON that `catts study` wrote"
        ) from error


def read_runs(path: Path, images: PictureFolder | None) -> Runs:
    """Traces as `write_traces` and `append_trace` store them; their gold answers are not known."""
    traces = list(read_traces(path))
    if not traces:
        raise ReportError(f"{path} holds no traces; give a file that `catts demo` or a run wrote")
    if images is None:
        return Runs(path.name, tuple(RunCard(str(n), t) for n, t in enumerate(traces, start=1)))
    most = share_of_budget(
        sum(len(t.question.images) + len(_noised(t)) + 2 * len(_regions(t)) for t in traces)
    )
    cards = tuple(
        RunCard(
            id=str(number),
            trace=trace,
            pictures=_thumbnails(trace.question.images, images, most),
            noised=_noised_thumbnails(trace, images, most),
            maps=_region_thumbnails(trace, images, most, region_map),
            heats=_region_thumbnails(trace, images, most, saliency_map),
        )
        for number, trace in enumerate(traces, start=1)
    )
    missing = sum(len(c.trace.question.images) - len(c.pictures) for c in cards)
    return Runs(path.name, cards, missing)


def read_log(path: Path, images: PictureFolder | None) -> Runs:
    """An Inspect log, which holds its pictures and grades; `images` is not looked at."""
    # Inspect takes a second to load, which pages of studies and traces need not wait for
    from catts.evals.tasks.logs import read_log as read_inspect_log

    log = read_inspect_log(path)
    most = share_of_budget(
        sum(
            len(run.pictures) + len(run.noised) + len(run.maps) + len(run.heats) for run in log.runs
        )
    )
    cards = tuple(
        RunCard(
            id=run.item.id if log.epochs == 1 else f"{run.item.id}, epoch {run.epoch}",
            trace=run.trace,
            pictures=tuple(_smaller(picture, most) for picture in run.pictures),
            noised=tuple(_smaller(picture, most, noised=True) for picture in run.noised),
            maps=tuple(_smaller(picture, most) for picture in run.maps),
            heats=tuple(_smaller(picture, most) for picture in run.heats),
            gold=run.item.answer,
            right=run.grades.get("strict"),
            groups=dict(run.item.groups) | _other_grades(run.grades),
        )
        for run in log.runs
    )
    return Runs(f"{log.task}: {path.stem}", cards, asked=log.total)


READERS: dict[str, Callable[[Path, PictureFolder | None], Section]] = {
    ".json": read_study,
    ".jsonl": read_runs,
    ".eval": read_log,
}
"""Suffix to the function that reads such a file."""


def _noised(trace: Trace) -> tuple[NoisedImage, ...]:
    return () if trace.self_check is None else trace.self_check.noised


def _regions(trace: Trace) -> tuple[tuple[NoisedImage, KeyRegion], ...]:
    return tuple((n, n.region) for n in _noised(trace) if isinstance(n.region, KeyRegion))


def _thumbnails(digests: Iterable[str], images: PictureFolder, most: int) -> tuple[bytes, ...]:
    found = (images.get(digest) for digest in digests)
    return tuple(thumbnail(picture, most) for picture in found if picture is not None)


def _noised_thumbnails(trace: Trace, images: PictureFolder, most: int) -> tuple[bytes, ...]:
    """What the self-check saw, made again from the clean pictures."""
    found = ((noised, images.get(noised.digest)) for noised in _noised(trace))
    return tuple(
        thumbnail(render(noised, clean), most, noised=True)
        for noised, clean in found
        if clean is not None
    )


def _region_thumbnails(
    trace: Trace,
    images: PictureFolder,
    most: int,
    draw: Callable[[Image, KeyRegion], Image | None],
) -> tuple[bytes, ...]:
    """Key regions as `draw` shows them over the clean pictures, those that it can show."""
    found = ((n, region, images.get(n.digest)) for n, region in _regions(trace))
    drawn = (
        draw(clean.resize(noised.size, Resampling.BICUBIC), region)
        for noised, region, clean in found
        if clean is not None
    )
    return tuple(thumbnail(picture, most) for picture in drawn if picture is not None)


def _smaller(picture: bytes, most: int, *, noised: bool = False) -> bytes:
    if len(picture) <= most:
        return picture
    return thumbnail(load_image(picture), most, noised=noised)


def _other_grades(grades: Mapping[str, bool]) -> dict[str, str]:
    """What graders beside the strict one found, which a card shows among its groups."""
    return {
        f"{name} grader": "right" if right else "wrong"
        for name, right in grades.items()
        if name != "strict"
    }
