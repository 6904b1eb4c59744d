"""What tells one chat model from another: its class and every setting, and never a key."""

import re
from collections.abc import Mapping
from enum import Enum
from typing import Any

from langchain_core.language_models import BaseChatModel
from pydantic import BaseModel, SecretBytes, SecretStr

from catts.agents.failures import secrets_of, without_keys

_NAMES_A_KEY = re.compile(
    r"(?i)api[-_ ]?key|authorization|cookie|credential|password|secret"
    r"|(?:^|[-_])key$|(?:access|api|auth|bearer|hf|session)[-_ ]?token"
)


def identity_of(model: BaseChatModel) -> dict[str, object]:
    """Plain data that differs between two models whose settings differ, fit for JSON.

    The settings are the fields of the model's class but those that LangChain leaves out of a dump
    (clients, callbacks, cache, rate limiter), and what the class itself calls identifying. Keys
    are left out, so a new key makes no other model: secret types and fields, names that mean a key,
    and a key within a text.
    """
    secrets = secrets_of(model)
    settings = {
        name: getattr(model, name)
        for name, field in type(model).model_fields.items()
        if not field.exclude and name not in model.lc_secrets
    }
    return {
        "class": _name(type(model)),
        "settings": _plain(settings | (model.model_extra or {}), secrets),
        "identifying": _plain({**model._get_ls_params(), **model._identifying_params}, secrets),
    }


def _plain(value: Any, secrets: frozenset[str]) -> object:
    if value is None or isinstance(value, (bool, int, float)):
        return value
    if isinstance(value, str):
        return without_keys(value, secrets)
    if isinstance(value, (SecretStr, SecretBytes)):
        return None
    if isinstance(value, Enum):
        return _plain(value.value, secrets)
    if isinstance(value, BaseModel):
        return _plain(dict(value), secrets)
    if isinstance(value, Mapping):
        return {
            str(_plain(key, secrets)): _plain(item, secrets)
            for key, item in value.items()
            if not _NAMES_A_KEY.search(str(key))
        }
    if isinstance(value, (list, tuple)):
        return [_plain(item, secrets) for item in value]
    if isinstance(value, (set, frozenset)):
        return sorted((_plain(item, secrets) for item in value), key=repr)
    # an object of another kind may show its address, or what it holds: its name has to do
    return _name(value)


def _name(thing: Any) -> str:
    return (
        f"{getattr(thing, '__module__', '')}.{getattr(thing, '__qualname__', type(thing).__name__)}"
    )
