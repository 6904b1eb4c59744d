"""What vLLM servers say of themselves: the model, where it lies, how long its context is."""

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlsplit

from catts.agents.addresses import place_of
from catts.agents.client_logs import keep_out_of_logs
from catts.agents.engines.vllm.address import ServedAt
from catts.agents.engines.vllm.pairs import HERE, PAIR
from catts.agents.engines.vllm.wire import CHAT, GENERATE
from catts.agents.failures import clean
from catts.errors import ModelSpecError

if TYPE_CHECKING:
    from openai import OpenAI

KEY_VARIABLE = "VLLM_API_KEY"
"""Environment variable with the key that the servers ask for, as vLLM itself reads it."""
_NO_KEY = "no-key-needed"
_LOOK_TIMEOUT_S = 30.0
_ENGINE = re.compile(r'^vllm:num_requests_running\{.*engine="(\d+)"', re.MULTILINE)


class Served(NamedTuple):
    """A model as its servers describe it."""

    urls: tuple[str, ...]
    model: str
    root: str
    """Its folder on the server, or its hub id."""
    context: int | None
    """Longest prompt and completion together, in tokens."""
    engines: tuple[int, ...]
    """Copies of the model behind each address (`--data-parallel-size`)."""
    scores_tokens: bool
    """Whether all score given tokens (`--enable-scale-out`), and not only texts."""
    lock_step: bool
    """Whether our plugin is on all (`catts.agents.engines.vllm.lock_step`), and tokens are scored.
    """

    @property
    def folder(self) -> Path | None:
        """The checkpoint's folder where it can be read from here."""
        path = Path(self.root)
        return path if path.is_absolute() and path.is_dir() else None


class _Found(NamedTuple):
    """What one server says; see `Served`."""

    model: str
    root: str
    context: int | None
    engines: int
    scores_tokens: bool
    lock_step: bool

    @property
    def shown(self) -> str:
        """What has to be the same on all replicas."""
        length = "" if self.context is None else f" with a context of {self.context} tokens"
        return f"{self.model} from {self.root}{length}"


def api_key() -> str:
    """The key to send."""
    return os.environ.get(KEY_VARIABLE) or _NO_KEY


def look_at(where: ServedAt) -> Served:
    """Ask each server what it serves; blocks for the replies.

    Raises:
        ModelSpecError: a server does not answer, does not serve the model, or serves another
            checkpoint or context than its replicas; or the package openai is missing.
    """
    logins = (urlsplit(url).password for url in where.urls)
    keep_out_of_logs(filter(None, (os.environ.get(KEY_VARIABLE), *logins)))
    found = [_look(url, where.model) for url in where.urls]
    first = found[0]
    for url, other in zip(where.urls, found, strict=True):
        if other[:3] != first[:3]:
            raise ModelSpecError(
                f"{place_of(url)} serves {other.shown}, and {place_of(where.urls[0])} "
                f"{first.shown}: replicas have to serve the same model"
            )
    return Served(
        where.urls,
        first.model,
        first.root,
        first.context,
        engines=tuple(each.engines for each in found),
        scores_tokens=all(each.scores_tokens for each in found),
        lock_step=all(each.lock_step for each in found),
    )


def _look(url: str, wanted: str | None) -> _Found:
    try:
        from openai import APIStatusError, OpenAI, OpenAIError
    except ImportError:
        raise ModelSpecError(
            "a base on a vLLM server needs the package openai: pip install 'catts[openai]'"
        ) from None
    try:
        with OpenAI(
            api_key=api_key(), base_url=url, timeout=_LOOK_TIMEOUT_S, max_retries=1
        ) as client:
            listed: Any = client.get("/v1/models", cast_to=object)
            models = {str(each["id"]): each for each in listed["data"]}
            name = _chosen(models, wanted, url)
            engines = _engines(client)
            scores_tokens = _offers(client, GENERATE)
            lock_step = scores_tokens and _has_plugin(client, name)
    except APIStatusError as error:
        hint = f": set {KEY_VARIABLE}" if error.status_code in (401, 403) else ""
        raise ModelSpecError(
            f"{place_of(url)} refused to list its models ({error.status_code}){hint}"
        ) from error
    except OpenAIError as error:
        said = clean(str(error), frozenset({api_key()}))
        raise ModelSpecError(
            f"no vLLM server answers at {place_of(url)} ({said}): start it, or check the address"
        ) from error
    except (KeyError, TypeError, ValueError) as error:
        raise ModelSpecError(
            f"what answers at {place_of(url)} is no OpenAI-compatible server: check the address"
        ) from error
    told = models[name]
    context = told.get("max_model_len")
    length = context if isinstance(context, int) else None
    return _Found(name, str(told.get("root") or name), length, engines, scores_tokens, lock_step)


def _chosen(models: Mapping[str, Any], wanted: str | None, url: str) -> str:
    if wanted is None and len(models) != 1:
        raise ModelSpecError(f"{place_of(url)} serves several models: add #NAME, {_names(models)}")
    name = next(iter(models)) if wanted is None else wanted
    if name not in models:
        raise ModelSpecError(f"{place_of(url)} serves no {name!r}: {_names(models)}")
    return name


def _engines(client: "OpenAI") -> int:
    """How many copies of the model the server spreads requests over, of which its metrics tell."""
    from openai import APIStatusError

    try:
        told = client.get("/metrics", cast_to=str)
    except APIStatusError:
        return 1
    return max(1, len(set(_ENGINE.findall(told))))


def _offers(client: "OpenAI", path: str) -> bool:
    """Whether the server has something at `path`: it then complains of an empty request."""
    from openai import APIStatusError

    try:
        client.post(path, body={}, cast_to=object)
    except APIStatusError as error:
        return error.status_code not in (404, 405)
    return True


def _has_plugin(client: "OpenAI", model: str) -> bool:
    """Whether a pair's half with a wrong role is refused in our plugin's words.

    A server without the plugin takes no notice of such arguments, and would answer as if nothing
    had been asked.
    """
    from openai import APIStatusError

    body = {
        "model": model,
        "messages": [{"role": "user", "content": "?"}],
        "max_completion_tokens": 1,
        "temperature": 0,
        "vllm_xargs": {PAIR: "probe", "catts_role": "none"},
    }
    try:
        client.post(CHAT, body=body, cast_to=object)
    except APIStatusError as error:
        return HERE in str(error)
    return False


def _names(models: Mapping[str, Any]) -> str:
    return f"one of {', '.join(sorted(models))}" if models else "it has none"
