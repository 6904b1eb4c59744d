"""From `provider:model` or the address of a server to a LangChain chat model."""

import os
from collections.abc import Mapping
from typing import Any

from langchain.chat_models import init_chat_model
from langchain_core.language_models import BaseChatModel
from langchain_core.rate_limiters import BaseRateLimiter
from pydantic import SecretStr, ValidationError

from catts.agents.addresses import split_url
from catts.agents.failures import clean
from catts.errors import ModelSpecError

PROVIDER_MAX_TOKENS = 8192
"""Longest reply of a provider's model unless the caller says otherwise: a verdict takes a few
hundred tokens, and what a model thinks before it counts too."""
SERVER_MAX_TOKENS = 4096
"""The same on a server of one's own, where prompt and reply often share a short context."""
_NO_KEY = "no-key-needed"
OWN_FORMAT = frozenset({"google_genai", "anthropic", "ollama"})
"""Providers that keep their own request format when they are given another address."""

# A request is sent once: `catts.agents.experts.requests` sends it again as limits and Retry-After
# allow, which not every client reads. With Google the setting counts all attempts.
_MAX_RETRIES = {"google_genai": 1}
_MAX_TOKENS = {"ollama": "num_predict"}
_EXTRAS = {"google_genai": "google", "openai": "openai"}
# A connection kept open belongs to the event loop that opened it, and fails in the next one: an
# expert used under `asyncio.run` twice would lose every other request. One handshake a request is
# little beside a model's answer.
_HEADERS = {"google_genai": "additional_headers", "openai": "default_headers"}
_KEYS = {"google_genai": ("GOOGLE_API_KEY", "GEMINI_API_KEY"), "openai": ("OPENAI_API_KEY",)}


def provider_model(
    provider: str,
    model: str,
    *,
    url: str | None = None,
    api_key: SecretStr | None = None,
    max_tokens: int | None = None,
    rate_limiter: BaseRateLimiter | None = None,
    settings: Mapping[str, Any] | None = None,
) -> BaseChatModel:
    """The chat model that LangChain's `init_chat_model` makes of `provider:model`.

    Args:
        provider: LangChain's name of the provider, such as `google_genai`, `openai`, `ollama`.
        model: The provider's name of the model.
        url: Address to use instead of the provider's own.
        api_key: The key; by default the provider's own environment variable is read.
        max_tokens: Longest reply in tokens, thoughts included; by default `PROVIDER_MAX_TOKENS`, or
            what LangChain knows to be the model's most where that is less.
        rate_limiter: Asked before each request.
        settings: More of what LangChain's class for the provider takes, such as `thinking_budget`.

    Raises:
        ModelSpecError: LangChain knows no such provider, its package or key is missing, or the
            provider refuses the settings.
    """
    spec = f"{provider}:{model}"
    given: dict[str, Any] = {}
    if url is not None:
        given["base_url"] = split_url(url).geturl()
    if api_key is not None:
        given["api_key"] = api_key
    given |= settings or {}
    chat = _init(spec, provider, model, given, max_tokens or PROVIDER_MAX_TOKENS, rate_limiter)
    most = (chat.profile or {}).get("max_output_tokens") or PROVIDER_MAX_TOKENS
    if max_tokens is None and most < PROVIDER_MAX_TOKENS:
        return _init(spec, provider, model, given, most, rate_limiter)
    return chat


def server_model(
    model: str,
    url: str,
    *,
    api_key: SecretStr | None = None,
    max_tokens: int | None = None,
    rate_limiter: BaseRateLimiter | None = None,
    settings: Mapping[str, Any] | None = None,
) -> BaseChatModel:
    """`model` on an OpenAI-compatible server (vLLM, llama.cpp, Ollama, ...) at `url`.

    Greedy, so that a server's replies repeat as a local model's do. The key is `api_key`, else
    VLLM_API_KEY, else OPENAI_API_KEY, else a placeholder: most local servers ask for none. A reply
    has at most `max_tokens` tokens, by default `SERVER_MAX_TOKENS`. `rate_limiter` is asked before
    a request.
    `settings` are more of what `langchain_openai.ChatOpenAI` takes.

    Raises:
        ModelSpecError: the address is none, or langchain-openai is missing.
    """
    given: dict[str, Any] = {
        "base_url": split_url(url).geturl(),
        "api_key": api_key or SecretStr(_server_key()),
        "temperature": 0,
        **(settings or {}),
    }
    return _init(model, "openai", model, given, max_tokens or SERVER_MAX_TOKENS, rate_limiter)


def _server_key() -> str:
    found = (os.environ.get(name) for name in ("VLLM_API_KEY", "OPENAI_API_KEY"))
    return next(filter(None, found), _NO_KEY)


def _init(
    spec: str,
    provider: str,
    model: str,
    settings: dict[str, Any],
    max_tokens: int,
    rate_limiter: BaseRateLimiter | None,
) -> BaseChatModel:
    settings = {
        "max_retries": _MAX_RETRIES.get(provider, 0),
        _MAX_TOKENS.get(provider, "max_tokens"): max_tokens,
        **settings,
    }
    if rate_limiter is not None:
        settings["rate_limiter"] = rate_limiter
    if provider in _HEADERS:
        name = _HEADERS[provider]
        settings[name] = {"Connection": "close", **(settings.get(name) or {})}
    try:
        chat: BaseChatModel = init_chat_model(model, model_provider=provider, **settings)
    except ImportError as error:
        extra = _EXTRAS.get(provider)
        advice = f"pip install 'catts[{extra}]'" if extra else clean(str(error))
        raise ModelSpecError(f"{spec} needs a package that is not installed: {advice}") from None
    except Exception as error:  # each provider refuses its settings in its own way
        reason = _reason(error)
    else:
        return chat
    if reason.startswith("Unsupported provider"):
        raise ModelSpecError(
            f"there is no provider {provider!r}: give one that LangChain's init_chat_model knows, "
            "such as google_genai, openai, anthropic or ollama"
        )
    keys = _KEYS.get(provider, ())
    if keys and "api_key" not in settings and not any(os.environ.get(key) for key in keys):
        raise ModelSpecError(f"{spec} needs a key: set the environment variable {keys[0]}")
    raise ModelSpecError(f"{spec} cannot be set up: {reason}")


def _reason(error: Exception) -> str:
    """What a provider says, without the input that pydantic repeats: it holds keys."""
    if isinstance(error, ValidationError):
        problems = error.errors(include_url=False, include_context=False, include_input=False)
        return clean(problems[0]["msg"].removeprefix("Value error, "))
    return clean(str(error)) or type(error).__name__
