"""Keys among the settings of a chat model, and texts without them.

A key is known by its type (`SecretStr`), by the name of its setting or header, or by its place in
an address; in a text of unknown origin only by its look.
"""

import os
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import fields, is_dataclass
from functools import partial
from typing import Any

from langchain_core.language_models import BaseChatModel
from pydantic import BaseModel, SecretBytes, SecretStr

_NAME = re.compile(
    r"(?i)api[-_ ]?key|authorization|cookie|credential|passw(?:or)?d|secret"
    r"|(?:access|account|private|shared|signing|subscription)[-_ ]?key"
    r"|(?:access|api|auth|bearer|refresh|security|session|(?<![a-z])(?:ad|hf|id))[-_ ]?token(?!s)"
)
_NAME_IN_A_REQUEST = re.compile(r"(?i)(?:^|[-_])(?:key|token)$")
"""In a header or a query such a name means a key; a setting's, such as a cache's, need not."""
_REQUEST = re.compile(r"(?i)header|query|param")
_LOGIN = re.compile(r"(?<=://)[^\s/@]*@")
_QUERY = re.compile(r"(?i)([?&][\w.\-]*(?:key|token|secret|password|signature|sig)=)([^&#\s\"']+)")
_NAMED_KEY = re.compile(
    r"(?i)\b((?:access_|auth_|id_|refresh_|session_)?token|api[-_ ]?key|x-goog-api-key|key|secret"
    r"|password|cookie|authorization|bearer)"
    r"([\"']?\s*[:=]\W{0,3}(?:bearer |basic )?|(?<=bearer)\s+)[\w\-.~+/*]{6,}=*"
)
_KNOWN_KEY = re.compile(
    r"\b(?:AIza|sk-|lsv2_|hf_|xai-|gsk_|ya29\.|nvapi-|pplx-|gh[opsu]_|github_pat_|AKIA"
    r"|eyJ[\w\-]+\.)[\w\-.*]{4,}"
)
_SHORTEST = 4
_SHORTEST_PART = 8
"""Shorter words of a header, such as `Bearer`, are no keys."""
_DEEPEST = 12


def names_a_key(name: object, where: str = "") -> bool:
    """Whether a setting of that name holds a key; `where` is the name of what it stands in."""
    asked = str(name)
    return bool(
        _NAME.search(asked) or (_REQUEST.search(where) and _NAME_IN_A_REQUEST.search(asked))
    )


def named_keys(settings: Mapping[str, Any], where: str = "", *, depth: int = 0) -> Iterator[str]:
    """Names of settings that hold a key, however deep; headers and queries are looked into."""
    for name, value in settings.items():
        if names_a_key(name, where):
            yield str(name)
        elif depth < _DEEPEST:
            inner = [held for held in _inside(value) if held[0]]
            yield from named_keys(dict(inner), str(name), depth=depth + 1)


def keys_of(model: BaseChatModel) -> frozenset[str]:
    """The keys in the settings of `model`, however deep, and in its environment variables."""
    settings = vars(model) | (model.model_extra or {})
    found = {
        key
        for name, value in settings.items()
        for key in _keys_in(value, name, named=names_a_key(name) or name in model.lc_secrets)
    }
    found |= {os.environ.get(variable, "") for variable in model.lc_secrets.values()}
    return frozenset(key for key in found if len(key) >= _SHORTEST)


def keys_in_use(model: BaseChatModel) -> frozenset[str]:
    """`keys_of`, and what the clients of `model` got where its key is given by a function."""
    used = (getattr(client, "api_key", None) for client in vars(model).values())
    return keys_of(model) | {k for k in used if isinstance(k, str) and len(k) >= _SHORTEST}


def without(text: str, keys: frozenset[str]) -> str:
    """`text` without `keys`."""
    for key in sorted(keys, key=len, reverse=True):
        text = text.replace(key, "[key]")
    return text


def masked(text: str) -> str:
    """`text` without what looks like a key, for people to read."""
    return _NAMED_KEY.sub(r"\1\2[key]", _KNOWN_KEY.sub("[key]", text))


def replaced(text: str, keys: frozenset[str], by: Callable[[str], str]) -> str:
    """`text` without `keys` and the keys in its addresses; what only looks like one goes `by`."""
    text = _QUERY.sub(r"\1[key]", _LOGIN.sub("", without(text, keys)))
    for look in (_KNOWN_KEY, _NAMED_KEY):
        text = look.sub(lambda match: by(match[0]), text)
    return text


def _keys_in(value: Any, name: str, *, named: bool, depth: int = 0) -> Iterator[str]:
    """The keys in a setting; it is one as a whole, with all that it holds, where it is `named`."""
    if isinstance(value, (SecretStr, SecretBytes)):
        value, named = value.get_secret_value(), True
    if isinstance(value, (bytes, bytearray)):
        value = value.decode("utf-8", "replace")
    if isinstance(value, str):
        yield from _keys_in_text(value, named)
    elif depth < _DEEPEST:
        for inner, item in _inside(value):
            secret = named or names_a_key(inner, name)
            yield from _keys_in(item, inner or name, named=secret, depth=depth + 1)


def _inside(value: Any) -> Iterator[tuple[str, Any]]:
    """What a setting is made of, with names where it has them."""
    if isinstance(value, BaseModel):
        value = vars(value)
    elif is_dataclass(value) and not isinstance(value, type):
        value = {field.name: getattr(value, field.name, None) for field in fields(value)}
    if isinstance(value, Mapping):
        yield from ((str(key), item) for key, item in value.items())
    elif isinstance(value, (list, tuple, set, frozenset)):
        yield from (("", item) for item in value)
    elif isinstance(value, partial):
        yield from (("", item) for item in value.args)
        yield from value.keywords.items()


def _keys_in_text(text: str, named: bool) -> Iterator[str]:
    if named:
        yield text
        # a server may repeat the key without the scheme before it
        yield from (part for part in re.split(r"[\s;,:=]+", text) if len(part) >= _SHORTEST_PART)
        return
    for login in _LOGIN.findall(text):
        yield from (part for part in login[:-1].split(":") if len(part) >= _SHORTEST_PART)
    yield from (key for _, key in _QUERY.findall(text) if len(key) >= _SHORTEST_PART)
