"""Keys that stand deep in a model's settings come back in no error."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import pytest
from langchain_openai import ChatOpenAI
from pydantic import BaseModel, SecretBytes, SecretStr

from catts.agents.experts.roles import ChatExpert
from catts.agents.failures import describe
from catts.agents.keys import keys_of, names_a_key
from catts.errors import RoleError
from catts.question import Question

KEY = "uncommon-0123456"


@dataclass
class Login:
    user: str
    password: str


class Gateway(BaseModel):
    token: SecretStr
    region: str = "north-west-7"


def openai(**settings: Any) -> ChatOpenAI:
    return ChatOpenAI(**{"model": "gpt-4o", "api_key": "sk-fake-0123456789"} | settings)


@pytest.mark.parametrize(
    "settings",
    [
        {"default_headers": {"Authorization": f"Bearer {KEY}"}},
        {"default_headers": {"Authorization": KEY}},
        {"default_headers": {"X-Api-Key": KEY}},
        {"default_headers": {"X-Service-Token": KEY}},
        {"default_headers": {"Cookie": f"lang=en; session={KEY}"}},
        {"default_query": {"key": KEY}},
        {"model_kwargs": {"extra_headers": {"Proxy-Authorization": f"Basic {KEY}"}}},
        {"extra_body": {"guards": [{"api_key": KEY}]}},
        {"extra_body": {"guards": [{"login": SecretStr(KEY)}]}},
        {"extra_body": {"login": SecretBytes(KEY.encode())}},
        {"extra_body": {"gateway": Gateway(token=SecretStr(KEY))}},
        {"extra_body": {"login": Login("me", KEY)}},
        {"extra_body": {"credentials": {"first": ("me", KEY)}}},
        {"base_url": f"https://me:{KEY}@gateway.example/v1"},
        {"base_url": f"https://gateway.example/v1?key={KEY}"},
        {"openai_proxy": f"http://{KEY}@proxy.example:8080"},
        {"model_kwargs": {"signer": partial(print, api_key=KEY)}},
    ],
)
def test_a_key_anywhere_in_the_settings_is_taken_out(settings: dict[str, Any]) -> None:
    model = openai(**settings)
    told = describe(ValueError(f"no such user: {KEY}, in north-west-7"), model)
    assert told == "no such user: [key], in north-west-7"


def test_what_holds_itself_has_an_end() -> None:
    body: dict[str, Any] = {"secret": KEY}
    body["again"] = body
    assert KEY in keys_of(openai().model_copy(update={"extra_body": body}))


def test_settings_that_are_no_keys_stay_readable() -> None:
    model = openai(
        default_headers={"X-Team": "vision-team", "Authorization": "Bearer x"},
        extra_body={"prompt_cache_key": "pictures-1", "tags": [{"key": "environment"}]},
    )
    said = "vision-team may not use pictures-1 with Bearer in environment"
    assert describe(ValueError(said), model) == said


@pytest.mark.parametrize(
    ("name", "where", "is_one"),
    [
        ("api_key", "", True),
        ("apiKey", "", True),
        ("aws_secret_access_key", "", True),
        ("hf_token", "", True),
        ("azure_ad_token_provider", "", True),
        ("Ocp-Apim-Subscription-Key", "default_headers", True),
        ("X-Key", "default_headers", True),
        ("key", "default_query", True),
        ("key", "", False),
        ("prompt_cache_key", "model_kwargs", False),
        ("read_token", "", False),
        ("max_auth_tokens", "", False),
        ("max_tokens", "", False),
        ("X-Team", "default_headers", False),
    ],
)
def test_which_names_mean_a_key(name: str, where: str, is_one: bool) -> None:
    assert names_a_key(name, where) is is_one


async def _later() -> str:
    return KEY


@pytest.mark.parametrize("given", [lambda: KEY, _later])
async def test_a_key_from_a_function_comes_back_in_no_error(
    standin: Any, given: Callable[[], Any]
) -> None:
    standin.says({"error": {"message": f"{KEY} may not", "type": "e", "code": "e"}}, 403)
    model = openai(api_key=given, base_url=f"{standin.url}/v1", max_retries=0)
    with pytest.raises(RoleError, match=r"\[key\] may not") as caught:
        await ChatExpert.single(model).criticise(Question(text="?"), [], "3", "three")
    assert standin.requests[0].headers["authorization"] == f"Bearer {KEY}"
    assert KEY not in str(caught.value)
