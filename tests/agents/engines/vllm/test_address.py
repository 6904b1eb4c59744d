"""What `--base vllm:...` may say."""

import pytest

from catts.agents.engines.vllm.address import names_server, read_address
from catts.errors import ModelSpecError


@pytest.mark.parametrize(
    ("spec", "urls", "model"),
    [
        ("vllm:http://localhost:8000/v1#org/name", ["http://localhost:8000"], "org/name"),
        ("vllm:http://localhost:8000", ["http://localhost:8000"], None),
        ("vllm:https://a/v1/,http://b:1/x/v1#m", ["https://a", "http://b:1/x"], "m"),
    ],
)
def test_addresses_and_the_name_are_read(spec: str, urls: list[str], model: str | None) -> None:
    assert names_server(spec)
    assert read_address(spec) == (tuple(urls), model)


@pytest.mark.parametrize("spec", ["vllm:", "vllm:#m", "vllm:localhost:8000", "vllm:http://a,"])
def test_what_is_no_address_is_refused(spec: str) -> None:
    with pytest.raises(ModelSpecError, match="is no address of a server"):
        read_address(spec)


def test_the_same_replica_twice_is_refused() -> None:
    with pytest.raises(ModelSpecError, match="given twice"):
        read_address("vllm:http://a/v1,http://a")


def test_other_bases_name_no_server() -> None:
    assert not any(map(names_server, ("embedded", "org/name", "vllm", None)))
