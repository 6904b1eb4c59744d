"""Several servers of one model: each request goes to the least loaded one that answers."""

import asyncio
import time
from collections.abc import Awaitable, Mapping, Sequence
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from pydantic_core import from_json

from catts.agents.addresses import place_of
from catts.agents.engines.vllm.wire import LOGPROBS_FLAG
from catts.agents.failures import clean, http_status
from catts.agents.waiting import turn
from catts.errors import EngineError

if TYPE_CHECKING:
    from openai import AsyncOpenAI

REQUESTS_AT_ONCE = 64
"""Requests under way at a time, on each replica; vLLM queues what it cannot batch."""
TIMEOUT_S = 600.0
"""Longest wait for a reply."""
RETRIES = 3
"""How often the client sends a request again that a server turned away or dropped: after a rate
limit, as its Retry-After says, and after a failure of the server, ever later."""
LEFT_OUT_S = 30.0
"""So long a replica that does not answer is left out, before it is tried again."""


class Replica:
    """One server, from one event loop."""

    def __init__(self, url: str, client: "AsyncOpenAI", copies: int) -> None:
        self.url, self.client, self.copies = url, client, copies
        self.under_way = 0
        self.dead_until = 0.0


class Replicas:
    """Sends requests to the replicas of a model; of any number of event loops.

    A connection kept open belongs to the loop that opened it, so each loop has clients of its own.
    """

    def __init__(self, urls: Sequence[str], api_key: str) -> None:
        self._urls, self._key = tuple(urls), api_key
        self._of_loop: WeakKeyDictionary[asyncio.AbstractEventLoop, _Pool] = WeakKeyDictionary()
        self._closed = False
        self.copies = (1,) * len(self._urls)
        """Of the model, behind each address; what a loop's first request finds is what counts."""

    async def post(self, path: str, body: Mapping[str, Any]) -> Any:
        """The JSON of a reply to a request; `path` begins behind the API's address.

        Raises:
            EngineError: no replica answered, or one refused the request; one line says why.
        """
        (reply,) = await self.post_together(path, [body])
        return reply

    async def post_together(
        self, path: str, bodies: Sequence[Mapping[str, Any]], copy: int | None = None
    ) -> list[Any]:
        """`post` of several requests that have to meet on one server, at the same time.

        On a server with several copies of the model they meet on one: that of the number `copy`,
        counted round and round.
        """
        if self._closed:
            raise EngineError("the engine is closed: open it again")
        loop = asyncio.get_running_loop()
        pool = self._of_loop.get(loop)
        if pool is None:
            pool = self._of_loop[loop] = _Pool(self._urls, self._key, self.copies)
        async with turn(pool.room):
            return await pool.post(path, bodies, copy)

    async def let_go(self) -> None:
        """Close the connections of this event loop, which may be asked again."""
        pool = self._of_loop.pop(asyncio.get_running_loop(), None)
        if pool is not None:
            await pool.aclose()

    async def aclose(self) -> None:
        """Refuse requests from now on; connections of other event loops end with these."""
        self._closed = True
        await self.let_go()


class _Pool:
    """The replicas, from one event loop."""

    def __init__(self, urls: Sequence[str], api_key: str, copies: Sequence[int]) -> None:
        from openai import AsyncOpenAI

        self._key = api_key
        self.replicas = [
            Replica(
                url,
                AsyncOpenAI(api_key=api_key, base_url=url, timeout=TIMEOUT_S, max_retries=RETRIES),
                count,
            )
            for url, count in zip(urls, copies, strict=True)
        ]
        self.room = asyncio.Semaphore(REQUESTS_AT_ONCE * len(urls))

    async def post(
        self, path: str, bodies: Sequence[Mapping[str, Any]], copy: int | None
    ) -> list[Any]:
        from openai import APIConnectionError, APIStatusError, OpenAIError

        tried: list[Replica] = []
        while True:
            replica = self.next_of([each for each in self.replicas if each not in tried])
            tried.append(replica)
            replica.under_way += len(bodies)
            headers = {}
            if copy is not None and replica.copies > 1:
                headers["X-data-parallel-rank"] = str(copy % replica.copies)
            try:
                replies = await _all(
                    [
                        replica.client.post(
                            path, body=dict(body), cast_to=bytes, options={"headers": headers}
                        )
                        for body in bodies
                    ]
                )
                return [_decoded(reply) for reply in replies]
            except APIConnectionError as error:  # a time limit is one, too
                replica.dead_until = time.monotonic() + LEFT_OUT_S
                if len(tried) == len(self.replicas):
                    raise _unanswered(tried, error) from error
            except APIStatusError as error:
                if error.status_code < 500 or len(tried) == len(self.replicas):
                    raise _refused(replica, error, self._key) from error
                replica.dead_until = time.monotonic() + LEFT_OUT_S
            except OpenAIError as error:
                raise _refused(replica, error, self._key) from error
            finally:
                replica.under_way -= len(bodies)

    def next_of(self, replicas: Sequence[Replica]) -> Replica:
        """The least loaded one; those that are left out come last."""
        now = time.monotonic()
        return min(replicas, key=lambda r: (r.dead_until > now, r.under_way))

    async def aclose(self) -> None:
        for replica in self.replicas:
            await replica.client.close()


def _decoded(reply: bytes) -> Any:
    """The JSON of a reply, else None, which nobody can read as one.

    Log-probabilities make up to a megabyte of it, for which json takes nearly twice as long.
    """
    try:
        return from_json(reply, cache_strings="keys")
    except ValueError:
        return None


async def _all(requests: Sequence[Awaitable[Any]]) -> list[Any]:
    """Their replies; where one fails, the others are cancelled."""
    tasks = [asyncio.ensure_future(request) for request in requests]
    try:
        return list(await asyncio.gather(*tasks))
    except BaseException:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        raise


def _unanswered(tried: Sequence[Replica], error: Exception) -> EngineError:
    places = ", ".join(place_of(replica.url) for replica in tried)
    late = type(error).__name__ == "APITimeoutError"
    what = f"did not answer within {TIMEOUT_S:g} s" if late else "cannot be reached"
    return EngineError(f"{places} {what}: check that vLLM runs there, and the address")


def _refused(replica: Replica, error: Exception, api_key: str) -> EngineError:
    status, said = http_status(error), clean(str(error), frozenset({api_key}))
    hint = next((advice for mark, advice in _ADVICE.items() if mark in said), "")
    code = "" if status is None else f" ({status})"
    return EngineError(f"{place_of(replica.url)} refused the request{code}: {said}{hint}")


_ADVICE = {
    "greater than max allowed": f"; start vLLM with {LOGPROBS_FLAG}",
    "At most": "; start vLLM with a larger --limit-mm-per-prompt",
    "maximum context length": "; start vLLM with a larger --max-model-len, or send smaller images",
}
