"""Files that are whole or not there."""

from pathlib import Path


def write_whole(path: Path, data: bytes | str) -> None:
    """Write `data` (text as UTF-8) beside `path` and rename it: nobody ever meets half a file.

    What a kill leaves behind is named `.NAME.part`.

    Raises:
        OSError: the folder is not there, or cannot be written.
    """
    part = path.with_name(f".{path.name}.part")
    part.write_bytes(data.encode() if isinstance(data, str) else data)
    part.replace(path)
