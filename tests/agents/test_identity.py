"""Fingerprints of experts: every setting counts, and no key does."""

import json
import subprocess
import sys
from typing import Any

import pytest
from langchain_core.language_models import BaseChatModel
from langchain_core.rate_limiters import InMemoryRateLimiter
from langchain_google_genai import ChatGoogleGenerativeAI, HarmBlockThreshold, HarmCategory
from langchain_openai import ChatOpenAI

from catts.agents.identity import identity_of
from catts.agents.roles import ChatExpert

KEY = "sk-fake-0123456789abcdef"


def openai(**settings: Any) -> BaseChatModel:
    return ChatOpenAI(**{"model": "gpt-4o", "api_key": KEY} | settings)


def gemini(**settings: Any) -> BaseChatModel:
    return ChatGoogleGenerativeAI(**{"model": "gemini-2.5-pro", "api_key": KEY} | settings)


def fingerprint(model: BaseChatModel) -> str:
    return ChatExpert.single(model, name="same").fingerprint


@pytest.mark.parametrize(
    "settings",
    [
        {"model": "gpt-5"},
        {"temperature": 0.5},
        {"seed": 1},
        {"max_tokens": 7},
        {"extra_body": {"top_k": 1}},
        {"extra_body": {"top_k": 2}},
        {"reasoning": {"effort": "low"}},
        {"reasoning": {"effort": "high"}},
        {"reasoning_effort": "low"},
        {"logit_bias": {1: 5}},
        {"stop": ["x"]},
        {"base_url": "https://gateway.example/a"},
        {"base_url": "https://gateway.example/b"},
        {"default_headers": {"x-variant": "1"}},
        {"model_kwargs": {"prediction": {"content": "x"}}},
        {"service_tier": "flex"},
        {"use_responses_api": True},
    ],
)
def test_every_setting_of_an_openai_model_counts(settings: dict[str, Any]) -> None:
    others = [{}, {"extra_body": {"top_k": 3}}, {"reasoning": {"effort": "medium"}}]
    made = fingerprint(openai(**settings))
    assert made == fingerprint(openai(**settings))
    assert made not in {fingerprint(openai(**other)) for other in others}


@pytest.mark.parametrize(
    "settings",
    [
        {"seed": 1},
        {"seed": 2},
        {"temperature": 0.5},
        {"thinking_budget": 100},
        {"media_resolution": "MEDIA_RESOLUTION_LOW"},
        {"safety_settings": {HarmCategory.HARM_CATEGORY_HARASSMENT: HarmBlockThreshold.BLOCK_NONE}},
        {"response_mime_type": "application/json"},
        {"model_kwargs": {"system": "be brief"}},
        {"stop": ["x"]},
        {"cached_content": "cachedContents/1"},
        {"base_url": "https://gateway.example"},
    ],
)
def test_every_setting_of_a_gemini_model_counts(settings: dict[str, Any]) -> None:
    made = fingerprint(gemini(**settings))
    assert made == fingerprint(gemini(**settings))
    assert made not in {fingerprint(gemini()), fingerprint(gemini(seed=3))}


@pytest.mark.parametrize("make", [openai, gemini])
@pytest.mark.parametrize(
    "settings",
    [
        {"api_key": "sk-another-98765432"},
        {"rate_limiter": InMemoryRateLimiter(requests_per_second=9)},
        {"metadata": {"run": 7}},
    ],
)
def test_what_decides_no_reply_does_not_count(make: Any, settings: dict[str, Any]) -> None:
    assert fingerprint(make(**settings)) == fingerprint(make())


def test_no_key_is_part_of_it() -> None:
    model = openai(
        base_url=f"https://me:{KEY}@gateway.example/v1?key={KEY}",
        default_headers={"Authorization": f"Bearer {KEY}", "X-Api-Key": KEY, "x-team": KEY},
        default_query={"api-key": KEY},
        extra_body={"guard": {"secret": "hush-hush"}, "note": f"token={KEY}"},
    )
    told = json.dumps(identity_of(model))
    assert KEY not in told
    assert "hush-hush" not in told
    assert "gateway.example/v1" in told
    assert KEY not in json.dumps(identity_of(gemini(additional_headers={"Authorization": KEY})))
    changed = openai(default_headers={"Authorization": "Bearer sk-another-98765432"})
    assert fingerprint(changed) == fingerprint(
        openai(default_headers={"Authorization": f"Bearer {KEY}"})
    )


def test_another_process_gives_the_same_fingerprint() -> None:
    program = (
        "from langchain_openai import ChatOpenAI\n"
        "from catts.agents.roles import ChatExpert\n"
        f"model = ChatOpenAI(model='gpt-4o', api_key={KEY!r}, extra_body={{'a': [1, 2]}})\n"
        "print(ChatExpert.single(model, name='same').fingerprint)"
    )
    told = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert told.stdout.strip() == fingerprint(openai(extra_body={"a": [1, 2]}))
