import asyncio
import base64
import io

import pytest
from langchain_core.messages import AIMessage, HumanMessage, SystemMessage
from PIL import Image

from catts.agents.card import CARD_NAME, ModelCard
from catts.agents.engines.transformers_engine import TransformersEngine
from catts.agents.expert import Candidate
from catts.agents.experts.briefing import image_blocks
from catts.agents.experts.chat_model import EngineChatModel, flatten
from catts.agents.protocol import SamplingParams
from catts.agents.spec import resolve_base, resolve_expert
from catts.errors import EngineError, RoleError
from catts.prompts import load_prompts
from catts.question import Question

QUESTION = Question(text="How many cars are there?")
CANDIDATES = (Candidate(answer="2", count=5, confidence=2.5, share=1.0),)


@pytest.fixture(scope="module")
def engine(tiny_checkpoint):
    engine = TransformersEngine.load(tiny_checkpoint, device="cpu")
    yield engine
    asyncio.run(engine.aclose())


def turn(text, *pictures):
    return HumanMessage(content=[*image_blocks(pictures), {"type": "text", "text": text}])


async def test_it_says_what_the_engine_says(engine, random_picture):
    picture = random_picture()
    model = EngineChatModel(engine=engine, max_new_tokens=12)
    message = await model.ainvoke([turn("Vote.\n", picture)])
    greedy = SamplingParams(n=1, temperature=0, max_new_tokens=12)
    generation = await engine.complete("Vote.\n", [picture], greedy)
    sample, usage = generation.samples[0], generation.usage
    assert message.text == sample.text
    assert message.usage_metadata["input_tokens"] == usage.prompt_tokens > 0
    assert message.usage_metadata["output_tokens"] == usage.completion_tokens > 0
    assert message.response_metadata["finish_reason"] == sample.finish_reason
    assert model.invoke([turn("Vote.\n", picture)]).text == message.text


async def test_the_picture_matters(engine, random_picture):
    model = EngineChatModel(engine=engine, max_new_tokens=24)
    said = {model.invoke([turn("Vote.", random_picture(seed=s))]).text for s in range(4)}
    assert len(said) > 1


async def test_sampling_follows_the_seed(engine, random_picture):
    def said(seed):
        model = EngineChatModel(engine=engine, temperature=1, seed=seed, max_new_tokens=12)
        return model.invoke([turn("Vote.", random_picture())]).text

    assert said(1) == said(1)
    assert said(1) != said(2)


def test_a_stop_text_ends_the_reply(engine, random_picture):
    model = EngineChatModel(engine=engine, max_new_tokens=12)
    whole = model.invoke([turn("Vote.", random_picture())]).text
    mark = whole[3:5]
    assert (
        model.invoke([turn("Vote.", random_picture())], stop=["\0\0", mark]).text
        == (whole[: whole.find(mark)])
    )


def test_a_single_turn_is_kept_to_the_byte():
    red, blue = Image.new("RGB", (4, 3), "red"), Image.new("RGB", (2, 5), "blue")
    text, images = flatten([turn(" Vote.\n\n", red, blue)])
    assert text == " Vote.\n\n"
    assert [image.tobytes() for image in images] == [red.tobytes(), blue.tobytes()]


def test_a_conversation_becomes_one_turn():
    red = Image.new("RGB", (4, 3), "red")
    text, images = flatten(
        [SystemMessage("Be brief."), turn("Vote.\n", red), AIMessage("no"), HumanMessage("Again.")]
    )
    assert text == "Be brief.\n\nVote.\n\nno\n\nAgain."
    assert len(images) == 1


@pytest.mark.parametrize("kind", ["image_url", "input_image", "image"])
def test_a_picture_in_another_form_is_read_too(kind):
    buffer = io.BytesIO()
    Image.new("RGB", (4, 3), "red").save(buffer, format="PNG")
    url = f"data:image/png;charset=utf-8;base64,{base64.encodebytes(buffer.getvalue()).decode()}"
    block = {"type": kind, "url": url} if kind == "image" else {"type": kind, "image_url": url}
    assert flatten([HumanMessage(content=[block])])[1][0].size == (4, 3)


@pytest.mark.parametrize(
    "block",
    [
        {"type": "image", "url": "http://127.0.0.1:1/x.png"},
        {"type": "image", "base64": "AAAA", "mime_type": "image/png"},
        {"type": "image", "base64": "*", "mime_type": "image/png"},
        {"type": "audio", "base64": "AAAA", "mime_type": "audio/wav"},
    ],
)
def test_other_content_is_refused(block):
    with pytest.raises(EngineError):
        flatten([HumanMessage(content=[block])])


@pytest.mark.parametrize(
    ("form", "size", "says"),
    [("PNG", (9_000, 9_000), "too large"), ("EPS", (9, 9), "not an image")],
)
def test_a_hostile_picture_in_a_conversation_is_not_decoded(form, size, says):
    buffer = io.BytesIO()
    Image.new("L", size).save(buffer, form)
    data = base64.b64encode(buffer.getvalue()).decode()
    block = {"type": "image", "base64": data, "mime_type": "image/png"}
    with pytest.raises(EngineError, match=says):
        flatten([HumanMessage(content=[block])])


async def test_the_base_is_its_own_expert(engine, random_picture):
    expert = resolve_expert("base", base_engine=engine)
    assert expert.name == engine.name
    with pytest.raises(RoleError) as caught:
        await expert.vote(QUESTION, [random_picture()], CANDIDATES)
    assert (caught.value.role, caught.value.cause) == ("voter", "ReplyError")
    assert caught.value.usage.calls == 2
    assert caught.value.usage.completion_tokens > 0
    await expert.aclose()
    engine.complete_sync("The base is still open.", [], SamplingParams(n=1, max_new_tokens=1))


async def test_a_checkpoint_is_asked_with_its_own_prompts_and_closed(
    tiny_checkpoint, tmp_path, random_picture, monkeypatch
):
    folder = tmp_path / "expert"
    folder.mkdir()
    for file in tiny_checkpoint.iterdir():
        (folder / file.name).symlink_to(file)
    card = ModelCard(name="tiny", prompt_set="embedded", max_new_tokens=3)
    (folder / CARD_NAME).write_text(card.model_dump_json())
    heard = []
    complete = TransformersEngine.complete

    async def listen(self, text, images, params):
        heard.append((text, len(images), params))
        return await complete(self, text, images, params)

    monkeypatch.setattr(TransformersEngine, "complete", listen)
    expert = resolve_expert(folder, device="cpu")
    assert expert.name == "tiny"
    with pytest.raises(RoleError):
        await expert.vote(QUESTION, [random_picture(), random_picture(1)], CANDIDATES)
    wanted = load_prompts("embedded").render(
        "voter", question=QUESTION.text, choices="", candidates="1. 2"
    )
    (text, pictures, params), (retry, *_) = heard
    assert (text, pictures) == (wanted, 2)
    assert (params.n, params.temperature, params.max_new_tokens) == (1, 0, 3)
    assert retry.startswith(wanted.strip())
    await expert.aclose()
    with pytest.raises(RoleError, match="closed"):
        await expert.vote(QUESTION, [random_picture()], CANDIDATES)


async def test_limits_reach_a_local_expert(engine, random_picture):
    with pytest.raises(RoleError) as caught:
        short = resolve_expert("base", base_engine=engine, max_tokens=4)
        await short.vote(QUESTION, [random_picture()], CANDIDATES)
    assert caught.value.usage.completion_tokens == 2 * 4
    with pytest.raises(RoleError, match=r"no reply in 0\.001 s") as caught:
        quick = resolve_expert("base", base_engine=engine, timeout=0.001)
        await quick.vote(QUESTION, [random_picture()], CANDIDATES)
    assert not caught.value.transient, "the engine is still at it: another request would queue"


async def test_the_fingerprint_follows_the_engine(engine, tiny_qwen3_checkpoint):
    expert = resolve_expert("base", base_engine=engine)
    other = resolve_expert(tiny_qwen3_checkpoint, device="cpu")
    assert expert.fingerprint == resolve_expert("base", base_engine=engine).fingerprint
    assert expert.fingerprint != other.fingerprint
    await other.aclose()


async def test_one_checkpoint_serves_several_roles_from_one_load(engine, tiny_checkpoint):
    panel = resolve_expert(
        {"planner": tiny_checkpoint, "voter": str(tiny_checkpoint), "critic": "base"},
        base_engine=engine,
        device="cpu",
    )
    assert panel._planner is panel._voter
    assert panel._critic is not panel._voter
    await panel.aclose()


def test_a_base_is_loaded_by_its_folder_and_engines_stand_for_themselves(engine, tiny_checkpoint):
    assert resolve_base(engine) is engine
    assert resolve_base(tiny_checkpoint, device="cpu").fingerprint == engine.fingerprint
