"""CA-TTS as a tool of an agent."""

import asyncio
import os
from pathlib import Path
from typing import Any

from langchain_core.runnables import RunnableConfig
from langchain_core.tools import BaseTool, StructuredTool, ToolException

from catts.arguments import check_types
from catts.decoding import is_picture
from catts.errors import ImageError, InputError
from catts.graph.blocking import block_on
from catts.graph.build import unsaved_graph
from catts.graph.context import Context
from catts.graph.embed import ask, plain, run, summary

_TOLD = 5
"""Pictures that an agent is told of when it names one that is not there."""


def as_tool(context: Context, folder: str | Path, *, name: str = "look_at_image") -> BaseTool:
    """CA-TTS as a tool of an agent that asks about images in `folder`.

    The agent names an image by its path in `folder`; nothing outside can be opened. It gets the
    answer with its share of the votes as text, and the `Trace` as the message's artifact. A
    missing image is told to the agent instead of being raised.

    Raises:
        InputError: there is no such folder, or an argument has another type.
    """
    check_types(as_tool, **locals())
    root = Path(folder).resolve()
    if not root.is_dir():
        raise InputError(f"there is no folder {folder}; make it, or name another")
    graph = unsaved_graph()

    async def look(
        image: str, question: str, config: RunnableConfig, choices: list[str] | None = None
    ) -> tuple[str, dict[str, Any]]:
        held = context.for_one_run()
        try:
            asked = await asyncio.to_thread(
                ask, held.images, _inside(root, image), question, choices or ()
            )
        except InputError as error:
            # an agent's conversation is no place for a server's paths
            raise ToolException(str(error).replace(f"{root}{os.sep}", "")) from error
        trace = await run(graph, asked, held, config)
        return summary(trace), plain(trace)

    def look_sync(
        image: str, question: str, config: RunnableConfig, choices: list[str] | None = None
    ) -> tuple[str, dict[str, Any]]:
        return block_on(look(image, question, config, choices))

    return StructuredTool.from_function(
        func=look_sync,
        coroutine=look,
        name=name,
        description=(
            "Answer a question about one image. `image` is its file name, `choices` the texts of "
            "a multiple-choice question. Says how sure the answer is."
        ),
        response_format="content_and_artifact",
        handle_tool_error=True,
    )


def _inside(root: Path, name: str) -> Path:
    """The file `name` in `root`; the agent's text cannot lead out of it, by links neither."""
    try:
        path = (root / name).resolve()
        found = path.is_file()
    except (OSError, ValueError, RuntimeError) as error:
        raise ImageError("that is not the name of a file") from error
    if not path.is_relative_to(root):
        raise ImageError("images outside the folder cannot be opened; give a name in it")
    if not found:
        raise ImageError(f"no such image; there are {_pictures(root)}")
    return path


def _pictures(root: Path) -> str:
    """The first pictures in the folder; an agent is told neither of other files nor of hundreds."""
    known = sorted(p.name for p in root.iterdir() if is_picture(p.name) and p.is_file())
    more = f" and {len(known) - _TOLD} more" if len(known) > _TOLD else ""
    return (", ".join(known[:_TOLD]) or "none") + more
