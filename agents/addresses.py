"""Addresses of servers, as users write them."""

from urllib.parse import SplitResult, urlsplit

from catts.agents.failures import clean
from catts.errors import ModelSpecError


def split_url(url: str) -> SplitResult:
    """The parts of an http(s) address.

    Raises:
        ModelSpecError: it is none.
    """
    try:
        parts = urlsplit(url.strip())
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        usable = False
    if not usable:
        raise ModelSpecError(
            f"{clean(url)!r} is no address of a server: give one such as http://localhost:8000/v1"
        )
    return parts


def place_of(url: str) -> str:
    """Host and port of an address, without a login that stands in it."""
    return split_url(url).netloc.rpartition("@")[2]
