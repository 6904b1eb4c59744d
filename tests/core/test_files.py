"""Files are whole or not there."""

import os
import threading
from pathlib import Path

import pytest

from catts.files import whole_file, write_whole


def test_text_and_bytes_are_written(tmp_path: Path) -> None:
    write_whole(tmp_path / "text", "schön")
    write_whole(tmp_path / "bytes", b"\x00\xff")
    assert (tmp_path / "text").read_text(encoding="utf-8") == "schön"
    assert (tmp_path / "bytes").read_bytes() == b"\x00\xff"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bytes", "text"]


def test_a_failure_in_the_middle_leaves_the_old_file_alone(tmp_path: Path) -> None:
    path = tmp_path / "file"
    write_whole(path, "old")
    with pytest.raises(KeyboardInterrupt), whole_file(path) as file:
        file.write(b"half of the new o")
        raise KeyboardInterrupt
    assert [other.read_text() for other in tmp_path.iterdir()] == ["old"]


def test_until_the_end_a_reader_meets_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "file"
    write_whole(path, "old")
    with whole_file(path) as file:
        file.write(b"new")
        file.flush()
        assert path.read_text() == "old"
    assert path.read_text() == "new"


def test_several_writers_of_one_path_leave_one_whole_file(tmp_path: Path) -> None:
    path = tmp_path / "file"
    texts = [letter * 100_000 for letter in "abcdefgh"]
    together = threading.Barrier(len(texts))

    def write(text: str) -> None:
        together.wait()
        write_whole(path, text)

    threads = [threading.Thread(target=write, args=(text,)) for text in texts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert path.read_text() in texts
    assert list(tmp_path.iterdir()) == [path]


def test_others_may_read_it_as_the_umask_says(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        write_whole(tmp_path / "file", "")
    finally:
        os.umask(before)
    assert (tmp_path / "file").stat().st_mode & 0o777 == 0o640


@pytest.mark.parametrize("name", ["", "missing/file"])
def test_a_path_that_cannot_be_written_is_an_os_error(tmp_path: Path, name: str) -> None:
    with pytest.raises(OSError):
        write_whole(tmp_path / name, "")
    assert list(tmp_path.iterdir()) == []
