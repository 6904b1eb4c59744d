"""Requests as the graph sends them, kept with their times, and sent again by nothing but HTTP."""

import asyncio
import json
import time
from collections.abc import Mapping, Sequence
from contextvars import ContextVar
from typing import Any, NamedTuple

import httpx

from catts.agents.engines.vllm.replicas import TIMEOUT_S, Replicas
from catts.errors import EngineError

# vLLM hangs up on what has been idle for 5 s, maybe just as the next request is sent
_LIMITS = httpx.Limits(keepalive_expiry=2.0)


class Call(NamedTuple):
    """One request of a question."""

    path: str
    body: Mapping[str, Any]
    started: float
    ended: float
    tokens: int
    """Tokens of its completions."""


OF_THIS_QUESTION: ContextVar[list[Call]] = ContextVar("OF_THIS_QUESTION")
"""Where the requests of the question that is being asked are kept."""


class Recorder(Replicas):
    """Keeps each request with those of its question."""

    async def post_together(
        self, path: str, bodies: Sequence[Mapping[str, Any]], copy: int | None = None
    ) -> list[Any]:
        """As of `Replicas`."""
        started = time.perf_counter()
        replies = await super().post_together(path, bodies, copy)
        ended = time.perf_counter()
        for body, reply in zip(bodies, replies, strict=True):
            OF_THIS_QUESTION.get().append(Call(path, body, started, ended, told_tokens(reply)))
        return replies


def told_tokens(reply: Mapping[str, Any]) -> int:
    """Tokens of the completions, as a reply tells them; a rendered prompt has none."""
    return int((reply.get("usage") or {}).get("completion_tokens") or 0)


class Played(NamedTuple):
    """What a replay came to."""

    seconds: float
    requests: int
    tokens: int


async def replay(
    questions: Sequence[Sequence[Call]], url: str, api_key: str, at_once: int
) -> Played:
    """Send the requests of each question again, `at_once` questions under way.

    Each request is sent as soon as those of its question have come back that had come back before
    it was sent first: so as many are under way as the graph had, and none waits for the client.

    Raises:
        EngineError: the server failed, or refused one.
    """
    ready = [[(call.path, json.dumps(call.body).encode()) for call in calls] for calls in questions]
    before = [earlier(calls) for calls in questions]
    turn = asyncio.Semaphore(at_once)
    replies: list[bytes] = []
    headers = {"Authorization": f"Bearer {api_key}", "Content-Type": "application/json"}
    async with httpx.AsyncClient(
        base_url=url, headers=headers, timeout=TIMEOUT_S, limits=_LIMITS, trust_env=False
    ) as client:

        async def one(sent: Sequence[tuple[str, bytes]], waits: Sequence[Sequence[int]]) -> None:
            back = [asyncio.Event() for _ in sent]

            async def send(number: int) -> None:
                for other in waits[number]:
                    await back[other].wait()
                path, content = sent[number]
                reply = await client.post(path, content=content)
                reply.raise_for_status()
                replies.append(reply.content)
                back[number].set()

            async with turn:
                await asyncio.gather(*map(send, range(len(sent))))

        started = time.perf_counter()
        try:
            await asyncio.gather(*(one(*each) for each in zip(ready, before, strict=True)))
        except httpx.HTTPError as error:
            raise EngineError(
                f"the server failed at a request that it had answered before: {error!r}"
            ) from error
        seconds = time.perf_counter() - started
    tokens = sum(told_tokens(json.loads(reply)) for reply in replies)
    return Played(seconds, len(replies), tokens)


def earlier(calls: Sequence[Call]) -> list[list[int]]:
    """For each request the numbers of those that had come back when it was sent."""
    return [
        [number for number, other in enumerate(calls) if other.ended <= call.started]
        for call in calls
    ]
