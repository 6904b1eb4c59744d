"""Run as a program: one question on a SQLite checkpoint; may kill itself inside a module.

Usage: sqlite_run.py DATABASE IMAGES LOG DIE_IN|- ROUTING; prints the trace as JSON.
"""

import asyncio
import os
import signal
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver
from PIL import Image
from scripted_models import ScriptedEngine, ScriptedExpert

from catts.graph.context import Context
from catts.graph.embed import answer
from catts.images import ImageStore


def logged(kind: type, log: Path, die_in: str) -> type:
    class Logged(kind):  # type: ignore[misc]
        async def _act(self, method: str) -> None:
            with log.open("a") as file:
                file.write(method + "\n")
            if method == die_in:
                os.kill(os.getpid(), signal.SIGKILL)
            await super()._act(method)

    return Logged


async def main(database: str, images: str, log: str, die_in: str, routing: str) -> None:
    engine: Any = logged(ScriptedEngine, Path(log), die_in)()
    expert: Any = logged(ScriptedExpert, Path(log), die_in)(order=("critic", "voter", "self_check"))
    context = Context.of(engine, expert, routing=routing, images=ImageStore(images))
    async with AsyncSqliteSaver.from_conn_string(database) as saver:
        trace = await answer(
            Image.new("RGB", (24, 16), "teal"),
            "How many?",
            context=context,
            checkpointer=saver,
            config={"configurable": {"thread_id": "one"}},
        )
    print(trace.model_dump_json())


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
