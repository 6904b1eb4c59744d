"""From a file to what the page shows of it: one function for each kind of file.

A further kind is one more function here and its suffix in `READERS`.
"""

from collections.abc import Callable, Iterable
from pathlib import Path

from pydantic import ValidationError

from catts.errors import ReportError
from catts.evals.pages.cards import RunCard, Runs, Section
from catts.evals.pages.pictures import PictureFolder, share_of_budget
from catts.evals.small_picture import thumbnail
from catts.evals.studies.result import StudyResult
from catts.graph.nodes import render
from catts.graph.records import NoisedImage
from catts.graph.trace import Trace, read_traces
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
    most = share_of_budget(sum(len(t.question.images) + len(_noised(t)) for t in traces))
    cards = tuple(
        RunCard(
            id=str(number),
            trace=trace,
            pictures=_thumbnails(trace.question.images, images, most),
            noised=_noised_thumbnails(trace, images, most),
        )
        for number, trace in enumerate(traces, start=1)
    )
    missing = sum(len(c.trace.question.images) - len(c.pictures) for c in cards)
    return Runs(path.name, cards, missing)


READERS: dict[str, Callable[[Path, PictureFolder | None], Section]] = {
    ".json": read_study,
    ".jsonl": read_runs,
}
"""Suffix to the function that reads such a file."""


def _noised(trace: Trace) -> tuple[NoisedImage, ...]:
    return () if trace.self_check is None else trace.self_check.noised


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
