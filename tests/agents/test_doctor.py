"""What `catts doctor` finds out of an expert, over HTTP."""

import pytest

from catts.agents.doctor import examine


def says(text, finish="stop"):
    message = {"role": "assistant", "content": text}
    return {"choices": [{"index": 0, "message": message, "finish_reason": finish}]}


@pytest.mark.parametrize(
    ("body", "http", "status"),
    [
        (says('{"probabilities": [0.9, 0.1]}'), 200, "replies"),
        (says("Red."), 200, "malformed"),
        (says("", finish="content_filter"), 200, "refused"),
        ({"error": {"message": "no such key"}}, 401, "unreachable"),
    ],
)
async def test_the_expert_is_asked_for_one_vote(standin, monkeypatch, body, http, status):
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    standin.says(body, http)
    report = await examine("qwen", url=standin.url)
    assert report.expert.status == status
    assert report.expert.detail
    assert report.healthy is (status == "replies")


@pytest.mark.models
@pytest.mark.parametrize("expert", ["embedded", "base"])
async def test_the_shipped_models_reply(expert):
    report = await examine(expert)
    assert (report.expert.status, report.healthy) == ("replies", True)
