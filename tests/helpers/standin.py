"""A small HTTP server on this machine that stands in for the servers of remote experts."""

import json
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

_HANGS_UP = 0


@dataclass
class Request:
    path: str
    headers: dict[str, str]
    """By name in lower case."""
    body: dict[str, Any]


@dataclass
class StandIn:
    """A server that plays back its replies, one a request, and keeps what it was asked."""

    url: str = ""
    replies: list[tuple[int, bytes, dict[str, str]]] = field(default_factory=list)
    """Status, body and more headers of each reply; the last one is repeated."""
    requests: list[Request] = field(default_factory=list)
    times: list[float] = field(default_factory=list)
    """When each request came, in seconds on the monotonic clock."""
    delay: float = 0.0
    """Seconds before each reply."""
    under_way: int = 0
    most_at_once: int = 0
    """Most requests that it had under way at a time."""

    pages: dict[str, str | dict[str, Any]] = field(default_factory=dict)
    """Path to what is found there: JSON, or a text."""

    def says(
        self, body: dict[str, Any] | bytes, status: int = 200, headers: dict[str, str] | None = None
    ) -> None:
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.replies.append((status, data, headers or {}))

    def hangs_up(self) -> None:
        """Close the connection in the place of a reply."""
        self.replies.append((_HANGS_UP, b"", {}))


@pytest.fixture
def standin() -> Iterator[StandIn]:
    """Serves on a free port of the loopback address."""
    standin, lock = StandIn(), threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"  # connections stay open, as a real server's do

        def do_POST(self) -> None:
            length = int(self.headers["Content-Length"])
            body = json.loads(self.rfile.read(length))
            headers = {name.lower(): value for name, value in self.headers.items()}
            with lock:
                standin.times.append(time.monotonic())
                standin.requests.append(Request(self.path, headers, body))
                turn = min(len(standin.requests), len(standin.replies)) - 1
                standin.under_way += 1
                standin.most_at_once = max(standin.most_at_once, standin.under_way)
            status, data, more = standin.replies[turn]
            time.sleep(standin.delay)
            with lock:
                standin.under_way -= 1
            if status == _HANGS_UP:
                self.close_connection = True
                return
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            for name, value in more.items():
                self.send_header(name, value)
            self.end_headers()
            with suppress(ConnectionError):
                self.wfile.write(data)

        def do_GET(self) -> None:
            page = standin.pages.get(self.path)
            kind = "text/plain" if isinstance(page, str) else "application/json"
            data = page.encode() if isinstance(page, str) else json.dumps(page).encode()
            self.send_response(404 if page is None else 200)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_: Any) -> None:
            """Keep the test's output clean."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    standin.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield standin
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
