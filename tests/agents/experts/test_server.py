"""Experts on an OpenAI-compatible server, as `--expert-url` reaches them."""

import asyncio
import base64
import io

import numpy as np
import pytest
from langchain_core.rate_limiters import BaseRateLimiter
from PIL import Image
from pydantic import SecretStr

from catts.agents.expert import Candidate
from catts.agents.experts.providers import PROVIDER_MAX_TOKENS, SERVER_MAX_TOKENS, provider_model
from catts.agents.experts.roles import ChatExpert
from catts.agents.spec import resolve_expert
from catts.errors import RoleError
from catts.question import Question

MODEL = "Qwen/Qwen2.5-VL-7B-Instruct"
KEY = "sk-fake-0123456789abcdef"
QUESTION = Question(text="What is it?", choices=("a cat", "a dog"))
CANDIDATES = (
    Candidate(answer="A", count=1, confidence=2.5, share=0.5),
    Candidate(answer="B", count=1, confidence=2.5, share=0.5),
)


@pytest.fixture
def expert(standin, monkeypatch):
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    return resolve_expert(MODEL, url=f"{standin.url}/v1")


def picture():
    noise = np.random.default_rng(1).integers(0, 256, (7, 6, 3), dtype=np.uint8)
    return Image.fromarray(noise)


def says(text, finish="stop"):
    message = {"role": "assistant", "content": text}
    return {
        "id": "c1",
        "object": "chat.completion",
        "created": 1,
        "model": MODEL,
        "choices": [{"index": 0, "message": message, "finish_reason": finish}],
        "usage": {"prompt_tokens": 200, "completion_tokens": 15, "total_tokens": 215},
    }


def assert_asked_with_the_picture(request):
    assert request.path == "/v1/chat/completions"
    assert request.body["model"] == MODEL
    assert request.body["temperature"] == 0
    (message,) = request.body["messages"]
    image, text = message["content"]
    assert image["type"] == "image_url"
    header, _, data = image["image_url"]["url"].partition(",")
    assert header == "data:image/png;base64"
    received = Image.open(io.BytesIO(base64.b64decode(data)))
    assert np.array_equal(np.asarray(received), np.asarray(picture()))
    assert "(A) a cat (B) a dog" in text["text"]


async def test_all_three_roles_with_the_picture(expert, standin):
    standin.says(says('{"order": ["self_check", "voter", "critic"], "reason": "a guess"}'))
    standin.says(says('{"probabilities": {"1": 0.9, "2": 0.1}}'))
    standin.says(says('{"critique": "It has whiskers."}'))
    plan = await expert.plan(QUESTION, [picture()], CANDIDATES)
    vote = await expert.vote(QUESTION, [picture()], CANDIDATES)
    critique = await expert.criticise(QUESTION, [picture()], "B", "a dog")
    assert plan.reply.order == ("self_check", "voter", "critic")
    assert vote.reply.probabilities == pytest.approx((0.9, 0.1))
    assert critique.reply.text == "It has whiskers."
    assert (vote.usage.calls, vote.usage.prompt_tokens, vote.usage.completion_tokens) == (
        1,
        200,
        15,
    )
    for request in standin.requests:
        assert_asked_with_the_picture(request)


async def test_a_key_is_optional_and_sent_when_there_is_one(expert, standin, monkeypatch):
    standin.says(says('{"critique": "Fine."}'))
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    from_environment = resolve_expert(MODEL, url=standin.url)
    given = resolve_expert(MODEL, url=standin.url, api_key=SecretStr("sk-given-000111222"))
    for each in (expert, from_environment, given):
        await each.criticise(QUESTION, [picture()], "B", "a dog")
        assert KEY not in repr(each) + repr(vars(each)) + each.fingerprint
        assert "sk-given-000111222" not in repr(each) + repr(vars(each)) + each.fingerprint
    sent = [request.headers["authorization"] for request in standin.requests]
    assert sent == ["Bearer no-key-needed", f"Bearer {KEY}", "Bearer sk-given-000111222"]
    assert from_environment.fingerprint == given.fingerprint


@pytest.mark.parametrize(
    ("spec", "model"),
    [("openai:qwen", "qwen"), ("qwen2.5vl:7b", "qwen2.5vl:7b"), ("qwen", "qwen")],
)
async def test_the_servers_model_may_be_named_in_several_ways(standin, monkeypatch, spec, model):
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    standin.says(says('{"critique": "Fine."}'))
    await resolve_expert(spec, url=standin.url).criticise(QUESTION, [], "B", "a dog")
    assert standin.requests[0].body["model"] == model


@pytest.mark.parametrize(
    ("status", "says_what", "requests"),
    [
        (400, "HTTP 400", 1),
        (401, "the key was refused", 1),
        (404, "the server knows no such model", 1),
        (429, "rate limit", 5),
        (500, "HTTP 500", 5),
        (503, "HTTP 503", 5),
    ],
)
async def test_a_failing_server_fails_the_role(
    standin, monkeypatch, no_waiting, status, says_what, requests
):
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    message = f"Incorrect API key provided: {KEY}, see https://x.example/keys?key={KEY}"
    standin.says({"error": {"message": message, "type": "error", "code": "e"}}, status)
    with pytest.raises(RoleError, match=says_what) as caught:
        await resolve_expert(MODEL, url=standin.url).vote(QUESTION, [picture()], CANDIDATES)
    assert caught.value.role == "voter"
    assert caught.value.transient is (requests > 1)
    assert caught.value.usage.calls == requests
    assert len(standin.requests) == requests
    assert KEY not in str(caught.value)


async def test_a_server_that_recovers_at_the_fifth_attempt_is_heard(expert, standin, no_waiting):
    for _ in range(4):
        standin.hangs_up()
    standin.says(says('{"critique": "Fine."}'))
    assert (await expert.criticise(QUESTION, [picture()], "B", "a dog")).attempts == 1
    assert len(standin.requests) == 5


async def test_a_server_that_is_gone_is_a_transient_failure(no_waiting):
    gone = resolve_expert(MODEL, url="http://127.0.0.1:1")
    with pytest.raises(RoleError) as caught:
        await gone.vote(QUESTION, [picture()], CANDIDATES)
    assert caught.value.transient


@pytest.mark.filterwarnings("ignore:Pydantic serializer warnings")
@pytest.mark.parametrize("role_model", ["qwen", "gpt-4o"])
@pytest.mark.parametrize(
    "body",
    [
        b"<html>gateway</html>",
        b"",
        b'{"choices": [',
        b"\xff\xfe",
        {"object": "list"},
        {"choices": []},
        {"choices": [{}]},
        {"choices": "no"},
        {"choices": [{"message": {"content": 5}}]},
        says("Fine.") | {"usage": "none"},
        says("Fine.") | {"usage": {"prompt_tokens": "many"}},
    ],
)
async def test_a_reply_of_another_form_is_told_in_plain_words(standin, role_model, body):
    standin.says(body)
    chat = provider_model("openai", role_model, url=f"{standin.url}/v1", api_key=SecretStr(KEY))
    with pytest.raises(RoleError) as caught:
        await ChatExpert.single(chat).criticise(QUESTION, [], "B", "a dog")
    error = caught.value
    assert error.message.startswith(
        "the server's reply had not the expected form: check the address, the model's name, and "
        f"that the server speaks this API ({error.cause}: "
    )
    assert error.message.endswith(")")
    assert error.message[:-1].split(f"({error.cause}: ")[1]
    assert not error.transient
    assert len(standin.requests) == 1


async def test_a_setting_that_the_client_does_not_know_tells_of_itself(standin):
    chat = provider_model("openai", "gpt-4o", url=standin.url, api_key=SecretStr(KEY))
    wrong = chat.model_copy(update={"model_kwargs": {"tempo": 1}})
    with pytest.raises(RoleError, match="unexpected keyword argument 'tempo'") as caught:
        await ChatExpert.single(wrong).criticise(QUESTION, [], "B", "a dog")
    assert "expected form" not in caught.value.message


def refuses(text):
    body = says(None)
    body["choices"][0]["message"]["refusal"] = text
    return body


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (says("", finish="content_filter"), 200),
        (says("They are", finish="content_filter"), 200),
        (refuses("I cannot help with that."), 200),
        ({"error": {"message": "rejected", "code": "content_filter"}}, 400),
    ],
)
async def test_a_refusal_is_not_argued_with(expert, standin, body, status):
    standin.says(body, status)
    with pytest.raises(RoleError, match="refused to reply") as caught:
        await expert.vote(QUESTION, [picture()], CANDIDATES)
    assert (caught.value.cause, caught.value.usage.calls) == ("Refused", 1)
    assert caught.value.usage.prompt_tokens == (200 if status == 200 else 0)
    assert len(standin.requests) == 1


async def test_a_reply_is_bounded(standin, monkeypatch):
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    standin.says(says('{"critique": "Fine."}'))
    for most in (None, 77):
        expert = resolve_expert(MODEL, url=standin.url, max_tokens=most)
        await expert.criticise(QUESTION, [picture()], "B", "a dog")
    assert [r.body["max_completion_tokens"] for r in standin.requests] == [SERVER_MAX_TOKENS, 77]


@pytest.mark.parametrize(
    ("model", "most"), [("gpt-4o", PROVIDER_MAX_TOKENS), ("gpt-4-turbo", 4096)]
)
def test_a_reply_is_never_longer_than_the_model_can(monkeypatch, model, most):
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    assert provider_model("openai", model).max_tokens == most
    assert provider_model("openai", model, max_tokens=9000).max_tokens == 9000


async def test_a_rate_limiter_is_asked_before_each_request(standin, monkeypatch):
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    standin.says(says("Fine."))
    standin.says(says('{"critique": "Fine."}'))
    asked = []

    class Limiter(BaseRateLimiter):
        def acquire(self, *, blocking=True):
            raise NotImplementedError

        async def aacquire(self, *, blocking=True):
            asked.append(len(standin.requests))
            return True

    expert = resolve_expert(MODEL, url=standin.url, rate_limiter=Limiter())
    await expert.criticise(QUESTION, [picture()], "B", "a dog")
    assert asked == [0, 1]


async def test_a_server_too_slow_fails_the_role(standin, monkeypatch):
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    standin.says(says('{"critique": "Fine."}'))
    standin.delay = 0.5
    expert = resolve_expert(MODEL, url=standin.url, timeout=0.1)
    with pytest.raises(RoleError, match=r"no reply in 0\.1 s") as caught:
        await expert.criticise(QUESTION, [picture()], "B", "a dog")
    assert caught.value.transient


def test_an_expert_serves_one_event_loop_after_another(expert, standin):
    standin.says(says('{"probabilities": [1, 0]}'))
    for _ in range(3):
        assert asyncio.run(expert.vote(QUESTION, [picture()], CANDIDATES)).attempts == 1
