"""Files of a benchmark: found on the disk or on the hub, and read row by row."""

import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from catts.errors import BenchmarkError
from catts.evals.benchmarks.rows import Row

_HUB_ID = re.compile(r"\w[\w.-]*/[\w.-]+")  # ./folder is none
_TABLES = (".parquet", ".jsonl", ".json")
_BATCH_ROWS = 64


def find_files(source: str | Path, stems: Sequence[str]) -> list[Path]:
    """The files to read: `source` itself, the shards of a split in a folder, or the hub's.

    Args:
        source: a parquet, jsonl or json file; a folder with such files at any depth; or a hub id,
            downloaded into the hub's cache, where nothing of that name is on the disk.
        stems: names of a split's files without ending and shard number: `test` finds
            `test.parquet`, `test.jsonl` and `data/test-00000-of-00002.parquet`, not
            `testmini.parquet`. Of several kinds of file in a folder, parquet counts.

    Raises:
        BenchmarkError: nothing is there, the hub is out of reach, or the split has no file.
    """
    path = Path(source).expanduser()
    if path.is_file():
        if path.suffix not in _TABLES:
            raise BenchmarkError(f"{path} is no parquet, jsonl or json file; give one, or a folder")
        return [path]
    if not path.is_dir():
        if isinstance(source, Path) or not _HUB_ID.fullmatch(source):
            raise BenchmarkError(f"no file or folder at {source}; check the path, or give a hub id")
        path = _from_hub(source, stems)
    tables = sorted(
        file
        for file in path.rglob("*")
        if file.suffix in _TABLES and not _hidden(file.relative_to(path)) and file.is_file()
    )
    for ending in _TABLES:
        files = [file for file in tables if file.suffix == ending and _is_of(file.stem, stems)]
        if files:
            return files
    found = ", ".join(str(file.relative_to(path)) for file in tables[:5]) or "no such files"
    raise BenchmarkError(
        f"{path} has no parquet, jsonl or json file called {' or '.join(stems)} (it has {found}); "
        "check the split, or give the file itself"
    )


def read_rows(file: Path, columns: Sequence[str], required: Sequence[str]) -> Iterator[Row]:
    """The rows of a parquet, jsonl or json file, in order.

    Args:
        file: jsonl has an object a line; json a list of objects, or a mapping of them by id.
        columns: the columns to read from parquet; others stay on the disk.
        required: those that a parquet file must have; a missing one is no fault of a single row.

    Raises:
        BenchmarkError: the file is not what its ending says, is truncated, or lacks a column.
    """
    if file.suffix == ".parquet":
        yield from _parquet_rows(file, columns, required)
    elif file.suffix == ".jsonl":
        yield from _jsonl_rows(file)
    else:
        yield from _json_rows(file)


def _is_of(stem: str, stems: Sequence[str]) -> bool:
    return any(stem == known or stem.startswith(f"{known}-") for known in stems)


def _hidden(path: Path) -> bool:
    return any(part.startswith(".") for part in path.parts)


def _from_hub(repository: str, stems: Sequence[str]) -> Path:
    # huggingface_hub comes with transformers; the `datasets` library would decode every picture and
    # bring a second cache for what are a few parquet files
    from huggingface_hub import snapshot_download

    patterns = [
        f"{folder}{stem}{rest}.parquet"
        for stem in stems
        for folder in ("", "*/")
        for rest in ("", "-*")
    ]
    try:
        return Path(snapshot_download(repository, repo_type="dataset", allow_patterns=patterns))
    except Exception as error:  # its errors have no common base: connection, name, rights, disk
        raise BenchmarkError(
            f"there is no file or folder {repository}, and the hub did not give the data set "
            f"({type(error).__name__}): check the name and the connection, or download it where "
            f"there is a network (`hf download {repository} --repo-type dataset --local-dir "
            "FOLDER`) and give that folder"
        ) from error


def _parquet_rows(file: Path, columns: Sequence[str], required: Sequence[str]) -> Iterator[Row]:
    try:
        import pyarrow
        import pyarrow.parquet as parquet
    except ImportError as error:
        raise BenchmarkError("reading parquet needs pyarrow: pip install 'catts[evals]'") from error
    number = 0
    try:
        with parquet.ParquetFile(file) as table:
            names = set(table.schema_arrow.names)
            missing = [column for column in required if column not in names]
            if missing:
                raise BenchmarkError(
                    f"{file} has no column {', '.join(missing)}; is it of this benchmark?"
                )
            wanted = [column for column in columns if column in names]
            for batch in table.iter_batches(batch_size=_BATCH_ROWS, columns=wanted):
                for values in batch.to_pylist():
                    number += 1
                    yield Row(file, number, values)
    except (OSError, ValueError, pyarrow.ArrowException) as error:
        raise BenchmarkError(
            f"{file} cannot be read as parquet after row {number}; download it again"
        ) from error


def _jsonl_rows(file: Path) -> Iterator[Row]:
    try:
        with file.open(encoding="utf-8") as lines:
            for number, line in enumerate(lines, start=1):
                if line.strip():
                    yield _row(file, number, _parsed(line))
    except (OSError, UnicodeDecodeError) as error:
        raise BenchmarkError(f"{file} cannot be read as UTF-8 text; download it again") from error


def _parsed(line: str) -> object:
    try:
        return json.loads(line)
    except (ValueError, RecursionError):
        return None


def _json_rows(file: Path) -> Iterator[Row]:
    try:
        data = json.loads(file.read_text("utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise BenchmarkError(f"{file} cannot be read as JSON; download it again") from error
    if not isinstance(data, list | dict):
        raise BenchmarkError(f"{file} holds neither a list nor a mapping of rows")
    for number, entry in enumerate(data.values() if isinstance(data, dict) else data, start=1):
        yield _row(file, number, entry)


def _row(file: Path, number: int, value: object) -> Row:
    if isinstance(value, dict):
        return Row(file, number, value)
    return Row(file, number, {}, broken="is not a JSON object")
