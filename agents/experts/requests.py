"""A role's requests to its chat model: limits, attempts, cost, and errors in plain words."""

import random
import time
from collections.abc import Mapping, Sequence
from typing import Any

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage
from tenacity import (
    AsyncRetrying,
    RetryCallState,
    retry_if_exception_type,
    stop_after_attempt,
    wait_exponential_jitter,
)

from catts.agents.experts.chat_model import EngineChatModel
from catts.agents.experts.limits import RoleGate
from catts.agents.experts.prices import FREE, Price, priced
from catts.agents.experts.responses import cost, refusal, reply_within
from catts.agents.experts.schemas import held_to_schema
from catts.agents.failures import (
    clean,
    describe,
    http_status,
    is_refusal,
    is_transient,
    retry_after,
)
from catts.agents.keys import keys_in_use
from catts.agents.protocol import Usage
from catts.agents.spending import Bill
from catts.agents.waiting import time_limit
from catts.errors import RoleError
from catts.names import Role

ATTEMPTS = 5
"""How often a request is sent whose failure may pass by itself, ever later: a lost connection, a
rate limit, a failing server."""
LONGEST_PAUSE_S = 60.0
"""Longest wait before a request is sent again; a provider that asks for more is not asked again."""
_FIRST_PAUSE_S, _JITTER_S = 1.0, 1.0


class RoleRequests:
    """Sends a role's requests to its chat model."""

    def __init__(
        self,
        role: Role,
        model: BaseChatModel,
        *,
        gate: RoleGate,
        timeout: float | None,
        attempts: int,
        price: Price | None,
    ) -> None:
        """Send requests of `role` to `model`.

        Args:
            role: The role.
            model: Its chat model.
            gate: Holds the requests to limits.
            timeout: Seconds for one request; None waits for ever.
            attempts: How often a request is sent whose failure may pass.
            price: Of the model; None where it is not known.
        """
        self.model = model
        self.held = held_to_schema(model, role)
        """The model held to the role's schema; None where it cannot be."""
        self._role, self._gate = role, gate
        self._timeout, self._attempts, self._price = timeout, attempts, price

    async def send(
        self, messages: Sequence[BaseMessage], bill: Bill
    ) -> tuple[AIMessage, Mapping[str, Any] | None]:
        """The reply, and its fields where it came as a tool's arguments; its cost is on the bill.

        Raises:
            RoleError: there is none; its `usage` is what the bill says.
        """
        try:
            result = await self._sent(messages, bill)
            message: AIMessage = result["raw"] if isinstance(result, dict) else result
            if refused := refusal(message):
                raise self._refused(refused)
        except RoleError as error:
            error.usage = bill.total
            raise
        # LangChain completes JSON that breaks off; the text is read as it is, wherever there is one
        parsed = result["parsed"] if isinstance(result, dict) and message.tool_calls else None
        return message, parsed if isinstance(parsed, Mapping) else None

    async def _sent(self, messages: Sequence[BaseMessage], bill: Bill) -> Any:
        """What the model returns, sent again where it fails in a way that may pass."""
        tries = AsyncRetrying(
            retry=retry_if_exception_type(_PassingError),
            stop=stop_after_attempt(self._attempts),
            wait=_pause,
            reraise=True,
        )
        result: Any = None
        sent = 0
        try:
            async for trial in tries:
                with trial:
                    sent += 1
                    result = await self._once(messages, bill)
        except _PassingError as passing:
            passing.error.attempts = sent
            raise passing.error from None
        return result

    async def _once(self, messages: Sequence[BaseMessage], bill: Bill) -> Any:
        """What the model returns: a message, or a dict with it where it is held to a schema."""
        asked = self.held or self.model
        async with self._gate.request(self._role):
            start = time.perf_counter()
            try:
                async with time_limit(self._timeout) as limit:
                    result = await asked.ainvoke(
                        list(messages), config={"run_name": f"catts {self._role}"}
                    )
            except BaseException as error:
                result = reply_within(error)
                if result is None:
                    # one that is cut off from outside was sent as well
                    lost = Usage(calls=1, seconds=time.perf_counter() - start)
                    # who refuses a request does not charge for it
                    self._spend(lost, FREE if http_status(error) else self._price, bill)
                    if not isinstance(error, Exception):
                        raise
                    # the provider's error may hold keys: it must not hang on to ours
                    raise self._failed(error, late=limit.expired()) from None
            message = result["raw"] if isinstance(result, dict) else result
            self._spend(cost(message, time.perf_counter() - start), self._price, bill)
        return result

    def _spend(self, usage: Usage, price: Price | None, bill: Bill) -> None:
        usage = priced(usage, price)
        untold = price != FREE and not usage.prompt_tokens + usage.completion_tokens
        self._gate.charge(None if untold else usage, price)
        bill.add(usage)

    def _failed(self, error: Exception, *, late: bool) -> Exception:
        """What is raised in the place of `error`."""
        if is_refusal(error):
            return self._refused(describe(error, self.model))
        # a local model that was too slow once would be so again
        local = isinstance(self.model, EngineChatModel) and not self.model.remote
        passes = is_transient(error) and not local
        pause = retry_after(error) if passes else None
        what = f"no reply in {self._timeout:g} s" if late else describe(error, self.model)
        if pause is not None and pause > LONGEST_PAUSE_S:
            passes, what = False, f"{what}; it asks for {pause:.0f} s without requests"
        failed = RoleError(
            self._role,
            what,
            cause=type(error).__name__,
            transient=passes,
            retry_after=pause,
        )
        return _PassingError(failed) if passes and not late else failed

    def _refused(self, why: str) -> RoleError:
        said = clean(why, keys_in_use(self.model))
        return RoleError(
            self._role,
            f"the provider refused to reply ({said}): ask otherwise, leave the picture out that it "
            "objects to, or name another expert",
            cause="Refused",
        )


class _PassingError(Exception):
    """A failure after which the same request is worth sending again."""

    def __init__(self, error: RoleError) -> None:
        super().__init__(str(error))
        self.error = error


def _pause(state: RetryCallState) -> float:
    """Exponential with jitter, and never before the provider wants to be asked again."""
    grown = wait_exponential_jitter(_FIRST_PAUSE_S, LONGEST_PAUSE_S, jitter=_JITTER_S)(state)
    failed = state.outcome.exception() if state.outcome is not None else None
    asked = failed.error.retry_after if isinstance(failed, _PassingError) else None
    return grown if asked is None else max(grown, asked + random.uniform(0, _JITTER_S))
