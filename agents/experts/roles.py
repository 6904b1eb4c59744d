"""The expert's three roles over LangChain chat models."""

import asyncio
import hashlib
import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Self, TypeVar

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage
from PIL.Image import Image

from catts.agents.client_logs import keep_out_of_logs
from catts.agents.expert import Candidate, Critique, Plan, RoleResult, Vote
from catts.agents.experts.briefing import image_blocks, list_answers, list_candidates, quoted
from catts.agents.experts.chat_model import EngineChatModel
from catts.agents.experts.identity import identity_of
from catts.agents.experts.limits import Gates, Limits, OwnAndShared
from catts.agents.experts.prices import FREE, Price, Prices, shipped_prices
from catts.agents.experts.replies import (
    MAX_REPLY_CHARS,
    ReplyError,
    object_with,
    read_critique,
    read_plan,
    read_vote,
)
from catts.agents.experts.requests import RoleRequests
from catts.agents.experts.responses import was_cut
from catts.agents.experts.schemas import SCHEMAS
from catts.agents.failures import CHECK_THE_SERVER
from catts.agents.keys import keys_of
from catts.agents.spending import Bill
from catts.errors import InputError, RoleError
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
    `RoleError`, which says whether asking again may help (`transient`). A request that fails in a
    way that may pass is sent again `attempts` times in all, beside the retries that the chat model
    has of its own (`max_retries`), and never before `Retry-After`. A model that LangChain
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
        attempts: int = 1,
        limits: Limits | OwnAndShared | Gates | None = None,
        prices: Prices | None = None,
        priced_as: str | None = None,
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
            attempts: How often a request is sent whose failure may pass.
            limits: What the roles may cost and how fast they may ask: shared by them, or a mapping
                that gives roles limits of their own and, as `shared`, those that they share. What
                it says of timeout and attempts counts before these.
            prices: What requests cost; by default the table that the package ships.
            priced_as: The models' name in it; by default LangChain's `provider:model`.
            on_close: Called by the first `aclose`, for what the expert owns besides its models.

        Raises:
            InputError: there is a budget in dollars, and a model's price is not known.
        """
        self._models: dict[Role, BaseChatModel] = {
            "planner": planner,
            "voter": voter,
            "critic": critic,
        }
        self._prompts = prompts if prompts is not None else load_prompts("default")
        gates = limits if isinstance(limits, Gates) else Gates(limits)
        table = prices or shipped_prices()
        self._requests: dict[Role, RoleRequests] = {}
        for role, model in self._models.items():
            keep_out_of_logs(keys_of(model))
            gate, price = gates.of(role), _price(model, table, priced_as)
            if price is None and gate.in_dollars:
                raise InputError(
                    f"the price of {priced_as or _priced_as(model)} is in no table, so it has no "
                    "budget in dollars: give a table with it (prices), or another limit"
                )
            own = timeout.get(role, ROLE_TIMEOUT) if isinstance(timeout, Mapping) else timeout
            self._requests[role] = RoleRequests(
                role,
                model,
                gate=gate,
                timeout=gate.timeout or own,
                attempts=gate.attempts or attempts,
                price=price,
            )
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
        attempts: int = 1,
        limits: Limits | OwnAndShared | Gates | None = None,
        prices: Prices | None = None,
        priced_as: str | None = None,
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
            attempts=attempts,
            limits=limits,
            prices=prices,
            priced_as=priced_as,
            on_close=on_close,
        )

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.name!r}, prompts={self._prompts.name!r})"

    @property
    def fingerprint(self) -> str:
        """SHA-256 (hex) over the name, prompts, and each role's model, settings and schema."""
        models = {role: identity_of(model) for role, model in self._models.items()}
        schemas = {role: SCHEMAS[role] for role, asks in self._requests.items() if asks.held}
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
            message, arguments = await self._requests[role].send(messages, bill)
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


def _model_name(model: BaseChatModel) -> str:
    return model._get_ls_params().get("ls_model_name") or type(model).__name__


def _priced_as(model: BaseChatModel) -> str:
    told = model._get_ls_params()
    return f"{told.get('ls_provider')}:{told.get('ls_model_name')}"


def _price(model: BaseChatModel, prices: Prices, name: str | None) -> Price | None:
    return FREE if isinstance(model, EngineChatModel) else prices.of(name or _priced_as(model))
