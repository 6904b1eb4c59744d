import asyncio
import base64
import io
import json
from typing import Any

import pytest
from langchain_core.callbacks import CallbackManagerForLLMRun
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage
from langchain_core.messages.ai import UsageMetadata
from langchain_core.outputs import ChatGeneration, ChatResult
from PIL import Image
from pydantic import Field, SecretStr

from catts.agents.expert import Candidate
from catts.agents.experts.responses import cost
from catts.agents.experts.roles import ChatExpert
from catts.errors import RoleError
from catts.prompts import load_prompts
from catts.question import Question

QUESTION = Question(text="Which colour is the left car?", choices=("red", "blue"))
CANDIDATES = (
    Candidate(answer="A", count=5, confidence=2.5, share=0.7),
    Candidate(answer="B", count=1, confidence=1.25, share=0.3),
)
PLAN = '{"order": ["critic", "self_check", "voter"], "reason": "close"}'
VOTE = '{"probabilities": [1, 3]}'
CRITIQUE = '{"critique": "The left car is blue."}'
KEY = "sk-fake-4f9a8b7c6d5e"


class Scripted(BaseChatModel):
    """Says what it is told to, keeps what it was asked, raises the errors among its lines."""

    model: str = "scripted"
    lines: list[Any]
    asked: list[list[BaseMessage]] = Field(default_factory=list)
    api_key: SecretStr = SecretStr(KEY)
    delay: float = 0.0

    @property
    def _llm_type(self) -> str:
        return "scripted"

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        raise NotImplementedError

    async def _agenerate(self, messages: list[BaseMessage], *_: Any, **__: Any) -> ChatResult:
        self.asked.append(list(messages))
        await asyncio.sleep(self.delay)
        line = self.lines[len(self.asked) - 1]
        if isinstance(line, Exception):
            raise line
        if isinstance(line, str):
            usage = {"input_tokens": 100, "output_tokens": 10, "total_tokens": 110}
            line = AIMessage(line, usage_metadata=usage)
        return ChatResult(generations=[ChatGeneration(message=line)])


def pictures() -> list[Image.Image]:
    return [Image.new("RGB", (4, 3), "red"), Image.new("RGB", (2, 5), "blue")]


async def ask(expert: ChatExpert, role: str) -> Any:
    if role == "planner":
        return await expert.plan(QUESTION, pictures(), CANDIDATES)
    if role == "voter":
        return await expert.vote(QUESTION, pictures(), CANDIDATES)
    return await expert.criticise(QUESTION, pictures(), "A", "<think>red</think>\\boxed{A}")


ROLES = ("planner", "voter", "critic")
GOOD = {"planner": PLAN, "voter": VOTE, "critic": CRITIQUE}


async def test_each_role_asks_its_own_model_and_reads_the_reply() -> None:
    models = {role: Scripted(model=role, lines=[GOOD[role]]) for role in ROLES}
    expert = ChatExpert(**models)
    plan = await ask(expert, "planner")
    vote = await ask(expert, "voter")
    critique = await ask(expert, "critic")
    assert plan.reply.order == ("critic", "self_check", "voter")
    assert vote.reply.probabilities == (0.25, 0.75)
    assert critique.reply.text == "The left car is blue."
    for result in (plan, vote, critique):
        assert result.attempts == 1
        assert result.usage.calls == 1
        assert (result.usage.prompt_tokens, result.usage.completion_tokens) == (100, 10)
        assert result.usage.seconds > 0
    assert [len(model.asked) for model in models.values()] == [1, 1, 1]
    assert expert.name == "planner+voter+critic"


async def test_all_pictures_come_first_then_the_text() -> None:
    model = Scripted(lines=[VOTE])
    await ask(ChatExpert.single(model), "voter")
    (message,) = model.asked[0]
    *blocks, text = message.content
    sizes = []
    for block in blocks:
        assert (block["type"], block["mime_type"]) == ("image", "image/png")
        sizes.append(Image.open(io.BytesIO(base64.b64decode(block["base64"]))).size)
    assert sizes == [(4, 3), (2, 5)]
    assert text["type"] == "text"
    assert "(A) red (B) blue" in text["text"]


async def test_the_planner_sees_the_counts_and_the_voter_does_not() -> None:
    model = Scripted(lines=[PLAN, VOTE])
    expert = ChatExpert.single(model)
    await ask(expert, "planner")
    await ask(expert, "voter")
    planner, voter = (messages[0].content[-1]["text"] for messages in model.asked)
    assert "1. A: 5 samples, share 0.70, confidence 2.50" in planner
    assert "2. B: 1 sample, share 0.30, confidence 1.25" in planner
    assert "1. A\n2. B\n" in voter
    assert "samples" not in voter


@pytest.mark.parametrize("role", ROLES)
async def test_a_malformed_reply_is_retried_with_the_error_shown(role: str) -> None:
    model = Scripted(lines=["I cannot say.", GOOD[role]])
    result = await ask(ChatExpert.single(model), role)
    assert result.attempts == 2
    assert result.usage.calls == 2
    assert (result.usage.prompt_tokens, result.usage.completion_tokens) == (200, 20)
    first, second = model.asked
    assert second[0] == first[0]
    assert isinstance(second[1], AIMessage)
    assert second[1].text == "I cannot say."
    assert isinstance(second[2], HumanMessage)
    assert second[2].text == load_prompts("default").render(
        "retry", error="there is no valid JSON object in it"
    )


@pytest.mark.parametrize("role", ROLES)
async def test_a_second_malformed_reply_fails_the_role(role: str) -> None:
    model = Scripted(lines=["", '{"a": 1}', GOOD[role]])
    with pytest.raises(RoleError) as caught:
        await ask(ChatExpert.single(model), role)
    assert len(model.asked) == 2
    assert model.asked[1][1].text == "(nothing)"
    error = caught.value
    assert (error.role, error.cause) == (role, "ReplyError")
    assert "the JSON object has no" in error.message
    assert error.usage is not None
    assert (error.usage.calls, error.usage.prompt_tokens) == (2, 200)


async def test_a_failed_request_is_not_repeated_and_leaks_no_key() -> None:
    refused = ValueError(
        f"401 for https://user:pw@api.example.com/v1/chat?key={KEY}\nkey: {KEY}, "
        "Authorization: Bearer abcdef123456"
    )
    refused.status_code = 401  # type: ignore[attr-defined]
    expert = ChatExpert.single(Scripted(lines=[refused, VOTE]))
    with pytest.raises(RoleError) as caught:
        await ask(expert, "voter")
    error = caught.value
    assert (error.role, error.cause) == ("voter", "ValueError")
    assert not error.transient
    assert error.usage is not None
    assert error.usage.calls == 1
    assert error.message.startswith("HTTP 401: the key was refused; check it")
    assert "https://api.example.com" in error.message
    for secret in (KEY, "user:pw", "?", "/v1/chat", "abcdef123456", "\n"):
        assert secret not in str(error)
    assert error.__cause__ is None
    assert error.__suppress_context__


async def test_a_failure_in_the_retry_counts_both_requests() -> None:
    expert = ChatExpert.single(Scripted(lines=["no", ConnectionError("connection lost")]))
    with pytest.raises(RoleError, match="planner: connection lost") as caught:
        await ask(expert, "planner")
    assert caught.value.usage is not None
    assert (caught.value.usage.calls, caught.value.usage.prompt_tokens) == (2, 100)
    assert caught.value.transient


async def test_a_slow_model_times_out_in_its_own_role_only() -> None:
    model = Scripted(lines=[VOTE, PLAN], delay=0.05)
    expert = ChatExpert.single(model, timeout={"voter": 0.01, "planner": None})
    with pytest.raises(RoleError, match=r"voter: no reply in 0\.01 s") as caught:
        await ask(expert, "voter")
    assert caught.value.cause == "TimeoutError"
    assert (await ask(expert, "planner")).attempts == 1


async def test_a_models_own_timeout_is_not_taken_for_ours() -> None:
    expert = ChatExpert.single(Scripted(lines=[TimeoutError("socket timed out")]))
    with pytest.raises(RoleError, match="critic: socket timed out"):
        await ask(expert, "critic")


async def test_cancelling_reaches_the_caller() -> None:
    task = asyncio.create_task(ask(ChatExpert.single(Scripted(lines=[VOTE], delay=60)), "voter"))
    await asyncio.sleep(0.05)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


@pytest.mark.parametrize(
    ("message", "why"),
    [
        (AIMessage("", response_metadata={"finish_reason": "content_filter"}), "content_filter"),
        (
            AIMessage("", response_metadata={"prompt_feedback": {"block_reason": "SAFETY"}}),
            "SAFETY",
        ),
        (AIMessage("", response_metadata={"finish_reason": "OTHER"}), "OTHER"),
        (
            AIMessage("I will", response_metadata={"finish_reason": "content_filter"}),
            "content_filt",
        ),
        (AIMessage(VOTE, response_metadata={"finish_reason": "SAFETY"}), "SAFETY"),
        (AIMessage("1.", response_metadata={"finish_reason": "PROHIBITED_CONTENT"}), "PROHIBITED"),
        (AIMessage("No.", response_metadata={"stop_reason": "refusal"}), "refusal"),
        (AIMessage("", additional_kwargs={"refusal": f"Not with {KEY}."}), r"Not with \[key\]\."),
        (AIMessage([{"type": "refusal", "refusal": "I cannot."}]), "I cannot"),
        (AIMessage([{"type": "non_standard", "value": {"refusal": "I cannot."}}]), "I cannot"),
    ],
)
async def test_a_refusal_is_not_argued_with(message: AIMessage, why: str) -> None:
    model = Scripted(lines=[message, VOTE])
    with pytest.raises(
        RoleError, match=rf"refused to reply \({why}.*\): .*another expert"
    ) as caught:
        await ask(ChatExpert.single(model), "voter")
    assert (caught.value.cause, caught.value.transient) == ("Refused", False)
    assert len(model.asked) == 1


@pytest.mark.parametrize("code", ["content_filter", "content_policy_violation"])
async def test_a_refused_request_is_a_refusal(code: str) -> None:
    error = ValueError("Your request was rejected by the safety system")
    error.status_code, error.code = 400, code  # type: ignore[attr-defined]
    model = Scripted(lines=[error, VOTE])
    with pytest.raises(RoleError, match=r"refused to reply.*safety system") as caught:
        await ask(ChatExpert.single(model), "voter")
    assert caught.value.cause == "Refused"
    assert caught.value.usage.calls == 1  # type: ignore[attr-defined]


@pytest.mark.parametrize("reason", ["stop", "length", "OTHER", "tool_calls"])
async def test_a_reply_that_ended_for_another_reason_is_read(reason: str) -> None:
    message = AIMessage(VOTE, response_metadata={"finish_reason": reason})
    assert (await ask(ChatExpert.single(Scripted(lines=[message])), "voter")).attempts == 1


async def test_text_is_read_from_content_blocks_too() -> None:
    blocks = [{"type": "reasoning", "reasoning": '{"probabilities": [1, 0]}'}]
    message = AIMessage([*blocks, {"type": "text", "text": VOTE}])
    result = await ask(ChatExpert.single(Scripted(lines=[message])), "voter")
    assert result.reply.probabilities == (0.25, 0.75)
    assert (result.usage.calls, result.usage.prompt_tokens) == (1, 0)


def test_the_fingerprint_knows_models_and_prompts_and_no_key() -> None:
    expert = ChatExpert.single(Scripted(lines=[]))
    same = ChatExpert.single(Scripted(lines=[], api_key=SecretStr("sk-another-key")))
    other = ChatExpert.single(Scripted(lines=[], model="other"))
    assert expert.fingerprint == same.fingerprint
    assert len(expert.fingerprint) == 64
    assert expert.fingerprint != other.fingerprint
    assert expert.fingerprint != ChatExpert.single(Scripted(lines=[]), name="x").fingerprint
    mixed = ChatExpert(
        planner=Scripted(lines=[]),
        voter=Scripted(lines=[], model="other"),
        critic=Scripted(lines=[]),
        name=expert.name,
    )
    assert mixed.fingerprint != expert.fingerprint
    assert KEY not in repr(expert) + expert.fingerprint + json.dumps(vars(expert), default=repr)


async def test_closing_twice_closes_once() -> None:
    closed = []

    async def close() -> None:
        closed.append(1)

    expert = ChatExpert.single(Scripted(lines=[]), on_close=close)
    await expert.aclose()
    await expert.aclose()
    assert closed == [1]


def test_a_cost_that_cannot_be_counts_nothing() -> None:
    told = UsageMetadata(input_tokens=-5, output_tokens=-5, total_tokens=-1)
    usage = cost(AIMessage("x", usage_metadata=told), 0.5)
    assert (usage.calls, usage.prompt_tokens, usage.completion_tokens) == (1, 0, 0)
