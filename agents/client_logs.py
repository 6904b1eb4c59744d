"""The log lines of providers' clients, without keys.

Google's client logs, at INFO, the error after which it asks again, and HTTP clients log addresses:
a server's error may hold the key that it was sent, and an address a login.
"""

import logging
import threading
from collections.abc import Iterable

from catts.agents.keys import masked, without

CLIENT_LOGGERS = (
    "google_genai._api_client",
    "openai._base_client",
    "anthropic._base_client",
    "httpx",
    "httpx2",
)
"""Loggers that tell of requests and errors before these reach us."""
_FORMATTER = logging.Formatter()


class _Masking(logging.Filter):
    """Takes the keys that it knows, and what looks like one, out of every line."""

    def __init__(self) -> None:
        super().__init__()
        self._keys: frozenset[str] = frozenset()
        self._lock = threading.Lock()

    def learn(self, keys: Iterable[str]) -> None:
        with self._lock:
            self._keys |= frozenset(keys)

    def filter(self, record: logging.LogRecord) -> bool:
        said = record.getMessage()
        kept = masked(without(said, self._keys))
        if kept != said:
            record.msg, record.args = kept, None
        if record.exc_info:  # which a formatter would spell out
            told = _FORMATTER.formatException(record.exc_info)
            record.exc_text, record.exc_info = masked(without(told, self._keys)), None
        return True


_MASKING = _Masking()


def keep_out_of_logs(keys: Iterable[str]) -> None:
    """Let no line that the providers' clients log hold one of `keys`."""
    _MASKING.learn(keys)
    for name in CLIENT_LOGGERS:
        logging.getLogger(name).addFilter(_MASKING)  # a second time changes nothing
