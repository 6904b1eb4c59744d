"""Requests are sent again as they were sent first; the whole is tested on the real server."""

import json
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple

import pytest

from catts.errors import InputError
from catts.evals.studies.server_cost import run_server_cost
from catts.evals.studies.server_replay import Call, earlier, replay


class Seen(NamedTuple):
    path: str
    body: Any
    came: float
    left: float


@pytest.fixture
def server() -> Iterator[tuple[str, list[Seen]]]:
    """Address of a server that takes a tenth of a second, and what it was sent."""
    seen: list[Seen] = []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            came = time.perf_counter()
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            time.sleep(0.1)
            seen.append(Seen(self.path, body, came, time.perf_counter()))
            reply = b'{"usage": {"completion_tokens": 3}}'
            self.send_response(200)
            self.send_header("Content-Length", str(len(reply)))
            self.end_headers()
            self.wfile.write(reply)

        def log_message(self, *_: Any) -> None:
            """Keep the test's output clean."""

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=http.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{http.server_port}", seen
    http.shutdown()
    http.server_close()
    thread.join()


def call(name: str, started: float, ended: float) -> Call:
    return Call(f"/{name}", {"name": name}, started, ended, 3)


QUESTION = [call("a", 0, 1), call("b", 1.1, 3), call("c", 1.2, 2), call("d", 3.1, 4)]


def test_a_request_waits_for_those_that_had_come_back() -> None:
    assert earlier(QUESTION) == [[], [0], [0], [0, 1, 2]]


async def test_the_same_requests_are_sent_in_the_same_order(server) -> None:
    url, seen = server
    played = await replay([QUESTION], url, "key", at_once=1)
    assert (played.requests, played.tokens) == (4, 12)
    assert played.seconds >= 0.3
    a, b, c, d = sorted(seen, key=lambda each: each.path)
    assert [each.body for each in (a, b, c, d)] == [dict(each.body) for each in QUESTION]
    assert a.left < min(b.came, c.came)
    assert max(b.came, c.came) < min(b.left, c.left), "both under way together"
    assert max(b.left, c.left) < d.came


@pytest.mark.parametrize("at_once", [1, 2])
async def test_so_many_questions_are_under_way(server, at_once: int) -> None:
    url, seen = server
    first, second = [call("first", 0, 1)], [call("second", 0, 1)]
    await replay([first, second], url, "key", at_once)
    one, other = sorted(seen, key=lambda each: each.path)
    assert (other.came < one.left) is (at_once == 2)


@pytest.mark.parametrize("base", ["embedded", "vllm:http://a,http://b"])
def test_anything_but_one_server_is_refused(base: str) -> None:
    with pytest.raises(InputError, match="is not one vLLM server"):
        run_server_cost(base)
