"""What tells one chat model from another: its class and every setting, and never a key."""

import hashlib
import inspect
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from datetime import date, time, timedelta
from enum import Enum
from functools import partial
from numbers import Number
from pathlib import PurePath
from types import CodeType, FunctionType, MethodType
from typing import Any
from uuid import UUID

from langchain_core.language_models import BaseChatModel
from pydantic import BaseModel, SecretBytes, SecretStr

from catts.agents.keys import keys_of, names_a_key, replaced

_SHORTEST_KEY = 8
"""A shorter one, such as a placeholder `test`, would change what it happens to be a part of."""
_WRITTEN = (PurePath, Number, date, time, timedelta, UUID)
"""Values that their text tells apart."""
_FUNCTIONS = (partial, MethodType, FunctionType, CodeType)


def identity_of(model: BaseChatModel) -> dict[str, object]:
    """Plain data that differs between two models whose settings differ, fit for JSON.

    The settings are the fields of the model's class but those that LangChain leaves out of a dump
    (clients, callbacks, cache, rate limiter), and what the class itself calls identifying. Keys
    are left out, so a new key makes no other model: secret types and fields, names and headers that
    mean a key, the logins and keys of addresses, and any of these keys within a text. A text that
    only looks like a key counts by its digest. An object of a kind that is not plain data, a record
    or a function counts by its class alone.
    """
    return _Teller(frozenset(key for key in keys_of(model) if len(key) >= _SHORTEST_KEY)).of(model)


class _Teller:
    """Tells values in plain data, without `keys`."""

    def __init__(self, keys: frozenset[str]) -> None:
        self._keys = keys
        self._within: set[int] = set()
        """Functions that are being told: one may hold itself."""

    def of(self, model: BaseChatModel) -> dict[str, object]:
        settings = {n: v for n, v in _fields(model).items() if n not in model.lc_secrets}
        return {
            "class": _name(type(model)),
            "settings": self._plain(settings),
            "identifying": self._plain({**model._get_ls_params(), **model._identifying_params}),
        }

    def _plain(self, value: Any, name: str = "") -> object:
        """`value` as plain data; `name` is that of the setting that it is, or stands in."""
        if value is None or isinstance(value, (SecretStr, SecretBytes)):
            return None
        if isinstance(value, Enum):
            return self._plain(value.value, name)
        if isinstance(value, (bool, int, float)):
            return value
        if isinstance(value, str):
            return replaced(value, self._keys, _digest)
        if isinstance(value, (bytes, bytearray)):
            # as text, so that a key in it does not count either
            return {"bytes": _digest(replaced(value.decode("latin-1"), self._keys, str))}
        if isinstance(value, Mapping):
            return {
                str(self._plain(key)): self._plain(item, str(key))
                for key, item in value.items()
                if not names_a_key(key, name)
            }
        if isinstance(value, (list, tuple)):
            return [self._plain(item, name) for item in value]
        if isinstance(value, (set, frozenset)):
            return sorted((self._plain(item, name) for item in value), key=repr)
        return self._record(value, name)

    def _record(self, value: Any, name: str) -> object:
        """What is no plain data, by its class and what it holds."""
        if isinstance(value, type):
            return _name(value)
        if isinstance(value, BaseChatModel):
            return self.of(value)
        if isinstance(value, BaseModel):
            return [_name(type(value)), self._plain(_fields(value), name)]
        if is_dataclass(value):
            held = {field.name: getattr(value, field.name, None) for field in fields(value)}
            return [_name(type(value)), self._plain(held, name)]
        if isinstance(value, _WRITTEN):
            return self._plain(str(value))
        if isinstance(value, _FUNCTIONS) and id(value) not in self._within:
            self._within.add(id(value))
            parts = self._plain(_parts(value), name)
            self._within.discard(id(value))
            return [_name(value), parts]
        # an object of another kind may show its address, or what it holds: its name has to do
        return _name(value)


def _fields(model: BaseModel) -> dict[str, Any]:
    """The fields that LangChain dumps, and those that its class does not know."""
    known = type(model).model_fields.items()
    return {n: getattr(model, n) for n, f in known if not f.exclude} | (model.model_extra or {})


def _parts(function: Any) -> list[object]:
    """What tells one function from another of its name."""
    if isinstance(function, partial):
        return [function.func, function.args, function.keywords]
    if isinstance(function, MethodType):
        return [function.__func__, function.__self__]
    if isinstance(function, CodeType):
        return [function.co_code, function.co_consts, function.co_names]
    held = inspect.getclosurevars(function).nonlocals
    return [function.__code__, function.__defaults__, function.__kwdefaults__, held]


def _digest(text: str) -> str:
    return f"[{hashlib.sha256(text.encode('utf-8', 'surrogatepass')).hexdigest()}]"


def _name(thing: Any) -> str:
    return (
        f"{getattr(thing, '__module__', '')}.{getattr(thing, '__qualname__', type(thing).__name__)}"
    )
