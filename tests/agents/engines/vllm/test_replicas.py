"""Requests go to the least loaded server that answers; what fails says where and what to do."""

import asyncio
import time

import pytest

from catts.agents.engines.vllm import replicas
from catts.agents.engines.vllm.engine import VLLMEngine
from catts.agents.engines.vllm.replicas import Replicas
from catts.agents.engines.vllm.server import Served
from catts.errors import EngineError

NOBODY = "http://127.0.0.1:9"
KEY = "vllm-0123456789abcdef"


def ranks(standin) -> list[str | None]:
    return [request.headers.get("x-data-parallel-rank") for request in standin.requests]


@pytest.fixture(autouse=True)
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replicas, "RETRIES", 0)


async def test_the_key_and_the_body_are_sent(standin) -> None:
    standin.says({"fine": True})
    assert await Replicas([standin.url], KEY).post("/v1/x", {"a": 1}) == {"fine": True}
    (request,) = standin.requests
    assert (request.path, request.body) == ("/v1/x", {"a": 1})
    assert request.headers["authorization"] == f"Bearer {KEY}"


async def test_requests_that_have_to_meet_name_the_copy_of_the_model(standin) -> None:
    standin.says({})
    sender = Replicas([NOBODY, standin.url], KEY)
    sender.copies = (2, 4)
    await sender.post_together("/x", [{}, {}], 7)
    await sender.post("/x", {})
    assert ranks(standin) == ["3", "3", None], "of the one that answers, not of the dead one"


async def test_a_server_of_one_copy_hears_of_none(standin) -> None:
    standin.says({})
    await Replicas([standin.url], KEY).post_together("/x", [{}, {}], 7)
    assert ranks(standin) == [None, None]


def test_an_engine_tells_its_replicas_of_their_copies() -> None:
    urls = (NOBODY, "http://127.0.0.1:8")
    sender = Replicas(urls, KEY)
    VLLMEngine(Served(urls, "m", "org/m", 64, (1, 3), True, True), replicas=sender)
    assert sender.copies == (1, 3)


async def test_a_dead_replica_is_left_out_and_tried_again(
    standin, monkeypatch: pytest.MonkeyPatch
) -> None:
    standin.says({})
    sender = Replicas([NOBODY, standin.url], KEY)
    for _ in range(3):
        await sender.post("/x", {})
    pool = sender._of_loop[asyncio.get_running_loop()]
    dead, alive = pool.replicas
    assert dead.dead_until > time.monotonic() and alive.dead_until == 0
    assert pool.next_of(pool.replicas) is alive
    dead.dead_until = 0.0
    assert pool.next_of(pool.replicas) is dead
    assert len(standin.requests) == 3


async def test_the_least_loaded_comes_first(standin) -> None:
    standin.says({})
    standin.delay = 0.5
    sender = Replicas([standin.url, standin.url + "/"], KEY)
    requests = [asyncio.create_task(sender.post("/x", {})) for _ in range(4)]
    async with asyncio.timeout(20):
        while len(standin.requests) < 4:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    pool = sender._of_loop[asyncio.get_running_loop()]
    assert [replica.under_way for replica in pool.replicas] == [2, 2]
    await asyncio.gather(*requests)
    assert [replica.under_way for replica in pool.replicas] == [0, 0]


async def test_where_no_replica_answers_all_are_named() -> None:
    with pytest.raises(EngineError, match=r"127.0.0.1:9, 127.0.0.1:8 cannot be reached"):
        await Replicas([NOBODY, "http://127.0.0.1:8"], KEY).post("/x", {})


async def test_a_late_reply_is_told_as_one(standin, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replicas, "TIMEOUT_S", 0.1)
    standin.says({})
    standin.delay = 1.0
    with pytest.raises(EngineError, match=r"did not answer within 0.1 s"):
        await Replicas([standin.url], KEY).post("/x", {})


async def test_a_refusal_goes_to_no_other_replica_and_says_which_flag_to_set(standin) -> None:
    said = "Requested sample logprobs of 21, which is greater than max allowed: 20"
    standin.says({"error": {"message": said}}, status=400)
    with pytest.raises(EngineError, match=r"\(400\).*start vLLM with --max-logprobs 21"):
        await Replicas([standin.url, NOBODY], KEY).post("/x", {})
    assert len(standin.requests) == 1


async def test_a_key_is_in_no_error(standin) -> None:
    standin.says({"error": {"message": f"wrong key {KEY}"}}, status=401)
    with pytest.raises(EngineError) as caught:
        await Replicas([standin.url], KEY).post("/x", {})
    assert KEY not in str(caught.value)


async def test_a_failure_of_one_server_is_asked_of_another(standin) -> None:
    standin.says({"error": {"message": "out of memory"}}, status=500)
    with pytest.raises(EngineError, match="cannot be reached"):
        await Replicas([standin.url, NOBODY], KEY).post("/x", {})
    assert len(standin.requests) == 1


def test_each_event_loop_has_connections_of_its_own(standin) -> None:
    standin.says({})
    sender = Replicas([standin.url], KEY)
    for _ in range(3):
        asyncio.run(sender.post("/x", {}))
    assert len(standin.requests) == 3


async def test_closed_means_closed(standin) -> None:
    sender = Replicas([standin.url], KEY)
    await sender.aclose()
    await sender.aclose()
    with pytest.raises(EngineError, match="closed"):
        await sender.post("/x", {})
