"""Fingerprints of experts: every setting counts, and no key does."""

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from langchain_core.language_models import BaseChatModel
from langchain_core.rate_limiters import InMemoryRateLimiter
from langchain_google_genai import ChatGoogleGenerativeAI, HarmBlockThreshold, HarmCategory
from langchain_openai import ChatOpenAI
from pydantic import BaseModel, SecretStr

from catts.agents.experts.identity import identity_of
from catts.agents.experts.roles import ChatExpert

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


@dataclass
class Style:
    tone: str
    api_key: str = field(default="", kw_only=True)


class Shape(BaseModel):
    side: int
    token: SecretStr = SecretStr("")


def adder(n: int) -> Callable[[int], int]:
    return lambda x: x + n


def itself(n: int) -> Callable[[], Any]:
    def again() -> Any:
        return again if n else None

    return again


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("sk-small-model", "sk-large-model"),
        ("say key: sunflower", "say key: buttercup"),
        ("token=alphabet", "token=alphabeta"),
        (Path("prompts/a"), Path("prompts/b")),
        (b"a", b"b"),
        (Style("warm"), Style("cold")),
        (Shape(side=1), Shape(side=2)),
        (Decimal("0.1"), Decimal("0.2")),
        (partial(sorted, reverse=True), partial(sorted, reverse=False)),
        (partial(max, 1), partial(min, 1)),
        (adder(1), adder(2)),
        (lambda x: x + 1, lambda x: x * 2),
        (Style("warm").__eq__, Style("cold").__eq__),
        (itself(0), itself(1)),
        ({"prompt_cache_key": "a"}, {"prompt_cache_key": "b"}),
        ({"sort_key": "a"}, {"sort_key": "b"}),
        ({"read_token": "a"}, {"read_token": "b"}),
        ([{"key": "team", "value": "x"}], [{"key": "user", "value": "x"}]),
        (openai(seed=1), openai(seed=2)),
    ],
)
def test_settings_of_every_kind_count(one: Any, other: Any) -> None:
    made = [fingerprint(openai(extra_body={"setting": each})) for each in (one, one, other)]
    assert made[0] == made[1]
    assert made[0] != made[2]


@pytest.mark.parametrize(
    "setting",
    [
        lambda key: {"extra_body": {"login": SecretStr(key)}},
        lambda key: {"extra_body": {"parts": [Shape(side=1, token=SecretStr(key))]}},
        lambda key: {"extra_body": {"style": Style("warm", api_key=key)}},
        lambda key: {"extra_body": {"note": f"bearer {key}", "guard": {"secret": key}}},
        lambda key: {"model_kwargs": {"extra_headers": {"Authorization": f"Bearer {key}"}}},
        lambda key: {"default_headers": {"X-Service-Token": key, "x-team": f"team {key}"}},
        lambda key: {"default_query": {"key": key}},
        lambda key: {"base_url": f"https://me:{key}@gateway.example/v1?sig={key}"},
        lambda key: {"openai_proxy": f"http://{key}@proxy.example:8080"},
        lambda key: {"api_key": lambda: key},
        lambda key: {"api_key": partial(str, key)},
    ],
)
def test_a_key_counts_nowhere(setting: Callable[[str], dict[str, Any]]) -> None:
    first, second = (openai(**setting(key)) for key in ("uncommon-0123456", "unusual-98765432"))
    assert fingerprint(first) == fingerprint(second)
    told = json.dumps(identity_of(first))
    assert "uncommon-0123456" not in told
    assert b"uncommon-0123456".hex() not in told


def test_what_looks_like_a_key_does_not_show() -> None:
    told = json.dumps(identity_of(openai(extra_body={"upstream": "sk-unknown-0123456789"})))
    assert "sk-unknown" not in told


def test_a_placeholder_for_a_key_changes_nothing() -> None:
    assert fingerprint(openai(model="gpt-test", api_key="test")) == fingerprint(
        openai(model="gpt-test", api_key="none")
    )


def test_another_process_gives_the_same_fingerprint() -> None:
    program = (
        "from langchain_openai import ChatOpenAI\n"
        "from catts.agents.experts.roles import ChatExpert\n"
        f"model = ChatOpenAI(model='gpt-4o', api_key={KEY!r}, extra_body={{'a': [1, 2]}})\n"
        "print(ChatExpert.single(model, name='same').fingerprint)"
    )
    told = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert told.stdout.strip() == fingerprint(openai(extra_body={"a": [1, 2]}))
