"""`vllm:ADDRESS[,ADDRESS...][#MODEL]`: where a base model is served, and by which name."""

from typing import NamedTuple

from catts.agents.addresses import split_url
from catts.errors import ModelSpecError

PREFIX = "vllm:"


class ServedAt(NamedTuple):
    """Replicas of one model."""

    urls: tuple[str, ...]
    """Addresses of the servers, such as http://localhost:8000, without the /v1 of their API."""
    model: str | None
    """The model's name there; None for the only one that is served."""


def names_server(spec: object) -> bool:
    """Whether a base is named by the address of a server."""
    return isinstance(spec, str) and spec.startswith(PREFIX)


def read_address(spec: str) -> ServedAt:
    """The parts of `vllm:ADDRESS[,ADDRESS...][#MODEL]`; addresses end in /v1 or in nothing.

    Raises:
        ModelSpecError: an address is none, or is given twice.
    """
    addresses, _, model = spec.removeprefix(PREFIX).partition("#")
    urls = []
    for address in addresses.split(","):
        parts = split_url(address)
        urls.append(parts._replace(path=parts.path.rstrip("/").removesuffix("/v1")).geturl())
    if len(set(urls)) < len(urls):
        raise ModelSpecError("an address of a replica is given twice: give each one once")
    return ServedAt(tuple(urls), model or None)
