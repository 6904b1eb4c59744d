"""The graph inside other programs, on scripted models."""

import asyncio
import json
import subprocess
import sys
from pathlib import Path
from typing import Any, TypedDict

import pytest
from langchain_core.callbacks import AsyncCallbackHandler
from langchain_core.messages import ToolMessage
from langchain_core.rate_limiters import InMemoryRateLimiter
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import END, START, StateGraph
from PIL import Image
from pydantic import BaseModel, SecretStr, ValidationError
from scripted_models import ScriptedEngine, ScriptedExpert

from catts.agents.protocol import Usage
from catts.errors import EngineError, ImageError, InputError, ModelSpecError, RoleError
from catts.graph import opening
from catts.graph.build import build_graph
from catts.graph.context import Context
from catts.graph.embed import answer, answer_sync, summary
from catts.graph.events import Answered, BallotCast, Event, Failed, Routed, parse_event
from catts.graph.node import as_node
from catts.graph.opening import open_context
from catts.graph.tool import as_tool
from catts.graph.trace import Trace
from catts.images import ImageStore, image_digest, load_image
from catts.question import Question


def context(**options: Any) -> Context:
    return Context.of(
        ScriptedEngine(), ScriptedExpert(**options.pop("expert", {})), routing="paper", **options
    )


def test_the_synchronous_call(picture: Image.Image) -> None:
    assert answer_sync(picture, "?", context=context()).answer == "3"


async def test_the_synchronous_call_refuses_a_running_loop(picture: Image.Image) -> None:
    with pytest.raises(InputError, match=r"^an event loop is running here: write `await answer\("):
        answer_sync(picture, "?", context=context())


async def test_several_images_keep_their_order(picture: Image.Image, tmp_path: Path) -> None:
    path = tmp_path / "second.png"
    Image.new("RGB", (5, 7)).save(path)
    held = context()
    trace = await answer([picture, path], "?", context=held)
    digests = tuple(image_digest(load_image(source)) for source in (picture, path))
    assert trace.question.images == digests
    assert held.engine.sizes == [(24, 16), (5, 7)]  # type: ignore[attr-defined]


async def test_pictures_are_let_go_unless_the_store_has_a_folder(
    picture: Image.Image, tmp_path: Path
) -> None:
    held = context()
    trace = await answer(picture, "?", context=held)
    assert trace.question.images[0] not in held.images
    kept = context(images=ImageStore(tmp_path))
    trace = await answer(picture, "?", context=kept)
    assert trace.question.images[0] in kept.images


async def test_objects_may_stand_for_base_and_expert(picture: Image.Image) -> None:
    engine, expert = ScriptedEngine(), ScriptedExpert()
    trace = await answer(picture, "?", base=engine, expert=expert, routing="parallel")
    assert trace.policy.routing == "parallel"


@pytest.mark.parametrize(
    ("image", "question", "options", "message"),
    [
        ("/nowhere/a.png", "?", {}, "no file"),
        (b"not an image", "?", {}, "not an image"),
        (bytearray(b"a buffer"), "?", {}, "bytearray is no image"),
        (7, "?", {}, "int is no image"),
        (None, " ", {}, "blank"),
        ([], "?", {}, "no image"),
        (None, "?", {"choices": ["x"] * 27}, "up to 26"),
        (None, "?", {"samples": 3}, "not both"),
        (None, "?", {"base": ScriptedEngine()}, "not both"),
        (None, "?", {"expert": ScriptedExpert()}, "not both"),
    ],
)
async def test_what_cannot_be_used_is_an_input_error(
    picture: Image.Image, image: Any, question: str, options: Any, message: str
) -> None:
    with pytest.raises(InputError, match=message):
        await answer(picture if image is None else image, question, context=context(), **options)


async def test_a_run_in_one_line(picture: Image.Image) -> None:
    whole = await answer(picture, "?", context=context())
    assert summary(whole) == "3 (54% of the votes)"
    two = {"voter": RoleError("voter", "no"), "critic": RoleError("critic", "no")}
    failed = await answer(picture, "?", context=context(expert={"fail": two}))
    assert summary(failed) == "3 (73% of the votes); failed: voter, critic"
    broken = Context.of(ScriptedEngine(fail={"sample": EngineError("no")}), ScriptedExpert())
    none = await answer(picture, "?", context=broken)
    assert summary(none) == "no answer (the base model produced nothing); failed: sampler"


async def test_a_smaller_limit_on_steps_ends_no_run(picture: Image.Image) -> None:
    trace = await answer(picture, "?", context=context(), config={"recursion_limit": 3})
    assert trace.answer == "3"


async def test_events_tell_the_whole_run(picture: Image.Image) -> None:
    events: list[Event] = []
    held = context(expert={"fail": {"voter": RoleError("voter", "no")}})
    trace = await answer(picture, "?", context=held, on_event=events.append)
    ballots = [e for e in events if isinstance(e, BallotCast)]
    assert sorted((b.source, b.answer, b.weight) for b in ballots) == sorted(
        (b.source, b.answer, b.weight) for b in trace.ballots
    )
    assert [e.to for e in events if isinstance(e, Routed)] == [d.to for d in trace.route]
    assert [e.node for e in events if isinstance(e, Failed)] == ["voter"]
    last = events[-1]
    assert isinstance(last, Answered)
    assert (last.answer, last.votes) == (trace.answer, trace.votes)
    assert events[1].model_dump() == {
        "v": 1,
        "question": trace.question.digest,
        "node": "sampler",
        "event": "started",
        "attempt": 1,
    }


async def test_streamed_events_are_plain_json(picture: Image.Image) -> None:
    held = context()
    question = Question(text="?", images=(held.images.put(picture),))
    kinds = []
    async for data in build_graph().astream(
        {"question": question}, context=held, stream_mode="custom"
    ):
        assert parse_event(json.loads(json.dumps(data))).model_dump(mode="json") == data
        kinds.append(data["event"])
    assert set(kinds) == {
        "started", "sampled", "ballot", "finished", "routed", "planned", "criticised", "answered",
    }  # fmt: skip
    with pytest.raises(ValidationError):
        parse_event({"event": "unheard"})


class Parent(TypedDict, total=False):
    image: Any
    question: str
    answer: str
    trace: dict[str, Any]
    length: int


class ParentContext(TypedDict):
    unit: str


def parent(held: Context, schema: type = Parent, saver: Any = None) -> Any:
    from langgraph.runtime import Runtime

    async def after(state: Any, runtime: Runtime[ParentContext]) -> dict[str, Any]:
        assert runtime.context == {"unit": "dots"}, "the other graph keeps its own context"
        return {"length": len(dict(state)["answer"])}

    builder = StateGraph(schema, context_schema=ParentContext)
    builder.add_node("look", as_node(held))
    builder.add_node("after", after)
    builder.add_edge(START, "look")
    builder.add_edge("look", "after")
    builder.add_edge("after", END)
    return builder.compile(checkpointer=saver)


@pytest.mark.parametrize("schema", ["typed dict", "pydantic"])
async def test_as_a_node_of_another_graph(
    schema: str, picture: Image.Image, tmp_path: Path
) -> None:
    class Model(BaseModel):
        image: Any
        question: str
        answer: str | None = None
        length: int = 0

    path = tmp_path / "a.png"
    picture.save(path)
    graph = parent(context(), Parent if schema == "typed dict" else Model, saver=InMemorySaver())
    result = await graph.ainvoke(
        {"image": str(path), "question": "?"},
        {"configurable": {"thread_id": "1"}},
        context={"unit": "dots"},
    )
    assert (result["answer"], result["length"]) == ("3", 1)
    if schema == "typed dict":
        assert Trace.model_validate(result["trace"]).answer == "3"


async def test_events_pass_through_another_graph(picture: Image.Image) -> None:
    events = [
        parse_event(data).event
        async for _, data in parent(context()).astream(
            {"image": picture, "question": "?"},
            context={"unit": "dots"},
            stream_mode="custom",
            subgraphs=True,
        )
    ]
    assert events[0] == "routed"
    assert events[-1] == "answered"


async def test_callbacks_pass_through_another_graph(picture: Image.Image) -> None:
    names: set[str] = set()

    class Handler(AsyncCallbackHandler):
        async def on_chain_start(self, *args: Any, **options: Any) -> None:
            names.add(str(options.get("name")))

    await parent(context()).ainvoke(
        {"image": picture, "question": "?"}, {"callbacks": [Handler()]}, context={"unit": "dots"}
    )
    assert {"look", "catts", "sampler"} <= names


async def test_a_node_without_a_question_says_what_it_reads() -> None:
    with pytest.raises(InputError, match="reads"):
        await parent(context()).ainvoke({"question": "?"}, context={"unit": "dots"})


async def test_as_a_tool(picture: Image.Image, tmp_path: Path) -> None:
    picture.save(tmp_path / "dots.png")
    tool = as_tool(context(), tmp_path)
    assert set(tool.args) == {"image", "question", "choices"}
    call = {
        "name": tool.name,
        "id": "1",
        "type": "tool_call",
        "args": {"image": "dots.png", "question": "How many?"},
    }
    for message in (await tool.ainvoke(call), await asyncio.to_thread(tool.invoke, call)):
        assert isinstance(message, ToolMessage)
        assert message.content == "3 (54% of the votes)"
        assert Trace.model_validate(message.artifact).answer == "3"


@pytest.mark.parametrize("name", ["../secret.png", "/etc/hostname", "link.png", "a\0b", "x" * 999])
async def test_a_tool_opens_nothing_outside_its_folder(name: str, tmp_path: Path) -> None:
    (folder := tmp_path / "images").mkdir()
    secret = tmp_path / "secret.png"
    Image.new("RGB", (3, 3)).save(secret)
    (folder / "link.png").symlink_to(secret)
    held = context()
    told = await as_tool(held, folder).ainvoke({"image": name, "question": "?"})
    assert held.engine.calls == []  # type: ignore[attr-defined]
    assert "secret" not in told


async def test_a_tool_tells_the_agent_what_went_wrong(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("no image")
    tool = as_tool(context(), tmp_path)
    assert "there are none" in await tool.ainvoke({"image": "b.png", "question": "?"})
    for name in ("c.JPG", "a.webp", *(f"p{index}.png" for index in range(5))):
        (tmp_path / name).write_bytes(b"")
    told = await tool.ainvoke({"image": "b.png", "question": "?"})
    assert told == "no such image; there are a.webp, c.JPG, p0.png, p1.png, p2.png and 2 more"
    told = await tool.ainvoke({"image": "notes.txt", "question": "?"})
    assert told.startswith("notes.txt is not an image")
    assert str(tmp_path) not in told
    with pytest.raises(InputError) as caught:
        as_tool(context(), tmp_path / "none")
    assert str(caught.value) == f"there is no folder {tmp_path / 'none'}; make it, or name another"


def test_the_picture_shows_the_nodes_and_no_plumbing() -> None:
    from catts.graph.picture import mermaid

    drawn = mermaid()
    for edge in ("sampler --> route", "route -.-> voter", "voter --> route", "decide --> __end__"):
        assert edge in drawn
    assert "__error_handler__" not in drawn


async def test_a_missing_image_in_the_store(picture: Image.Image) -> None:
    with pytest.raises(ImageError):
        await answer("data:image/png;base64,AAAA", "?", context=context())


async def test_models_that_the_caller_gave_stay_open(picture: Image.Image) -> None:
    engine, expert = ScriptedEngine(), ScriptedExpert()
    trace = await answer(picture, "How many?", base=engine, expert=expert)
    assert trace.answer == "3"
    async with open_context(engine, expert, samples=3) as context:
        assert context.policy.samples == 3
    assert (engine.closed, expert.closed) == (0, 0)


async def test_experts_of_the_caller_in_a_mapping_stay_open() -> None:
    expert = ScriptedExpert()
    roles: Any = {"planner": expert, "voter": expert, "critic": expert}
    async with open_context(ScriptedEngine(), roles):
        pass
    assert expert.closed == 0


async def test_what_was_loaded_is_freed_also_when_something_else_is_bad(
    tiny_checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed = []

    class Loaded(ScriptedEngine):
        async def aclose(self) -> None:
            closed.append("base")

    monkeypatch.setattr(opening, "resolve_base", lambda *_, **__: Loaded())
    with pytest.raises(ModelSpecError, match="`base` as expert"):
        async with open_context("some/base", "base"):
            pass
    assert closed == ["base"]
    with pytest.raises(InputError, match="reflect_below"):
        async with open_context("some/base", ScriptedExpert(), reflect_below=0.5):
            pass
    assert closed == ["base", "base"]
    with pytest.raises(RuntimeError, match="of the caller"):
        async with open_context("some/base", ScriptedExpert()):
            raise RuntimeError("of the caller")
    assert closed == ["base", "base", "base"]


@pytest.mark.parametrize("settings", [{"sample": 3}, {"samples": 0}, {"temperature": -1}])
async def test_bad_settings_are_told_before_anything_is_loaded(
    settings: dict[str, float], monkeypatch: pytest.MonkeyPatch
) -> None:
    def load(*_: object, **__: object) -> None:
        raise AssertionError("nothing may be loaded")

    monkeypatch.setattr(opening, "resolve_base", load)
    monkeypatch.setattr(opening, "import_libraries", load)
    with pytest.raises(InputError, match=next(iter(settings))):
        async with open_context(**settings):
            pass


@pytest.mark.parametrize(
    ("specs", "says"),
    [
        ({"base": "./nothing"}, "no model at './nothing'"),
        ({"base": "nobody"}, "no model at 'nobody'"),
        ({"expert": "./nothing"}, "no model at './nothing'"),
        ({"expert": "nobody"}, "names no expert"),
        ({"expert": "nonesuch:model"}, "no provider 'nonesuch'"),
        ({"expert": "google_genai:gemini-2.5-pro"}, "needs a key"),
        ({"expert": "qwen", "expert_url": "localhost"}, "no address of a server"),
        ({"device": "gpu"}, "'gpu' is no device"),
        ({"dtype": "int4"}, "dtype 'int4' is none of"),
        ({"api_key": SecretStr("sk-fake")}, "the expert embedded takes no key"),
        ({"rate_limiter": InMemoryRateLimiter()}, "the expert embedded takes no rate limiter"),
        ({"expert": ScriptedExpert(), "role_timeout": 3}, "takes no time limit"),
        ({"expert": ScriptedExpert(), "expert_max_tokens": 3}, "takes no limit on its tokens"),
        ({"expert_max_tokens": 0}, "the longest reply is 0 tokens"),
        ({"role_timeout": 0}, "the time limit is 0 s"),
    ],
)
async def test_what_names_nothing_is_told_before_anything_is_loaded(
    specs: dict[str, Any], says: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def load(*_: object, **__: object) -> None:
        raise AssertionError("nothing may be loaded")

    for key in ("GOOGLE_API_KEY", "GEMINI_API_KEY", "GOOGLE_GENAI_USE_VERTEXAI"):
        monkeypatch.delenv(key, raising=False)
    monkeypatch.setattr(opening, "resolve_base", load)
    monkeypatch.setattr(opening, "import_libraries", load)
    with pytest.raises(ModelSpecError, match=says):
        async with open_context(**specs):
            pass


async def test_bad_specs_are_told_without_importing_torch() -> None:
    program = """
import asyncio, sys
from catts.errors import ModelSpecError
from catts.graph.opening import open_context

async def told(**specs):
    try:
        async with open_context(**specs):
            pass
    except ModelSpecError as error:
        return str(error)

for specs in ({"base": "./nothing"}, {"device": "gpu"}, {"expert": "nonesuch:model"}):
    assert asyncio.run(told(**specs)), specs
assert "torch" not in sys.modules
assert "transformers" not in sys.modules
"""
    told = await asyncio.to_thread(
        subprocess.run, [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    assert told.returncode == 0, told.stderr


async def test_a_local_expert_follows_the_policys_longest_completion(
    tiny_checkpoint: Path,
) -> None:
    async def limit(**settings: Any) -> int:
        async with open_context(tiny_checkpoint, "base", device="cpu", **settings) as opened:
            with pytest.raises(RoleError) as caught:
                await opened.expert.plan(Question(text="What?"), [], [])
            assert isinstance(caught.value.usage, Usage)
            return caught.value.usage.completion_tokens

    assert await limit(max_new_tokens=3) == 2 * 3
    assert await limit(max_new_tokens=3, expert_max_tokens=5) == 2 * 5
