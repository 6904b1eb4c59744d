"""Every example runs on the embedded models, as a person would run it."""

import asyncio
import base64
import importlib.util
import json
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from langchain_core.language_models import GenericFakeChatModel
from langchain_core.messages import AIMessage, ToolMessage
from langchain_core.tools import BaseTool
from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver
from PIL import Image, ImageDraw

from catts.errors import ImageError

ROOT = Path(__file__).parents[2]

models = pytest.mark.models


def example(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, ROOT / "examples" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    image = Image.new("RGB", (112, 112), "white")
    ImageDraw.Draw(image).ellipse((30, 30, 70, 70), fill="red")
    path = tmp_path / "picture.png"
    image.save(path)
    return path


def _contents(folder: Path) -> bytes:
    return b"".join(file.read_bytes() for file in folder.iterdir())


def data_url(path: Path) -> str:
    return f"data:image/png;base64,{base64.b64encode(path.read_bytes()).decode()}"


class Agent(GenericFakeChatModel):
    """Follows a script, where an agent's model would decide."""

    def bind_tools(self, tools: Any, **options: Any) -> "Agent":
        assert [t.name for t in tools if isinstance(t, BaseTool)] == ["look_at_image"]
        return self


def agent(**arguments: Any) -> Agent:
    def replies() -> Iterator[AIMessage]:
        call = {"name": "look_at_image", "id": "1", "args": arguments}
        yield AIMessage(content="", tool_calls=[{**call, "type": "tool_call"}])
        yield AIMessage(content="done")

    return Agent(messages=replies())


@pytest.mark.parametrize("name", sorted(p.stem for p in (ROOT / "examples").glob("*.py")))
def test_every_example_loads_without_loading_models(name: str) -> None:
    module = example(name)
    assert module.__doc__
    assert hasattr(module, "graph" if name == "langgraph_app" else "main")


def test_the_served_graph_tells_a_client_what_to_send() -> None:
    graph = example("langgraph_app").graph
    schema = graph.get_input_jsonschema()
    assert schema["required"] == ["image", "question"]
    assert schema["properties"].keys() == {"image", "question", "choices"}
    told = graph.get_output_jsonschema()["properties"].keys()
    assert told == {"answer", "answer_text", "trace"}


@pytest.mark.parametrize("image", ["/etc/passwd", "picture.png", "https://a/b.png", "data:,AAAA"])
async def test_the_served_graph_reads_no_path_and_no_address(image: str, tmp_path: Path) -> None:
    graph = example("langgraph_app").graph
    with pytest.raises(ImageError, match="takes a data URL"):
        await graph.ainvoke({"image": image, "question": "?"})


class TestOnEmbeddedModels:
    pytestmark = models

    async def test_answer(self, picture: Path, capsys: pytest.CaptureFixture[str]) -> None:
        trace = await example("answer").main(
            str(picture), "What colour is the circle?", "red", "blue"
        )
        assert trace.answer is not None
        assert trace.question.choices == ("red", "blue")
        assert str(trace.answer_text) in capsys.readouterr().out

    async def test_as_node(self, picture: Path) -> None:
        state = await example("as_node").main(str(picture), "How many shapes are there?")
        assert state["report"].startswith("The answer is")
        assert state["trace"]["answer_text"] == state["answer_text"]

    async def test_as_tool(self, picture: Path) -> None:
        messages = await example("as_tool").main(
            str(picture.parent),
            "How many shapes are in picture.png?",
            agent(image="picture.png", question="How many shapes are there?"),
        )
        (told,) = [m for m in messages if isinstance(m, ToolMessage)]
        assert told.status == "success"
        assert told.artifact["answer"] is not None

    @pytest.mark.parametrize("expert", ["embedded", "base", "folder"])
    async def test_local_expert(self, picture: Path, expert: str) -> None:
        spec = str(ROOT / "embedded" / "models" / "expert") if expert == "folder" else expert
        trace = await example("local_expert").main(str(picture), "How many shapes are there?", spec)
        assert trace.answer is not None
        candidates = {s.answer for s in trace.samples if s.answer is not None}
        asked = 2 if len(candidates) == 1 else 3  # nobody votes on a single candidate
        assert trace.usage.expert_calls >= asked

    async def test_the_served_graph(self, picture: Path, tmp_path: Path) -> None:
        with (ROOT / "langgraph.json").open() as file:
            where, _, name = json.load(file)["graphs"]["catts"].partition(":")
        module = example(Path(where).stem)
        graph = getattr(module, name)
        asked = {"image": data_url(picture), "question": "How many shapes are there?"}
        store = tmp_path / "runs.sqlite"
        async with AsyncSqliteSaver.from_conn_string(str(store)) as saver:
            graph.checkpointer = saver
            config = {"configurable": {"thread_id": "1"}}
            for _ in range(2):
                result = await graph.ainvoke(asked, config)
        assert result["answer"] is not None
        assert result["trace"]["version"] == 1
        assert "image" not in result
        assert module.MODELS.node() is module.MODELS.node(), "compiled once"
        stored = await asyncio.to_thread(_contents, tmp_path)
        assert b"How many shapes" in stored
        assert asked["image"][40:80].encode() not in stored
