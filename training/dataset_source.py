"""A data set of pictures with questions and answers as training questions."""

from pathlib import Path
from typing import Any

from datasets import Dataset, DatasetDict, DownloadConfig, Image, load_dataset
from rich.progress import track

from catts.errors import CattsError, ImageError, InputError
from catts.images import load_image
from catts.question import Question
from catts.training.data import TrainingRow

_NEEDED = ("image", "question", "answer")


class DatasetSource:
    """Rows with `image`, `question`, `answer` and, for multiple choice, `choices`.

    A choice's answer is its letter. There is no key region in such data: the whole picture is
    noised.
    """

    def __init__(self, rows: Dataset, name: str, *, quiet: bool = False) -> None:
        """Check every row, its picture included, before anything is trained.

        Args:
            rows: a split that has the columns.
            name: what messages call it.
            quiet: whether to show no progress.

        Raises:
            InputError: a column is missing, or a row cannot be used; the message names it.
        """
        missing = [column for column in _NEEDED if column not in rows.column_names]
        if missing:
            raise InputError(
                f"{name} has no column {' or '.join(missing)}; it has "
                f"{', '.join(rows.column_names)}: rename them"
            )
        # pictures are decoded by us, with a limit on their size
        self._rows, self._name = rows.cast_column("image", Image(decode=False)), name
        for index in track(range(len(self._rows)), "checking rows", disable=quiet, transient=True):
            self[index]

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, index: int) -> TrainingRow:
        row = self._rows[index]
        try:
            return _row(row)
        except CattsError as error:
            raise InputError(
                f"{self._name}, row {index + 1}: {error}; mend the row, or take it out"
            ) from error


def open_dataset(path: str, *, quiet: bool = False) -> DatasetSource:
    """The train split of a folder (parquet, JSON lines, pictures with `metadata.jsonl`) or hub id.

    Raises:
        InputError: it cannot be loaded, has no single split to train on, or a row cannot be used.
    """
    if not Path(path).exists() and path.count("/") != 1:
        raise InputError(f"data: no folder at {path}; check the path, or give a hub id org/name")
    try:
        # only what lies in the folder is read: no loading script runs
        found = load_dataset(path, download_config=DownloadConfig(max_retries=2))
    except Exception as error:
        raise InputError(f"data: {path} cannot be loaded: {error}") from error
    if isinstance(found, DatasetDict):
        splits = list(found)
        chosen = "train" if "train" in splits else splits[0] if len(splits) == 1 else None
        if chosen is None:
            raise InputError(f"data: {path} has the splits {', '.join(splits)}; none is train")
        found = found[chosen]
    return DatasetSource(found, path, quiet=quiet)


def _row(row: dict[str, Any]) -> TrainingRow:
    question, answer = row["question"], row["answer"]
    if not isinstance(question, str) or not question.strip():
        raise InputError("question is missing or blank")
    if not isinstance(answer, str) or not answer.strip():
        raise InputError("answer is missing or blank; write numbers as text")
    choices = tuple(map(str, row.get("choices") or ()))
    asked = Question(text=question, choices=choices)
    if choices and answer.strip() not in asked.letters:
        raise InputError(
            f"answer {answer[:40]!r} is not the letter of one of {len(choices)} choices"
        )
    stored = row["image"]
    if not isinstance(stored, dict):
        raise ImageError("image is missing")
    source = stored.get("bytes") or stored.get("path")
    if not source:
        raise ImageError("image is missing")
    return TrainingRow(question, load_image(source), answer.strip(), choices)
