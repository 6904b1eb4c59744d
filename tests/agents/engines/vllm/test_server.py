"""What is read out of a server's description of itself."""

import pytest

from catts.agents.engines.vllm.address import read_address
from catts.agents.engines.vllm.pairs import HERE
from catts.agents.engines.vllm.server import look_at
from catts.errors import ModelSpecError


def lists(*names: str) -> dict[str, object]:
    return {
        "data": [{"id": name, "root": f"/models/{name}", "max_model_len": 64} for name in names]
    }


def running(*engines: int) -> str:
    line = 'vllm:num_requests_running{{engine="{}",model_name="m"}} 0.0'
    other = 'vllm:num_requests_waiting{engine="9",model_name="m"} 0.0'
    return "\n".join(["# TYPE vllm:num_requests_running gauge", *map(line.format, engines), other])


@pytest.fixture
def server(standin):
    """A server of one model without --enable-scale-out."""
    standin.pages["/v1/models"] = lists("m")
    standin.says({"error": {"message": "Not Found"}}, 404)
    return standin


@pytest.mark.parametrize(
    ("metrics", "engines"), [(None, 1), (running(0), 1), (running(0, 1, 2), 3)]
)
def test_copies_of_the_model_are_counted(server, metrics: str | None, engines: int) -> None:
    if metrics is not None:
        server.pages["/metrics"] = metrics
    served = look_at(read_address(f"vllm:{server.url}/v1"))
    assert (served.model, served.root, served.context) == ("m", "/models/m", 64)
    assert served.engines == (engines,)
    assert not served.scores_tokens and not served.lock_step


@pytest.mark.parametrize("able", [0, 1])
def test_replicas_may_differ_in_what_they_can_do_and_in_their_copies(standin, able: int) -> None:
    """Two of one model: one of three copies that has all that is asked of it, and a plain one."""
    places = ("/a", "/b")
    for place in places:
        standin.pages[f"{place}/v1/models"] = lists("m")
    standin.pages[f"{places[able]}/metrics"] = running(0, 1, 2)
    for place in places:
        if place == places[able]:
            standin.says({"error": {"message": HERE}}, 400)
            standin.says({"error": {"message": HERE}}, 400)
        else:
            standin.says({"error": {"message": "Not Found"}}, 404)
    served = look_at(read_address(f"vllm:{standin.url}/a,{standin.url}/b"))
    assert served.engines == ((3, 1) if able == 0 else (1, 3))
    assert not served.scores_tokens and not served.lock_step
    assert len(standin.requests) == 3


def test_what_all_replicas_can_do_is_offered(standin) -> None:
    for place in ("/a", "/b"):
        standin.pages[f"{place}/v1/models"] = lists("m")
    standin.says({"error": {"message": HERE}}, 400)
    served = look_at(read_address(f"vllm:{standin.url}/a,{standin.url}/b"))
    assert served.scores_tokens and served.lock_step


def test_replicas_of_another_context_are_refused_and_told_apart(server) -> None:
    server.pages["/a/v1/models"] = {"data": [{"id": "m", "root": "/models/m", "max_model_len": 32}]}
    with pytest.raises(ModelSpecError, match=r"context of 32 tokens, and .* context of 64 tokens:"):
        look_at(read_address(f"vllm:{server.url},{server.url}/a"))


def test_several_models_have_to_be_told_apart(server) -> None:
    server.pages["/v1/models"] = lists("a", "b")
    with pytest.raises(ModelSpecError, match="add #NAME, one of a, b"):
        look_at(read_address(f"vllm:{server.url}"))
    assert look_at(read_address(f"vllm:{server.url}#b")).model == "b"


def test_the_login_of_an_address_stays_out_of_the_logs(server, caplog) -> None:
    for logger in ("", "httpx", "httpx2"):  # whose level another test's library may have raised
        caplog.set_level("DEBUG", logger)
    place = server.url.removeprefix("http://")
    look_at(read_address(f"vllm:http://bob:hunter22secret@{place}/v1"))
    assert place in caplog.text, "the client tells what it asks"
    assert "hunter22secret" not in caplog.text
