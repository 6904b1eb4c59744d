"""The expert's three roles over LangChain chat models."""

import asyncio
import hashlib
import json
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Self, TypeVar

from langchain_core.language_models import BaseChatModel
from langchain_core.language_models.base import LanguageModelInput
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage
from langchain_core.runnables import Runnable
from PIL.Image import Image

from catts.agents.expert import Candidate, Critique, Plan, RoleResult, Vote
from catts.agents.experts.briefing import image_blocks, list_answers, list_candidates, quoted
from catts.agents.experts.chat_model import EngineChatModel
from catts.agents.experts.identity import identity_of
from catts.agents.experts.replies import (
    MAX_REPLY_CHARS,
    ReplyError,
    object_with,
    read_critique,
    read_plan,
    read_vote,
)
from catts.agents.experts.responses import cost, refusal, reply_within, was_cut
from catts.agents.experts.schemas import SCHEMAS, held_to_schema
from catts.agents.failures import CHECK_THE_SERVER, clean, describe, is_refusal, is_transient
from catts.agents.keys import keys_in_use
from catts.agents.protocol import Usage
from catts.agents.spending import Bill
from catts.agents.waiting import time_limit
from catts.errors import RoleError
from catts.names import Role
from catts.prompts import PromptSet, load_prompts
from catts.question import Question

ROLE_TIMEOUT = 120.0
"""Seconds that one request may take unless the caller says otherwise."""

_FIELDS: dict[Role, str] = {"planner": "order", "voter": "probabilities", "critic": "critique"}

_Reply = TypeVar("_Reply", Plan, Vote, Critique)


class ChatExpert:
    """An `Expert` over one chat model for each role; `ChatExpert.single` takes one for all.

    A role asks once, with all pictures of the question and then the text. A malformed reply is
    answered with what is wrong with it, once; a second one, or a request that fails, is a
    `RoleError`, which says whether asking again may help (`transient`). Only those two requests are
    made: retries of a transport are the chat model's own (`max_retries`). A model that LangChain
    knows to support structured output is held to the role's JSON schema; any other writes its JSON
    as text. The caller's LangChain callbacks reach the models as in any LangGraph node.
    """

    def __init__(
        self,
        *,
        planner: BaseChatModel,
        voter: BaseChatModel,
        critic: BaseChatModel,
        prompts: PromptSet | None = None,
        name: str | None = None,
        timeout: float | Mapping[Role, float | None] | None = ROLE_TIMEOUT,
        on_close: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        """Make an expert.

        Args:
            planner: Model for `plan`.
            voter: Model for `vote`.
            critic: Model for `criticise`.
            prompts: The prompt set; the shipped `default` when None.
            name: Name for people and part of the fingerprint; made of the models when None.
            timeout: Seconds for one request, for all roles or for each (a role that is left out
                has `ROLE_TIMEOUT`); None waits for ever.
            on_close: Called by the first `aclose`, for what the expert owns besides its models.
        """
        self._models: dict[Role, BaseChatModel] = {
            "planner": planner,
            "voter": voter,
            "critic": critic,
        }
        self._held: dict[Role, Runnable[LanguageModelInput, Any] | None] = {
            role: held_to_schema(model, role) for role, model in self._models.items()
        }
        self._prompts = prompts if prompts is not None else load_prompts("default")
        self._timeouts: dict[Role, float | None] = {
            role: timeout.get(role, ROLE_TIMEOUT) if isinstance(timeout, Mapping) else timeout
            for role in self._models
        }
        self._on_close = on_close
        self.name = name or "+".join(dict.fromkeys(map(_model_name, self._models.values())))

    @classmethod
    def single(
        cls,
        model: BaseChatModel,
        *,
        prompts: PromptSet | None = None,
        name: str | None = None,
        timeout: float | Mapping[Role, float | None] | None = ROLE_TIMEOUT,
        on_close: Callable[[], Awaitable[None]] | None = None,
    ) -> Self:
        """One chat model in all three roles; arguments as of the class."""
        return cls(
            planner=model,
            voter=model,
            critic=model,
            prompts=prompts,
            name=name,
            timeout=timeout,
            on_close=on_close,
        )

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.name!r}, prompts={self._prompts.name!r})"

    @property
    def fingerprint(self) -> str:
        """SHA-256 (hex) over the name, prompts, and each role's model, settings and schema."""
        models = {role: identity_of(model) for role, model in self._models.items()}
        schemas = {role: SCHEMAS[role] for role, held in self._held.items() if held is not None}
        content = json.dumps([self.name, models, schemas, self._prompts.hash], sort_keys=True)
        return hashlib.sha256(content.encode()).hexdigest()

    async def plan(
        self, question: Question, images: Sequence[Image], candidates: Sequence[Candidate]
    ) -> RoleResult[Plan]:
        """Order the modules; the model sees the candidates' counts, shares and confidences."""
        text = self._prompts.ask(
            "planner",
            question.text,
            question.choices,
            candidates=list_candidates(candidates),
        )
        return await self._ask("planner", text, images, read_plan)

    async def vote(
        self, question: Question, images: Sequence[Image], candidates: Sequence[Candidate]
    ) -> RoleResult[Vote]:
        """Give each candidate a probability; the model sees the answers alone."""
        text = self._prompts.ask(
            "voter",
            question.text,
            question.choices,
            candidates=list_answers(candidates),
        )
        return await self._ask(
            "voter", text, images, lambda fields: read_vote(fields, len(candidates))
        )

    async def criticise(
        self, question: Question, images: Sequence[Image], answer: str, reasoning: str
    ) -> RoleResult[Critique]:
        """Criticise `answer` and the completion `reasoning` that led to it."""
        text = self._prompts.ask(
            "critic",
            question.text,
            question.choices,
            answer=quoted(answer),
            reasoning=reasoning,
        )
        return await self._ask("critic", text, images, read_critique)

    async def aclose(self) -> None:
        """Free what the expert owns; calling it twice is harmless."""
        on_close, self._on_close = self._on_close, None
        if on_close is not None:
            await on_close()

    async def _ask(
        self,
        role: Role,
        text: str,
        images: Sequence[Image],
        read: Callable[[Mapping[str, Any]], _Reply],
    ) -> RoleResult[_Reply]:
        content = await asyncio.to_thread(image_blocks, images)
        content.append({"type": "text", "text": text})
        messages: list[BaseMessage] = [HumanMessage(content=content)]
        bill = Bill()
        problem = ""
        for attempt in (1, 2):
            message, arguments = await self._request(role, messages, bill)
            reply = str(message.text)
            try:
                fields = object_with(_FIELDS[role], reply) if arguments is None else arguments
                return RoleResult(reply=read(fields), usage=bill.total, attempts=attempt)
            except ReplyError as error:
                problem = str(error)
            # providers refuse a turn without text
            said = reply or ("(nothing)" if arguments is None else json.dumps(dict(arguments)))
            messages.append(AIMessage(content=said[:MAX_REPLY_CHARS]))
            messages.append(HumanMessage(content=self._prompts.render("retry", error=problem)))
        if was_cut(message):
            problem += "; it was cut at its longest, so raise expert_max_tokens"
        elif not reply and arguments is None:
            problem += f"; it was empty, so {CHECK_THE_SERVER}"
        raise RoleError(
            role, f"malformed reply, twice: {problem}", cause=ReplyError.__name__, usage=bill.total
        )

    async def _request(
        self, role: Role, messages: Sequence[BaseMessage], bill: Bill
    ) -> tuple[AIMessage, Mapping[str, Any] | None]:
        """The reply, and its fields where it came as a tool's arguments; its cost is on the bill.

        Raises no error but RoleError.
        """
        start = time.perf_counter()
        result = await self._invoke(role, messages, bill)
        message: AIMessage = result["raw"] if isinstance(result, dict) else result
        bill.add(cost(message, time.perf_counter() - start))
        if refused := refusal(message):
            raise self._refused(role, refused, bill.total)
        # LangChain completes JSON that breaks off; the text is read as it is, wherever there is one
        parsed = result["parsed"] if isinstance(result, dict) and message.tool_calls else None
        return message, parsed if isinstance(parsed, Mapping) else None

    async def _invoke(self, role: Role, messages: Sequence[BaseMessage], bill: Bill) -> Any:
        """What the model returns: a message, or a dict with it where it is held to a schema."""
        model, timeout = self._models[role], self._timeouts[role]
        asked = self._held[role] or model
        start = time.perf_counter()
        try:
            async with time_limit(timeout) as limit:
                return await asked.ainvoke(list(messages), config={"run_name": f"catts {role}"})
        except BaseException as error:
            message = reply_within(error)
            if message is not None:
                return message
            # one that is cut off from outside was sent as well
            bill.add(Usage(calls=1, seconds=time.perf_counter() - start))
            if not isinstance(error, Exception):
                raise
            if is_refusal(error):
                raise self._refused(role, describe(error, model), bill.total) from None
            what = f"no reply in {timeout:g} s" if limit.expired() else describe(error, model)
            # the provider's error may hold keys: it must not hang on to ours
            raise RoleError(
                role,
                what,
                cause=type(error).__name__,
                usage=bill.total,
                # a local model that was too slow once would be so again
                transient=is_transient(error) and not isinstance(model, EngineChatModel),
            ) from None

    def _refused(self, role: Role, why: str, usage: Usage) -> RoleError:
        said = clean(why, keys_in_use(self._models[role]))
        return RoleError(
            role,
            f"the provider refused to reply ({said}): ask otherwise, leave the picture out that it "
            "objects to, or name another expert",
            cause="Refused",
            usage=usage,
        )


def _model_name(model: BaseChatModel) -> str:
    return model._get_ls_params().get("ls_model_name") or type(model).__name__
