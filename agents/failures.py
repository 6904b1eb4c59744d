"""A failed request: whether it may pass by itself or was refused, and what may be told of it.

What is told is enough to act on, and never a key or an address's query.

Providers put keys, addresses and whole requests into their errors; these end up in traces, so they
are cleaned here, where they enter.
"""

import json
import math
import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from datetime import datetime
from email.utils import parsedate_to_datetime

from langchain_core.exceptions import ModelError
from langchain_core.language_models import BaseChatModel
from pydantic import ValidationError

from catts.agents.keys import keys_in_use, masked, without

MAX_MESSAGE_CHARS = 300

_HINTS = {
    401: "the key was refused; check it",
    403: "the key may not use this model; check its permissions",
    404: "the server knows no such model; check its name",
    408: "the server timed out; try again",
    429: "the rate limit or quota is used up; wait, or ask fewer questions at once",
}
CHECK_THE_SERVER = "check the address, the model's name, and that the server speaks this API"
_MISREAD = (
    AttributeError,
    IndexError,
    KeyError,
    TypeError,
    UnicodeDecodeError,
    json.JSONDecodeError,
)
"""What a provider's client raises when it takes apart a reply that is not built as its own are."""
_MISCALLED = re.compile(r"(?:keyword|positional) arguments?\b")
_ADDRESS = re.compile(r"(?i)\b([a-z][a-z0-9+.-]*://)(?:[^\s/@]*@)?([^\s/?#\"'<>]*)[^\s\"'<>)]*")
# by name, since each provider brings an HTTP client of its own
_CONNECTION_LOST = frozenset(
    {
        "httpx.TransportError",
        "httpx2.TransportError",
        "aiohttp.ClientConnectionError",
        "aiohttp.ClientPayloadError",
    }
)
_SECONDS = re.compile(r"(\d+(?:\.\d*)?)s")
"""A duration as Google writes it."""
_PASSING = frozenset({408, 425, 429})
_REFUSING_CODES = frozenset({"content_filter", "content_policy_violation"})


def is_transient(error: BaseException) -> bool:
    """Whether the same request may succeed later.

    So it is after a rate limit, a failure of the server, a time limit and a lost connection. Where
    LangChain has classified the error (`ModelError.is_retryable`), that counts; else its type and
    its HTTP status do, looked for along its chain of causes.
    """
    if any(getattr(link, "code", None) == "insufficient_quota" for link in _chain(error)):
        return False  # a 429 like a rate limit's, but it does not pass
    for link in _chain(error):
        if isinstance(link, ModelError):
            return link.is_retryable
        if isinstance(link, (ConnectionError, TimeoutError)) or _is_lost_connection(link):
            return True
    status = http_status(error)
    return status is not None and (status in _PASSING or status >= 500)


def is_refusal(error: BaseException) -> bool:
    """Whether the provider refused the request for what it holds, as OpenAI and Azure do."""
    return any(getattr(link, "code", None) in _REFUSING_CODES for link in _chain(error))


def describe(error: Exception, model: BaseChatModel) -> str:
    """One line on `error`, raised by `model`: the HTTP status, a hint, and its cleaned message."""
    status = http_status(error)
    message = clean(str(error), keys_in_use(model))
    if status is None and _is_misread(error):
        return (
            f"the server's reply had not the expected form: {CHECK_THE_SERVER} "
            f"({type(error).__name__}: {message})"
        )
    if status is None:
        return message or type(error).__name__
    hint = _HINTS.get(status, "the server failed; try again later" if status >= 500 else "")
    return ": ".join(part for part in (f"HTTP {status}", hint, message) if part)


def http_status(error: BaseException | None) -> int | None:
    """The HTTP status behind `error`, looked for along its chain of causes."""
    for link in _chain(error):
        for name in ("status_code", "code"):
            value = getattr(link, name, None)
            if isinstance(value, int) and 400 <= value < 600:
                return value
    return None


def retry_after(error: BaseException) -> float | None:
    """For how many seconds the provider asked not to be asked again; None where it did not say.

    Read from the headers of the reply (`Retry-After`, in seconds or as a date, or
    `Retry-After-Ms`), else from what Google writes into the reply itself.
    """
    for link in _chain(error):
        for told in (_of_headers(link), _of_google(link)):
            if told is not None and math.isfinite(told):
                return max(0.0, told)
    return None


def clean(text: str, keys: frozenset[str] = frozenset()) -> str:
    """`text` on one short line, without `keys`, what looks like a key, and addresses' paths."""
    text = _ADDRESS.sub(r"\1\2", without(text, keys)[: 20 * MAX_MESSAGE_CHARS])
    line = " ".join(masked(text).split())
    return line if len(line) <= MAX_MESSAGE_CHARS else line[: MAX_MESSAGE_CHARS - 1] + "…"


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    for _ in range(5):
        if error is None:
            return
        yield error
        error = error.__cause__


def _of_headers(error: BaseException) -> float | None:
    headers = getattr(getattr(error, "response", None), "headers", None)
    if not isinstance(headers, Mapping):
        return None
    given = {str(name).lower(): str(value) for name, value in headers.items()}
    for name, per_second in (("retry-after-ms", 1000.0), ("retry-after", 1.0)):
        with suppress(KeyError, ValueError):
            return float(given[name]) / per_second
    with suppress(KeyError, ValueError):
        date = parsedate_to_datetime(given["retry-after"])
        return (date - datetime.now(date.tzinfo)).total_seconds()
    return None


def _of_google(error: BaseException) -> float | None:
    body = getattr(error, "details", None)
    inner = body.get("error", body) if isinstance(body, Mapping) else None
    details = inner.get("details") if isinstance(inner, Mapping) else None
    for each in details if isinstance(details, list) else ():
        delay = each.get("retryDelay") if isinstance(each, Mapping) else None
        if isinstance(delay, str) and (match := _SECONDS.fullmatch(delay)):
            return float(match[1])
    return None


def _is_misread(error: Exception) -> bool:
    """Whether `error` tells of a reply that was not built as expected, in Python's words."""
    if isinstance(error, ValidationError):
        return error.title.endswith(("Message", "Response"))
    # a setting that the client does not know is a TypeError too, and tells of itself
    return isinstance(error, _MISREAD) and not _MISCALLED.search(str(error))


def _is_lost_connection(error: BaseException) -> bool:
    names = {f"{kind.__module__.partition('.')[0]}.{kind.__name__}" for kind in type(error).__mro__}
    return bool(names & _CONNECTION_LOST)
