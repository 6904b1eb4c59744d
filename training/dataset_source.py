"""A data set of pictures with questions and answers as training questions."""

import hashlib
import json
from math import sqrt
from pathlib import Path
from typing import Any

from datasets import (
    Dataset,
    DatasetDict,
    DownloadConfig,
    Image,
    disable_progress_bars,
    load_dataset,
)
from PIL import Image as Pictures
from pydantic import ValidationError
from rich.console import Console
from rich.progress import track

from catts.errors import CattsError, ImageError, InputError
from catts.images import image_digest, load_image
from catts.question import Question
from catts.records import first_problem
from catts.training.data import Source, TrainingRow
from catts.training.pairs_folder import check_complete

_NEEDED = ("image", "question", "answer")
_MOST_TOLD = 20
"""Bad rows that are named before the check gives up."""
TWIN = "twin"
"""The column of noised pictures, where the data are pairs."""


class DatasetSource:
    """Rows with `image`, `question`, `answer` and, for multiple choice, `choices`.

    A choice's answer is its letter. With a column `twin` the rows are pairs: the picture and the
    noised one.
    """

    def __init__(
        self, rows: Dataset, name: str, *, max_pixels: int | None = None, quiet: bool = False
    ) -> None:
        """Check every row, its pictures included, before anything is trained.

        Args:
            rows: a split that has the columns.
            name: what messages call it.
            max_pixels: larger pictures, width times height, are scaled down to it.
            quiet: whether to show no progress.

        Raises:
            InputError: a column is missing, or rows cannot be used; the message names the first 20.
        """
        missing = [column for column in _NEEDED if column not in rows.column_names]
        if missing:
            raise InputError(
                f"{name} has no column {' or '.join(missing)}; it has "
                f"{', '.join(rows.column_names)}: rename them"
            )
        self.paired = TWIN in rows.column_names
        for column in ("image", TWIN) if self.paired else ("image",):
            # pictures are decoded by us, with a limit on their size
            rows = rows.cast_column(column, Image(decode=False))
        self._rows, self._name, self._max_pixels = rows, name, max_pixels
        digest, bad = hashlib.sha256(), []
        for index in track(
            range(len(self._rows)), "checking rows", disable=quiet, transient=True,
            console=Console(stderr=True),
        ):  # fmt: skip
            try:
                said = self._checked(index)
            except InputError as error:
                bad.append(str(error))
                if len(bad) == _MOST_TOLD:
                    break
                continue
            digest.update(f"{json.dumps(said)}\n".encode())
        if bad:
            more = ", and perhaps more" if len(bad) == _MOST_TOLD else ""
            raise InputError("\n".join([*bad, f"{len(bad)} rows cannot be used{more}"]))
        self.digest = digest.hexdigest()
        """SHA-256 (hex) over questions, choices, answers and pictures, twins among them."""

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, index: int) -> TrainingRow:
        row = self._rows[index]
        try:
            return self._row(row)
        except CattsError as error:
            raise self._named(index, error) from error

    def _checked(self, index: int) -> list[object]:
        """What tells row `index` from others, when nothing is wrong with it."""
        row = self[index]
        said: list[object] = [row.question, row.choices, row.answer, image_digest(row.image)]
        if not self.paired:
            return said
        try:
            if row.twin is None:
                raise ImageError("twin is missing")
            twin = load_image(row.twin)
            if twin.size != row.image.size:
                raise ImageError(f"twin is of {twin.size}, its image of {row.image.size} pixels")
        except CattsError as error:
            raise self._named(index, error) from error
        return [*said, image_digest(twin)]

    def _named(self, index: int, error: CattsError) -> InputError:
        return InputError(f"{self._name}, row {index + 1}: {error}; mend the row, or take it out")

    def _row(self, row: dict[str, Any]) -> TrainingRow:
        question, answer = row["question"], row["answer"]
        if not isinstance(question, str) or not question.strip():
            raise InputError("question is missing or blank")
        if not isinstance(answer, str) or not answer.strip():
            raise InputError("answer is missing or blank; write numbers as text")
        choices = tuple(map(str, row.get("choices") or ()))
        try:
            asked = Question(text=question, choices=choices)
        except ValidationError as error:
            raise InputError(first_problem(error)) from error
        if choices and answer.strip() not in asked.letters:
            raise InputError(
                f"answer {answer[:40]!r} is not the letter of one of {len(choices)} choices"
            )
        source = self._stored(row["image"])
        if source is None:
            raise ImageError("image is missing")
        image = load_image(source)
        if self._max_pixels is not None and image.width * image.height > self._max_pixels:
            if self.paired:
                raise ImageError(
                    f"image has more than {self._max_pixels} pixels, and its twin is made: give "
                    "`catts pairs` the same limit"
                )
            image = _scaled(image, self._max_pixels)
        twin = self._stored(row[TWIN]) if self.paired else None
        return TrainingRow(question, image, answer.strip(), choices, twin=twin)

    def _stored(self, picture: Any) -> bytes | str | None:
        """What `datasets` keeps of a picture that it did not decode; paths begin in its folder."""
        if not isinstance(picture, dict):
            return None
        path, folder = picture.get("path"), Path(self._name)
        if path and not picture.get("bytes") and (folder / path).is_file():
            return str(folder / path)
        return picture.get("bytes") or path or None


def holds_pairs(source: Source) -> bool:
    """Whether the noised pictures were made before."""
    return isinstance(source, DatasetSource) and source.paired


def open_dataset(
    path: str,
    *,
    subset: str | None = None,
    split: str | None = None,
    max_pixels: int | None = None,
    quiet: bool = False,
) -> DatasetSource:
    """A split of a folder (parquet, JSON lines, pictures with `metadata.jsonl`) or of a hub id.

    Args:
        path: the folder, which may be one of pairs (`catts pairs`), or the hub id.
        subset: which of a data set's configurations, where it has several.
        split: which split, such as `train[:1000]`; by default `train`, or the only one.
        max_pixels: larger pictures, width times height, are scaled down to it.
        quiet: whether to show no progress.

    Raises:
        InputError: it cannot be loaded, has no single split to train on, holds only a part of its
            pairs, or a row cannot be used.
    """
    if not Path(path).exists() and path.count("/") != 1:
        raise InputError(f"data: no folder at {path}; check the path, or give a hub id org/name")
    if Path(path).exists():
        disable_progress_bars()  # of steps that take no time
    check_complete(Path(path))
    try:
        # only what lies in the folder is read: no loading script runs
        found = load_dataset(
            path, name=subset, split=split, download_config=DownloadConfig(max_retries=2)
        )
    except Exception as error:
        raise InputError(f"data: {path} cannot be loaded: {error}") from error
    if isinstance(found, DatasetDict):
        splits = list(found)
        chosen = "train" if "train" in splits else splits[0] if len(splits) == 1 else None
        if chosen is None:
            raise InputError(
                f"data: {path} has the splits {', '.join(splits)}; none is train: give one (split)"
            )
        found = found[chosen]
    return DatasetSource(found, path, max_pixels=max_pixels, quiet=quiet)


def _scaled(image: Pictures.Image, max_pixels: int) -> Pictures.Image:
    shrink = sqrt(max_pixels / (image.width * image.height))
    size = max(1, int(image.width * shrink)), max(1, int(image.height * shrink))
    return image.resize(size, Pictures.Resampling.LANCZOS)
