"""A scripted stand-in for the experts' servers: real HTTP, on the loopback address."""

import json
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple

from catts.evals.chaos import formats
from catts.evals.chaos.formats import Asked, Provider
from catts.evals.chaos.script import Case, Fault, Script
from catts.names import MODULES, Role

STALL_S = 60.0
"""Longest stall; whoever asked has hung up long before."""
RETRY_AFTER_S = 1
_LIMITED = 429
_STATUS = {"rate-limited": _LIMITED, "server error": 503, "key refused": 401}


@dataclass
class Said:
    """One reply of the server, and to whom."""

    case: Case
    role: Role
    fault: Fault | None
    candidates: tuple[str, ...] = ()
    """As the request named them."""
    fields: Mapping[str, Any] | None = None
    """What a well-formed reply says."""
    began: float = 0.0
    """When the request had come, in seconds on the monotonic clock."""
    ended: float | None = None
    """When the last of a reply of 429 was about to leave; None if it was never sent."""


class _Reply(NamedTuple):
    status: int
    body: bytes
    limited: Said | None = None
    """The record of a reply of 429, to be completed as it ends."""


class ScriptedServer:
    """Replies to each request as the script has it, and keeps what it said to whom.

    It knows a question by its picture. A request about a picture that was not registered, or with
    the text of another question, is a stray: `strays` names it.
    """

    def __init__(self, script: Script, *, delay: float = 0.0) -> None:
        """`delay` are seconds before each reply."""
        self.script, self.delay = script, delay
        self.url = ""
        self.keys: Counter[str] = Counter()
        """Every key that came with a request."""
        self.strays: list[str] = []
        self._said: defaultdict[tuple[str, Role], list[Said]] = defaultdict(list)
        self._cases: dict[str, tuple[Case, str]] = {}
        self._lock = threading.Lock()

    def register(self, case: Case, picture: str, question: str) -> None:
        """Expect a question with this picture, by its digest, and this text."""
        with self._lock:
            self._cases[picture] = case, question

    def said(self, case: Case, role: Role) -> list[Said]:
        """What was said in a role about a question, in order."""
        with self._lock:
            return list(self._said.get((case.id, role), ()))

    @property
    def everything(self) -> list[Said]:
        """All that was said."""
        with self._lock:
            return [said for each in self._said.values() for said in each]

    @contextmanager
    def serving(self) -> Iterator[None]:
        """Serve on a free port; at the end every connection is closed."""
        http = _HTTP(("127.0.0.1", 0), _handler(self))
        self.url = f"http://127.0.0.1:{http.server_port}"
        thread = threading.Thread(target=http.serve_forever, args=(0.02,), name="chaos-server")
        thread.start()
        try:
            yield
        finally:
            http.shutdown()
            http.server_close()
            thread.join()

    def reply(
        self, provider: Provider, body: Mapping[str, Any], key: str, began: float
    ) -> _Reply | None:
        """What a request gets that had come at `began`, or None for a stall."""
        try:
            asked = formats.read_request(provider, body)
        except (ValueError, LookupError, OSError) as error:
            self.strays.append(f"{type(error).__name__}: {error}")
            return _Reply(400, b"{}")
        with self._lock:
            self.keys[key] += 1
            known = self._cases.get(asked.pictures[0]) if asked.pictures else None
            if known is None or f"\nQuestion: {known[1]}\n" not in asked.text:
                self.strays.append(asked.text)
                return _Reply(400, b"{}")
            case = known[0]
            before = self._said[case.id, asked.role]
            request = len(before)
            fault = self.script.course(case, asked.role).at(request)
            fields = None if fault else self._fields(case, asked)
            said = Said(case, asked.role, fault, asked.candidates, fields, began)
            before.append(said)
        if fault is None:
            return _Reply(200, formats.says(provider, json.dumps(fields)))
        if fault == "stalls":
            return None
        reply = self._faulty(fault, provider, case, asked, request, key)
        return reply._replace(limited=said) if reply.status == _LIMITED else reply

    def _fields(self, case: Case, asked: Asked) -> dict[str, Any]:
        """A well-formed reply: it names candidates of the question, and carries its mark."""
        think = f"about {case.mark}"
        if asked.role == "voter":
            said = self.script.probabilities(case, len(asked.candidates))
            return {"think": think, "probabilities": said}
        named = asked.candidates[0].split(":")[0] if asked.candidates else "nothing"
        if asked.role == "planner":
            order = list(MODULES)
            self.script.chance(case, "order", 0).shuffle(order)
            return {"think": think, "order": order, "reason": f"{named} leads {case.mark}"}
        return {"think": think, "critique": f"See again whether it is {named} {case.mark}."}

    def _faulty(
        self, fault: Fault, provider: Provider, case: Case, asked: Asked, request: int, key: str
    ) -> _Reply:
        chance = self.script.chance(case, asked.role, request)
        if fault in _STATUS:
            # some providers repeat the key, and a careless gateway the whole address
            told = f"{case.mark} for key {key}: see https://x.example/q?key={key}"
            status = _STATUS[fault]
            body = formats.fails(provider, status, told)
            return _Reply(status, body)
        if fault == "blocked":
            return _Reply(200, formats.blocked(provider))
        if fault in ("HTML page", "empty body", "hangs up"):
            page = f"<html><h1>Bad gateway</h1>{case.mark} {key}</html>".encode()
            return _Reply(0 if fault == "hangs up" else 200, page if fault == "HTML page" else b"")
        good = json.dumps(self._fields(case, asked))
        texts = {
            "refuses": "I'm sorry, but I can't help with this picture.",
            "cut off": good[: chance.randrange(1, len(good) - 1)],
            "no JSON": f"Well, {case.mark} is hard to see: I would say the first, 0.9, or so.",
            "other JSON": json.dumps({"answer": asked.candidates, "mark": case.mark}),
            "bad numbers": chance.choice(_bad_values(asked)),
        }
        return _Reply(200, formats.says(provider, texts[fault], cut=fault == "cut off"))


def _bad_values(asked: Asked) -> list[str]:
    """Objects of the right form with values that cannot be used."""
    if asked.role == "planner":
        return ['{"order": ["voter", "voter", "critic"]}', '{"order": "voter"}', '{"order": [1]}']
    if asked.role == "critic":
        return ['{"critique": 5}', '{"critique": " "}', '{"critique": null}']
    count = len(asked.candidates)
    wrong = (["NaN"] * count, ["-1"] * count, ["0.5"] * (count + 1), ["0"] * count, ["1e999"])
    return [f'{{"probabilities": [{", ".join(values)}]}}' for values in wrong]


class _HTTP(ThreadingHTTPServer):
    daemon_threads = False  # so that closing waits for them
    request_queue_size = 256  # a full queue costs a caller a second


def _handler(scripted: ScriptedServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        timeout = STALL_S

        def do_POST(self) -> None:
            began = time.monotonic()
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            bearer = self.headers.get("Authorization", "").removeprefix("Bearer ")
            key = self.headers.get("x-goog-api-key") or bearer
            reply = scripted.reply(formats.provider_of(self.path), body, key, began)
            time.sleep(scripted.delay)
            if reply is None:
                with suppress(OSError):  # nothing comes but the end: whoever asked hangs up
                    self.rfile.read(1)
            if reply is None or not reply.status:
                self.close_connection = True
                return
            with suppress(ConnectionError):
                self.send_response(reply.status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(reply.body)))
                if reply.limited is not None:
                    self.send_header("Retry-After", str(RETRY_AFTER_S))
                self.end_headers()
                if reply.limited is not None:
                    # before whoever asked can have read it whole: no pause looks too short
                    reply.limited.ended = time.monotonic()
                self.wfile.write(reply.body)

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 -- as its class has it
            """Keep stderr clean."""

    return Handler
