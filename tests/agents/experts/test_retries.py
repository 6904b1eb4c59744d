"""When a request is sent again: never before the provider wants to be asked."""

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from types import SimpleNamespace

import pytest

from catts.agents.expert import Candidate
from catts.agents.failures import retry_after
from catts.agents.spec import resolve_expert
from catts.errors import RoleError
from catts.question import Question

QUESTION = Question(text="What is it?")
CANDIDATES = (
    Candidate(answer="1", count=1, confidence=2.5, share=0.5),
    Candidate(answer="2", count=1, confidence=2.5, share=0.5),
)
VOTE = '{"probabilities": [0.9, 0.1]}'
OF_GOOGLE = {
    "candidates": [
        {"content": {"role": "model", "parts": [{"text": VOTE}]}, "finishReason": "STOP"}
    ]
}
OF_OPENAI = {
    "id": "c1", "object": "chat.completion", "created": 1, "model": "qwen",
    "choices": [
        {"index": 0, "message": {"role": "assistant", "content": VOTE}, "finish_reason": "stop"}
    ],
}  # fmt: skip


@pytest.fixture(params=["google_genai", "openai"])
def provider(request, standin, monkeypatch):
    monkeypatch.setenv("GOOGLE_API_KEY", "AIzaFakeKey0123456789abcdef")
    spec = "google_genai:gemini-2.5-pro" if request.param == "google_genai" else "qwen"
    return SimpleNamespace(
        expert=resolve_expert(spec, url=standin.url),
        reply=OF_GOOGLE if request.param == "google_genai" else OF_OPENAI,
    )


def vote(expert):
    return expert.vote(QUESTION, [], CANDIDATES)


def busy(**told):
    return {"error": {"code": 429, "status": "RESOURCE_EXHAUSTED", "message": "busy", **told}}


async def test_retry_after_is_waited_for(provider, standin, no_waiting):
    standin.says(busy(), 429, {"Retry-After": "1"})
    standin.says(busy(), 503, {"Retry-After-Ms": "200"})
    standin.says(provider.reply)
    result = await vote(provider.expert)
    assert (result.attempts, result.usage.calls) == (1, 3)
    first, second, third = standin.times
    assert second - first >= 1
    assert 0.2 <= third - second < 1


async def test_who_asks_for_too_much_is_not_asked_again(provider, standin, no_waiting):
    standin.says(busy(), 429, {"Retry-After": "3600"})
    with pytest.raises(RoleError, match="asks for 3600 s without requests") as caught:
        await vote(provider.expert)
    assert (caught.value.transient, caught.value.retry_after) == (False, 3600)
    assert len(standin.requests) == 1


async def test_pauses_grow(provider, standin, monkeypatch):
    monkeypatch.setattr("catts.agents.experts.requests._FIRST_PAUSE_S", 0.2)
    monkeypatch.setattr("catts.agents.experts.requests._JITTER_S", 0.001)
    standin.says(busy(), 503)
    with pytest.raises(RoleError) as caught:
        await vote(provider.expert)
    assert (caught.value.transient, caught.value.retry_after) == (True, None)
    pauses = [b - a for a, b in zip(standin.times, standin.times[1:], strict=False)]
    assert len(pauses) == 4
    for pause, least in zip(pauses, (0.2, 0.4, 0.8, 1.6), strict=True):
        assert pause >= least


async def test_what_google_writes_into_the_reply_counts(standin, monkeypatch, no_waiting):
    monkeypatch.setenv("GOOGLE_API_KEY", "AIzaFakeKey0123456789abcdef")
    info = {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "0.5s"}
    standin.says(busy(details=[{"@type": "other"}, info]), 429)
    standin.says(OF_GOOGLE)
    await vote(resolve_expert("google_genai:gemini-2.5-pro", url=standin.url))
    assert standin.times[1] - standin.times[0] >= 0.5


def failed(headers=None, details=None):
    error = Exception("x")
    error.response, error.details = SimpleNamespace(headers=headers), details
    outer = Exception("y")
    outer.__cause__ = error
    return outer


@pytest.mark.parametrize(
    ("error", "seconds"),
    [
        (failed({"Retry-After": "7"}), 7),
        (failed({"retry-after": "1.5"}), 1.5),
        (failed({"Retry-After": "7", "retry-after-ms": "250"}), 0.25),
        (failed({"Retry-After": "-3"}), 0),
        (failed({"Retry-After": "soon"}), None),
        (failed({"Retry-After": "nan"}), None),
        (failed({"Retry-After": "inf"}), None),
        (failed({}), None),
        (failed(None), None),
        (failed({}, {"error": {"details": [{"retryDelay": "31.2s"}]}}), 31.2),
        (failed({}, {"error": {"details": "none"}}), None),
        (failed({}, {"details": [{"retryDelay": "1h"}, 3, None]}), None),
        (Exception("z"), None),
    ],
)
def test_what_a_provider_asks_for_is_read(error, seconds):
    assert retry_after(error) == seconds


def test_a_date_is_read():
    date = datetime.now(UTC) + timedelta(seconds=30)
    told = retry_after(failed({"Retry-After": format_datetime(date, usegmt=True)}))
    assert told is not None
    assert 27 < told <= 30
