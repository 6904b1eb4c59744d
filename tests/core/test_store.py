"""What a store keeps: through a kill, beside another process, and never a thing it cannot read."""

import os
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from catts.agents.protocol import Usage
from catts.errors import StoreError
from catts.store import Store, key_of

PUTS = """
import sys
from pathlib import Path
from catts.agents.protocol import Usage
from catts.store import Store

store = Store(Path(sys.argv[1]))
for i in range(100_000):
    store.put(str(i), Usage(calls=i))
    print(i, flush=True)
"""


def test_what_was_put_is_got(tmp_path: Path) -> None:
    store = Store(tmp_path / "new folder" / "said.sqlite")
    store.put("a", Usage(calls=3))
    assert store.get("a", Usage) == Usage(calls=3)
    assert store.get("b", Usage) is None
    store.put("a", Usage(calls=4))
    assert (len(store), store.get("a", Usage)) == (1, Usage(calls=4))
    store.close()
    store.close()
    assert Store(tmp_path / "new folder" / "said.sqlite").get("a", Usage) == Usage(calls=4)


def test_what_a_kill_leaves_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "said.sqlite"
    writer = subprocess.Popen([sys.executable, "-c", PUTS, str(path)], stdout=subprocess.PIPE)
    assert writer.stdout is not None
    told = -1
    for line in writer.stdout:
        told = int(line)
        if told == 40:
            os.kill(writer.pid, signal.SIGKILL)
    writer.wait()
    store = Store(path)
    kept = len(store)
    assert kept >= told + 1
    assert [store.get(str(i), Usage) for i in range(kept)] == [Usage(calls=i) for i in range(kept)]


def test_two_writers_share_a_file(tmp_path: Path) -> None:
    one, other = Store(tmp_path / "said"), Store(tmp_path / "said")
    one.put("a", Usage(calls=1))
    other.put("b", Usage(calls=2))
    assert (one.get("b", Usage), other.get("a", Usage)) == (Usage(calls=2), Usage(calls=1))


def test_what_is_of_another_form_counts_as_not_there(tmp_path: Path) -> None:
    store = Store(tmp_path / "said")
    with sqlite3.connect(tmp_path / "said") as file:
        file.execute("INSERT INTO said VALUES ('a', 'no JSON'), ('b', '{\"calls\": -1}')")
    assert (store.get("a", Usage), store.get("b", Usage)) == (None, None)


async def test_recall_asks_once_and_keeps_nothing_of_a_failure(tmp_path: Path) -> None:
    store, asked = Store(tmp_path / "said"), []

    async def ask() -> Usage:
        asked.append(1)
        if len(asked) == 1:
            raise RuntimeError("lost")
        return Usage(calls=7)

    with pytest.raises(RuntimeError):
        await store.recall("a", Usage, ask)
    assert len(store) == 0
    assert [await store.recall("a", Usage, ask) for _ in range(3)] == [Usage(calls=7)] * 3
    assert len(asked) == 2


def test_what_is_no_store_is_told(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("a text of some length, which is no database at all" * 20)
    with pytest.raises(StoreError, match="choose another"):
        Store(tmp_path / "text")
    with pytest.raises(StoreError):
        Store(tmp_path / "text" / "below")


def test_keys_differ_in_every_part() -> None:
    keys = {key_of("a", "b"), key_of("ab"), key_of("a", ["b"]), key_of("a", {"b": 1.0}), key_of()}
    assert len(keys) == 5
    assert key_of({"a": 1, "b": 2}) == key_of({"b": 2, "a": 1})
