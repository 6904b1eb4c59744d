"""Arguments of another type, and values of a wrong kind, are told before anything is loaded."""

import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.checkpoint.sqlite import SqliteSaver
from PIL import Image
from scripted_models import ScriptedEngine, ScriptedExpert

from catts.errors import InputError
from catts.graph import opening
from catts.graph.context import Context
from catts.graph.embed import answer
from catts.graph.events import Event
from catts.graph.node import as_node
from catts.graph.opening import open_context
from catts.graph.tool import as_tool
from catts.graph.trace import append_trace, read_traces, write_traces

THREAD: RunnableConfig = {"configurable": {"thread_id": "1"}}


def context(**options: Any) -> Context:
    return Context.of(ScriptedEngine(), ScriptedExpert(), routing="paper", **options)


@pytest.fixture
def synchronous() -> Iterator[SqliteSaver]:
    connection = sqlite3.connect(":memory:", check_same_thread=False)
    yield SqliteSaver(connection)
    connection.close()


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"question": 5}, "question is an int: give text"),
        ({"choices": None}, "choices is None: give a list"),
        ({"choices": 5}, "choices is an int: give a list"),
        ({"choices": "abc"}, "choices is a str: give a list"),
        ({"choices": {"a", "b"}}, "choices is a set: give a list"),
        ({"choices": ["a", None]}, r"choices\[1\] is None: give text"),
        ({"context": "x"}, "context is a str: give an instance of Context"),
        ({"checkpointer": "x"}, "checkpointer is a str: give a BaseCheckpointSaver"),
        ({"checkpointer": True}, "checkpointer is a bool"),
        ({"config": 5}, "config is an int: give a mapping"),
        (
            {"config": {"recursion_limit": "x"}},
            r"config\['recursion_limit'\] is a str: give an int",
        ),
        ({"config": {"configurable": 5}}, r"config\['configurable'\] is an int: give a mapping"),
        ({"on_event": 5}, "on_event is an int: give a function"),
    ],
)
async def test_arguments_of_a_question(given: Any, says: str, picture: Image.Image) -> None:
    with pytest.raises(InputError, match=says):
        await answer(picture, **{"question": "?", "context": context(), **given})


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"base": None}, "base is None: give text, a Path or an Engine"),
        ({"base": ""}, "the name of the model is empty"),
        ({"expert": 5}, "expert is an int: give text, a Path, a BaseChatModel, an Expert or"),
        ({"expert_url": 5}, "expert_url is an int: give text"),
        ({"api_key": "sk-secret"}, "api_key is a str: give a SecretStr"),
        ({"role_timeout": "x"}, "role_timeout is a str: give a number"),
        ({"expert_max_tokens": 1.5}, "expert_max_tokens is a float: give an int"),
        ({"rate_limiter": 5}, "rate_limiter is an int: give a BaseRateLimiter"),
        ({"device": 5}, "device is an int: give text"),
        ({"attn_implementation": 5}, "attn_implementation is an int: give text"),
        ({"max_pixels": "x"}, "max_pixels is a str: give an int"),
        ({"images": "folder"}, "images is a str: give an ImageStore"),
        ({"observer": 5}, "observer is an int: give an Observer"),
        ({"node_timeout": "x"}, "node_timeout is a str: give a number"),
        ({"attempts": "x"}, "attempts is a str: give an int"),
        ({"tell": 5}, "tell is an int: give a function"),
        ({"accept": float("nan")}, "accept: NaN is no number; give one"),
        ({"samples": []}, "samples: Input should be a valid integer, not list"),
    ],
)
async def test_arguments_of_a_context(
    given: Any, says: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def load(*_: object, **__: object) -> None:
        raise AssertionError("nothing may be loaded")

    monkeypatch.setattr(opening, "resolve_base", load)
    monkeypatch.setattr(opening, "import_libraries", load)
    with pytest.raises(InputError, match=says) as caught:
        async with open_context(**given):
            pass
    assert "sk-secret" not in str(caught.value)


@pytest.mark.parametrize("roles", [["criticc"], ["planner", "voter", "critic", "criticc"]])
async def test_an_unknown_role_is_told_with_the_known_ones(roles: list[str]) -> None:
    expert: Any = dict.fromkeys(roles, ScriptedExpert())
    with pytest.raises(InputError, match="key 'criticc': give 'planner', 'voter' or 'critic'"):
        async with open_context(ScriptedEngine(), expert):
            pass


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"engine": None}, "engine is None: give an Engine"),
        ({"expert": None}, "expert is None: give an Expert"),
        ({"images": Path()}, "images is a PosixPath: give an ImageStore"),
        ({"node_timeout": "x"}, "node_timeout is a str: give a number"),
        ({"attempts": 1.5}, "attempts is a float: give an int"),
        ({"samples": "x"}, "samples: Input should be a valid integer"),
    ],
)
def test_a_context_of_models(given: Any, says: str) -> None:
    with pytest.raises(InputError, match=says):
        Context.of(**{"engine": ScriptedEngine(), "expert": ScriptedExpert(), **given})


def test_a_node_a_tool_and_trace_files(tmp_path: Path) -> None:
    wrong: Any = 5
    with pytest.raises(InputError, match="context is an int"):
        as_node(wrong)
    with pytest.raises(InputError, match="question is an int: give text"):
        as_node(context(), question=wrong)
    with pytest.raises(InputError, match="context is an int"):
        as_tool(wrong, tmp_path)
    with pytest.raises(InputError, match="folder is an int: give text or a Path"):
        as_tool(context(), wrong)
    for call in (lambda: append_trace(wrong, wrong), lambda: write_traces(wrong, [])):
        with pytest.raises(InputError, match="path is an int: give text or a Path"):
            call()
    with pytest.raises(InputError, match="path is an int: give text or a Path"):
        list(read_traces(wrong))


async def test_trace_files_are_named_by_text_or_path(picture: Image.Image, tmp_path: Path) -> None:
    trace = await answer(picture, "?", context=context())
    for path in (tmp_path / "a.jsonl", str(tmp_path / "b.jsonl")):
        write_traces(path, [trace])
        append_trace(path, trace)
        assert list(read_traces(path)) == [trace, trace]


async def test_a_synchronous_checkpointer_is_told_what_to_use(
    picture: Image.Image, synchronous: SqliteSaver
) -> None:
    with pytest.raises(InputError, match=r"checkpointer is a SqliteSaver, .* AsyncSqliteSaver"):
        await answer(picture, "?", context=context(), checkpointer=synchronous, config=THREAD)


async def test_what_is_none_in_a_config_counts_as_left_out(picture: Image.Image) -> None:
    config: Any = {"recursion_limit": None, "callbacks": None, **THREAD}
    held = context()
    trace = await answer(picture, "?", context=held, checkpointer=InMemorySaver(), config=config)
    assert trace.answer == "3"
    assert (await answer(picture, "?", context=held, config={"configurable": None})).answer == "3"  # type: ignore[typeddict-item]


async def test_an_asynchronous_listener_is_awaited(picture: Image.Image) -> None:
    heard: list[str] = []

    async def listen(event: Event) -> None:
        heard.append(event.event)

    await answer(picture, "?", context=context(), on_event=listen)
    assert heard[-1] == "answered"


async def test_what_a_listener_raises_comes_out_unchanged(picture: Image.Image) -> None:
    async def listen(event: Event) -> None:
        raise LookupError("of the caller")

    with pytest.raises(LookupError, match="of the caller"):
        await answer(picture, "?", context=context(), on_event=listen)
