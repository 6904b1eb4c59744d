import sys
from pathlib import Path

import pytest
from langchain_core.language_models import FakeListChatModel
from langchain_core.rate_limiters import InMemoryRateLimiter
from pydantic import SecretStr

from catts.agents.addresses import split_url
from catts.agents.experts.roles import ChatExpert
from catts.agents.spec import embedded_folder, resolve_base, resolve_expert, shipped_folder
from catts.errors import InputError, ModelSpecError
from catts.question import Question

KEY = "sk-fake-0123456789abcdef"
QUESTION = Question(text="What is it?")


@pytest.fixture(autouse=True)
def no_keys(monkeypatch):
    for name in ("GOOGLE_API_KEY", "GEMINI_API_KEY", "OPENAI_API_KEY", "GOOGLE_GENAI_USE_VERTEXAI"):
        monkeypatch.delenv(name, raising=False)


def test_objects_stand_for_themselves():
    model = FakeListChatModel(responses=['{"critique": "Look."}'])
    expert = ChatExpert.single(model)
    assert resolve_expert(expert) is expert
    made = resolve_expert(model)
    assert isinstance(made, ChatExpert)
    assert made.fingerprint == expert.fingerprint


async def test_each_role_can_have_an_expert_of_its_own():
    planner = FakeListChatModel(responses=['{"order": ["voter", "critic", "self_check"]}'])
    voter = FakeListChatModel(responses=['{"probabilities": []}'])
    critic = ChatExpert.single(FakeListChatModel(responses=['{"critique": "Look."}']), name="c")
    panel = resolve_expert({"planner": planner, "voter": voter, "critic": critic})
    assert (await panel.plan(QUESTION, [], [])).reply.order == ("voter", "critic", "self_check")
    assert (await panel.criticise(QUESTION, [], "a", "b")).reply.text == "Look."
    assert panel.name == "FakeListChatModel+c"
    other = resolve_expert({"planner": planner, "voter": critic, "critic": critic})
    assert len({panel.fingerprint, other.fingerprint, critic.fingerprint}) == 3
    await panel.aclose()
    await panel.aclose()


def test_a_role_without_an_expert_is_named():
    model = FakeListChatModel(responses=[])
    with pytest.raises(ModelSpecError, match="role critic"):
        resolve_expert({"planner": model, "voter": model})


@pytest.mark.parametrize(
    ("spec", "says"),
    [
        ("nonesuch:model", "no provider 'nonesuch'.*google_genai"),
        ("gemini-3-pro", "names no expert: give embedded, base, provider:model"),
        ("google_genai:", "names no expert"),
        (":model", "names no expert"),
        ("", "names no expert"),
        (".", "holds no"),
        ("google_genai:gemini-3-pro", "needs a key: set the environment variable GOOGLE_API_KEY"),
        ("openai:gpt-5", "needs a key: set the environment variable OPENAI_API_KEY"),
        ("./no/such/folder", "no model at './no/such/folder'"),
        ("base", "`base` as expert needs a base model on transformers or vLLM"),
        (Path("no-such-folder"), "no model at"),
    ],
)
def test_what_stands_for_nothing_is_refused_in_one_line(spec, says):
    with pytest.raises(ModelSpecError, match=says) as caught:
        resolve_expert(spec)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("spec", "says"),
    [
        (7, "spec is an int: give text, a Path, a BaseChatModel, an Expert or a mapping"),
        ({"planner": 7, "voter": "base", "critic": "base"}, r"spec\['planner'\] is an int: give"),
        ({"criticc": "base"}, "spec has the key 'criticc': give 'planner', 'voter' or 'critic'"),
        ({"planner": "base", "voter": "base"}, "no expert for the role critic"),
    ],
)
def test_what_is_no_expert_is_refused_by_its_type(spec, says):
    with pytest.raises(InputError, match=says):
        resolve_expert(spec)


@pytest.mark.parametrize("spec", [None, 5, []])
def test_what_is_no_base_is_refused_by_its_type(spec):
    with pytest.raises(InputError, match=r"spec is .*: give text, a Path or an Engine"):
        resolve_base(spec)


@pytest.mark.parametrize(
    ("spec", "package", "advice"),
    [
        ("google_genai:gemini-3-pro", "langchain_google_genai", r"pip install 'catts\[google\]'"),
        ("openai:gpt-5", "langchain_openai", r"pip install 'catts\[openai\]'"),
        ("anthropic:claude", "langchain_anthropic", "pip install langchain-anthropic"),
    ],
)
def test_a_missing_package_is_named(monkeypatch, spec, package, advice):
    from langchain.chat_models import base

    base._get_chat_model_creator.cache_clear()
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(ModelSpecError, match=advice) as caught:
        resolve_expert(spec)
    assert "\n" not in str(caught.value)


def test_a_provider_that_refuses_its_settings_is_quoted_without_the_key():
    # langchain-openai's message repeats what it was given, the key included
    with pytest.raises(ModelSpecError, match="cannot be set up: Must provide either") as caught:
        resolve_expert("azure_openai:gpt-5", api_key=SecretStr(KEY))
    assert KEY not in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("url", ["", "localhost:8000", "ftp://a/b", "http://", "http://[::1", "x"])
def test_an_address_must_be_one(url):
    with pytest.raises(ModelSpecError, match="no address of a server"):
        resolve_expert("qwen", url=url)


def test_an_address_keeps_its_password_out_of_name_and_error():
    expert = resolve_expert("qwen", url="http://me:secret@127.0.0.1:8000/v1")
    assert expert.name == "qwen at 127.0.0.1:8000"
    assert "secret" not in repr(expert)
    with pytest.raises(ModelSpecError) as caught:
        split_url("htp://me:secret@host/v1?key=abc")
    assert "secret" not in str(caught.value)
    assert "abc" not in str(caught.value)


@pytest.mark.parametrize("spec", ["embedded", "base", "./folder", FakeListChatModel(responses=[])])
def test_a_local_model_takes_no_address(spec):
    with pytest.raises(ModelSpecError, match="takes no address"):
        resolve_expert(spec, url="http://127.0.0.1:8000")


LIMITER = InMemoryRateLimiter(requests_per_second=10)


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"api_key": SecretStr(KEY)}, "takes no key"),
        ({"rate_limiter": LIMITER}, "takes no rate limiter"),
    ],
)
@pytest.mark.parametrize(
    "spec",
    [
        "embedded",
        "base",
        "./folder",
        Path("folder"),
        "org/name",
        FakeListChatModel(responses=[]),
        dict.fromkeys(("planner", "voter", "critic"), "embedded"),
    ],
)
def test_what_only_a_remote_model_takes_is_refused_elsewhere(spec, given, says):
    with pytest.raises(ModelSpecError, match=says) as caught:
        resolve_expert(spec, **given)
    assert KEY not in str(caught.value)


def test_an_object_keeps_its_own_limits():
    model = FakeListChatModel(responses=[])
    with pytest.raises(ModelSpecError, match="of type FakeListChatModel takes no limit on its tok"):
        resolve_expert(model, max_tokens=9)
    with pytest.raises(ModelSpecError, match="of type ChatExpert takes no time limit"):
        resolve_expert(ChatExpert.single(model), timeout=9)
    assert resolve_expert(model, timeout=9)._requests["voter"]._timeout == 9


def test_one_remote_role_is_enough_for_a_key_and_an_address():
    model = FakeListChatModel(responses=[])
    roles = {"planner": model, "voter": "qwen", "critic": model}
    panel = resolve_expert(
        roles, url="http://127.0.0.1:1", api_key=SecretStr(KEY), rate_limiter=LIMITER
    )
    assert panel._voter._models["voter"].rate_limiter is LIMITER


def test_embedded_models_are_found_without_importing_their_package(tmp_path, monkeypatch):
    folder = tmp_path / "models" / "expert"
    folder.mkdir(parents=True)
    found = type("Found", (), {"submodule_search_locations": [str(tmp_path)]})
    monkeypatch.setattr("catts.agents.base_spec.find_spec", lambda name: found)
    assert embedded_folder("expert") == folder
    with pytest.raises(ModelSpecError, match=r"no embedded base model.*catts embedded train base"):
        embedded_folder("base")
    with pytest.raises(ModelSpecError, match=r"no embedded cdrl model.*`catts train`"):
        shipped_folder("embedded-cdrl", "base")
    (tmp_path / "models" / "cdrl").mkdir()
    assert shipped_folder("embedded-cdrl", "base").name == "cdrl"
    assert shipped_folder("embedded", "expert") == folder


@pytest.mark.models
def test_the_base_ships_as_it_was_and_after_training():
    before, after = resolve_base("embedded"), resolve_base("embedded-cdrl")
    assert (before.name, after.name) == ("embedded-base", "embedded-cdrl")
    assert before.fingerprint != after.fingerprint


def test_a_base_that_is_not_there_is_refused():
    with pytest.raises(ModelSpecError, match="no model at"):
        resolve_base("./no/such/folder")


def test_max_pixels_is_for_a_base_that_is_loaded_here(tiny_checkpoint):
    from catts.agents.engines.transformers_engine import TransformersEngine

    engine = resolve_base(tiny_checkpoint, device="cpu", max_pixels=112 * 112)
    assert engine.loaded.max_pixels == 112 * 112
    with pytest.raises(ModelSpecError, match=r"TransformersEngine\.load"):
        resolve_base(engine, max_pixels=112 * 112)
    assert isinstance(engine, TransformersEngine)
