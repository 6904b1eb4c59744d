"""`google_genai:...` over HTTP, against a stand-in that speaks Gemini's public REST format."""

import asyncio
import base64
import io
import logging

import numpy as np
import pytest
from PIL import Image
from pydantic import SecretStr

from catts.agents.expert import Candidate
from catts.agents.experts.providers import PROVIDER_MAX_TOKENS
from catts.agents.spec import resolve_expert
from catts.errors import ModelSpecError, RoleError
from catts.prompts import load_prompts
from catts.question import Question

SPEC = "google_genai:gemini-2.5-pro"
KEY = "AIzaFakeKey0123456789abcdef"
QUESTION = Question(text="How many cars are there?")
CANDIDATES = (
    Candidate(answer="2", count=5, confidence=2.5, share=0.7),
    Candidate(answer="3", count=3, confidence=1.2, share=0.3),
)


@pytest.fixture
def expert(standin, monkeypatch):
    monkeypatch.delenv("GEMINI_API_KEY", raising=False)
    monkeypatch.delenv("GOOGLE_GENAI_USE_VERTEXAI", raising=False)
    monkeypatch.setenv("GOOGLE_API_KEY", KEY)
    return resolve_expert(SPEC, url=standin.url)


def pictures():
    noise = np.random.default_rng(0).integers(0, 256, (9, 13, 3), dtype=np.uint8)
    return [Image.fromarray(noise), Image.new("RGB", (5, 4), "blue")]


def says(text, finish="STOP"):
    content = {"role": "model", "parts": [{"text": text}]} if text else {"role": "model"}
    return {
        "candidates": [{"content": content, "finishReason": finish, "index": 0}],
        "usageMetadata": {
            "promptTokenCount": 300,
            "candidatesTokenCount": 20,
            "thoughtsTokenCount": 5,
            "totalTokenCount": 325,
        },
        "modelVersion": "gemini-2.5-pro",
        "responseId": "r1",
    }


def fails(code, status, message):
    return {"error": {"code": code, "status": status, "message": message}}


def sent_text(request):
    return request.body["contents"][0]["parts"][-1]["text"]


def assert_asked_with_pictures(request):
    assert request.path == "/v1beta/models/gemini-2.5-pro:generateContent"
    assert request.headers["x-goog-api-key"] == KEY
    (content,) = request.body["contents"]
    assert content["role"] == "user"
    *images, text = content["parts"]
    for part, picture in zip(images, pictures(), strict=True):
        data = part["inlineData"]
        # Gemini reads either spelling of a field and either base64 alphabet; Google's client sends
        # the second of each
        assert data.get("mimeType", data.get("mime_type")) == "image/png"
        received = Image.open(io.BytesIO(base64.urlsafe_b64decode(data["data"])))
        assert np.array_equal(np.asarray(received), np.asarray(picture))
    assert QUESTION.text in text["text"]


async def test_the_planner(expert, standin):
    standin.says(says('<think>hm</think>```json\n{"order": ["critic","voter","self_check"]}\n```'))
    result = await expert.plan(QUESTION, pictures(), CANDIDATES)
    assert result.reply.order == ("critic", "voter", "self_check")
    (request,) = standin.requests
    assert_asked_with_pictures(request)
    assert "1. 2: 5 samples, share 0.70, confidence 2.50" in sent_text(request)


async def test_the_voter(expert, standin):
    standin.says(says('{"probabilities": [0.2, 0.6]}'))
    result = await expert.vote(QUESTION, pictures(), CANDIDATES)
    assert result.reply.probabilities == pytest.approx((0.25, 0.75))
    assert result.usage.calls == 1
    assert (result.usage.prompt_tokens, result.usage.completion_tokens) == (300, 25)
    assert result.usage.seconds > 0
    (request,) = standin.requests
    assert_asked_with_pictures(request)
    assert "1. 2\n2. 3\n" in sent_text(request)


async def test_the_critic(expert, standin):
    standin.says(says('{"critique": "A third car stands behind the tree."}'))
    result = await expert.criticise(QUESTION, pictures(), "2", "<think>two</think>\\boxed{2}")
    assert result.reply.text == "A third car stands behind the tree."
    (request,) = standin.requests
    assert_asked_with_pictures(request)
    assert "<think>two</think>\\boxed{2}" in sent_text(request)


async def test_malformed_json_is_answered_with_the_error_and_asked_again(expert, standin):
    standin.says(says('{"probabilities": [0.2, 0.6'))
    standin.says(says('{"probabilities": [0.5, 0.5]}'))
    result = await expert.vote(QUESTION, pictures(), CANDIDATES)
    assert (result.attempts, result.usage.calls, result.usage.prompt_tokens) == (2, 2, 600)
    asked, reply, retry = standin.requests[1].body["contents"]
    assert asked == standin.requests[0].body["contents"][0]
    assert (reply["role"], reply["parts"][0]["text"]) == ("model", '{"probabilities": [0.2, 0.6')
    assert retry["role"] == "user"
    assert retry["parts"][0]["text"] == load_prompts("default").render(
        "retry", error="there is no valid JSON object in it"
    )


async def test_malformed_json_twice_fails_the_role(expert, standin):
    standin.says(says("I would rather not."))
    with pytest.raises(RoleError, match="malformed reply, twice") as caught:
        await expert.plan(QUESTION, pictures(), CANDIDATES)
    assert (caught.value.role, caught.value.cause) == ("planner", "ReplyError")
    assert caught.value.usage.calls == 2
    assert len(standin.requests) == 2


@pytest.mark.parametrize(
    ("code", "status", "says_what", "requests"),
    [
        (429, "RESOURCE_EXHAUSTED", "HTTP 429: the rate limit or quota is used up", 5),
        (503, "UNAVAILABLE", "HTTP 503: the server failed; try again later", 5),
        (400, "INVALID_ARGUMENT", "HTTP 400", 1),
        (401, "UNAUTHENTICATED", "HTTP 401: the key was refused", 1),
        (403, "PERMISSION_DENIED", "HTTP 403: the key may not use this model", 1),
        (404, "NOT_FOUND", "HTTP 404: the server knows no such model", 1),
    ],
)
async def test_a_failing_server_fails_the_role_and_leaks_nothing(
    expert, standin, caplog, no_waiting, code, status, says_what, requests
):
    caplog.set_level(logging.DEBUG, "catts")
    standin.says(fails(code, status, f"for key {KEY}: https://x.example/q?key={KEY}"), code)
    with pytest.raises(RoleError) as caught:
        await expert.vote(QUESTION, pictures(), CANDIDATES)
    error = caught.value
    assert error.role == "voter"
    assert says_what in error.message
    assert error.cause
    assert error.transient is (requests > 1)
    assert error.usage.calls == requests
    assert len(standin.requests) == requests
    assert KEY not in str(error) + error.cause + caplog.text
    assert "?key" not in str(error)


async def test_a_server_that_recovers_at_the_fifth_attempt_is_heard(expert, standin, no_waiting):
    for _ in range(4):
        standin.says(fails(503, "UNAVAILABLE", "busy"), 503)
    standin.says(says('{"probabilities": [0.5, 0.5]}'))
    assert (await expert.vote(QUESTION, pictures(), CANDIDATES)).attempts == 1
    assert len(standin.requests) == 5


async def test_a_body_that_is_no_json_fails_the_role(expert, standin):
    standin.says(b"<html>gateway</html>")
    with pytest.raises(RoleError) as caught:
        await expert.criticise(QUESTION, pictures(), "2", "two")
    assert caught.value.role == "critic"
    assert "the server's reply had not the expected form: check the address" in str(caught.value)
    assert KEY not in str(caught.value)


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ({"promptFeedback": {"blockReason": "SAFETY"}}, "SAFETY"),
        ({"promptFeedback": {"blockReason": "PROHIBITED_CONTENT"}}, "PROHIBITED_CONTENT"),
        (says("", finish="SAFETY"), "SAFETY"),
        (says("The picture shows", finish="SAFETY"), "SAFETY"),
        (says("The picture shows", finish="PROHIBITED_CONTENT"), "PROHIBITED_CONTENT"),
    ],
)
async def test_a_safety_block_fails_the_role_without_a_second_request(
    expert, standin, body, reason
):
    standin.says(body)
    with pytest.raises(RoleError, match=rf"refused to reply \({reason}\)") as caught:
        await expert.vote(QUESTION, pictures(), CANDIDATES)
    assert (caught.value.cause, caught.value.usage.calls) == ("Refused", 1)
    assert len(standin.requests) == 1


async def test_a_reply_is_bounded(standin, expert):
    standin.says(says('{"probabilities": [0.5, 0.5]}'))
    for each in (expert, resolve_expert(SPEC, url=standin.url, max_tokens=77)):
        await each.vote(QUESTION, pictures(), CANDIDATES)
    sent = [request.body["generationConfig"]["maxOutputTokens"] for request in standin.requests]
    assert sent == [PROVIDER_MAX_TOKENS, 77]


async def test_no_candidates_and_no_reason_fail_the_role(expert, standin):
    standin.says({"candidates": []})
    with pytest.raises(RoleError, match=r"malformed reply, twice.*empty, so check the address"):
        await expert.vote(QUESTION, pictures(), CANDIDATES)


async def test_a_server_that_is_gone_fails_the_role(standin, monkeypatch, no_waiting):
    monkeypatch.setenv("GOOGLE_API_KEY", KEY)
    gone = resolve_expert(SPEC, url="http://127.0.0.1:1")
    with pytest.raises(RoleError) as caught:
        await gone.vote(QUESTION, pictures(), CANDIDATES)
    assert caught.value.transient
    assert KEY not in str(caught.value)


async def test_a_connection_lost_is_a_transient_failure(expert, standin, no_waiting):
    standin.hangs_up()
    with pytest.raises(RoleError) as caught:
        await expert.vote(QUESTION, pictures(), CANDIDATES)
    assert caught.value.transient


async def test_the_key_shows_nowhere(expert, standin):
    given = resolve_expert(SPEC, url=standin.url, api_key=SecretStr("AIzaAnotherKey99"))
    assert given.fingerprint == expert.fingerprint
    for shown in (expert, given):
        assert shown.name == f"{SPEC} at {standin.url.removeprefix('http://')}"
        for text in (repr(shown), shown.name, shown.fingerprint, repr(vars(shown))):
            assert KEY not in text
            assert "AIzaAnotherKey99" not in text


def test_an_expert_serves_one_event_loop_after_another(expert, standin):
    standin.says(says('{"probabilities": [1, 0]}'))
    for _ in range(3):
        assert asyncio.run(expert.vote(QUESTION, pictures(), CANDIDATES)).attempts == 1


async def test_settings_reach_the_model(standin, monkeypatch):
    monkeypatch.setenv("GOOGLE_API_KEY", KEY)
    standin.says(says('{"probabilities": [0.5, 0.5]}'))
    blocks = {"HARM_CATEGORY_DANGEROUS_CONTENT": "BLOCK_NONE"}
    settings = {"thinking_budget": 1024, "safety_settings": blocks, "temperature": 0.25}
    given = resolve_expert(SPEC, url=standin.url, settings=settings)
    await given.vote(QUESTION, pictures(), CANDIDATES)
    (request,) = standin.requests
    config = request.body["generationConfig"]
    thinking = config["thinkingConfig"]
    assert thinking.get("thinkingBudget", thinking.get("thinking_budget")) == 1024
    assert config["temperature"] == 0.25
    assert request.body["safetySettings"] == [
        {"category": "HARM_CATEGORY_DANGEROUS_CONTENT", "threshold": "BLOCK_NONE"}
    ]
    assert given.fingerprint != resolve_expert(SPEC, url=standin.url).fingerprint


async def test_replies_are_held_to_googles_own_json_schema(expert, standin):
    standin.says(says('{"think": "", "probabilities": [0.5, 0.5]}'))
    await expert.vote(QUESTION, pictures(), CANDIDATES)
    config = standin.requests[0].body["generationConfig"]
    assert config["responseMimeType"] == "application/json"
    assert "probabilities" in config["responseJsonSchema"]["properties"]


async def test_what_gemini_charges_is_told(expert, standin):
    standin.says(says('{"probabilities": [0.5, 0.5]}'))
    usage = (await expert.vote(QUESTION, pictures(), CANDIDATES)).usage
    assert usage.dollars == pytest.approx((300 * 1.25 + 25 * 10) / 1e6)
    assert usage.unpriced == 0


@pytest.mark.parametrize("name", ["api_key", "google_api_key"])
def test_a_key_is_no_setting(standin, name):
    with pytest.raises(ModelSpecError, match=f"{name} is a key: give it as api_key, or in its"):
        resolve_expert(SPEC, url=standin.url, settings={name: KEY})


def test_a_setting_that_the_provider_does_not_take_is_told(standin, monkeypatch):
    monkeypatch.setenv("GOOGLE_API_KEY", KEY)
    with pytest.raises(ModelSpecError, match="cannot be set up"):
        resolve_expert(SPEC, url=standin.url, settings={"thinking_budget": "a lot"})
