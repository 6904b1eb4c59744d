"""Replies held to a JSON schema, over HTTP in both formats, and the text format beside them."""

import json
from collections.abc import Sequence
from typing import Any

import pytest
from langchain_core.callbacks import CallbackManagerForLLMRun
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.outputs import ChatGeneration, ChatResult
from langchain_core.runnables import Runnable
from PIL import Image
from pydantic import Field

from catts.agents.expert import Candidate
from catts.agents.experts.roles import ChatExpert
from catts.agents.spec import resolve_expert
from catts.errors import RoleError
from catts.prompts import load_prompts
from catts.question import Question

QUESTION = Question(text="How many cars are there?")
CANDIDATES = (
    Candidate(answer="2", count=5, confidence=2.5, share=0.7),
    Candidate(answer="3", count=3, confidence=1.2, share=0.3),
)
REPLIES = {
    "planner": {"think": "{}</think>", "order": ["critic", "voter", "self_check"], "reason": "so"},
    "voter": {"think": "", "probabilities": [1, 3]},
    "critic": {"think": "A tree?", "critique": "A third car stands behind the tree."},
}
FORMATS = {"openai": "openai:gpt-4o", "google": "google_genai:gemini-2.5-pro"}


@pytest.fixture(autouse=True)
def keys(monkeypatch):
    for name in ("OPENAI_API_KEY", "GOOGLE_API_KEY"):
        monkeypatch.setenv(name, "sk-fake-0123456789abcdef")
    for name in ("GEMINI_API_KEY", "GOOGLE_GENAI_USE_VERTEXAI"):
        monkeypatch.delenv(name, raising=False)


def body(provider: str, text: str | None, finish: str = "stop", **message: Any) -> dict[str, Any]:
    if provider == "google":
        content = {"role": "model", "parts": [{"text": text}]}
        return {
            "candidates": [{"content": content, "finishReason": finish.upper(), "index": 0}],
            "usageMetadata": {
                "promptTokenCount": 200,
                "candidatesTokenCount": 15,
                "totalTokenCount": 215,
            },
        }
    message = {"role": "assistant", "content": text} | message
    return {
        "choices": [{"index": 0, "message": message, "finish_reason": finish}],
        "usage": {"prompt_tokens": 200, "completion_tokens": 15, "total_tokens": 215},
    }


def sent_schema(provider: str, request: Any) -> dict[str, Any] | None:
    if provider == "google":
        config = request.body["generationConfig"]
        assert ("responseJsonSchema" in config) == ("responseMimeType" in config)
        return config.get("responseJsonSchema")
    if "response_format" not in request.body:
        return None
    assert request.body["response_format"]["type"] == "json_schema"
    assert request.body["response_format"]["json_schema"]["strict"] is True
    return request.body["response_format"]["json_schema"]["schema"]


def sent_text(provider: str, request: Any) -> str:
    if provider == "google":
        return request.body["contents"][0]["parts"][-1]["text"]
    return request.body["messages"][0]["content"][-1]["text"]


async def ask(expert: Any, role: str) -> Any:
    pictures = [Image.new("RGB", (5, 4), "blue")]
    if role == "planner":
        return await expert.plan(QUESTION, pictures, CANDIDATES)
    if role == "voter":
        return await expert.vote(QUESTION, pictures, CANDIDATES)
    return await expert.criticise(QUESTION, pictures, "2", "two")


@pytest.mark.parametrize("provider", FORMATS)
async def test_a_model_known_to_support_it_is_held_to_the_schema(standin, provider):
    expert = resolve_expert(FORMATS[provider], url=standin.url)
    for role, reply in REPLIES.items():
        standin.says(body(provider, json.dumps(reply)))
        result = await ask(expert, role)
        told = result.reply.model_dump()
        assert result.attempts == 1
        assert (result.usage.calls, result.usage.prompt_tokens) == (1, 200)
        assert result.usage.completion_tokens == 15
        schema = sent_schema(provider, standin.requests[-1])
        assert schema is not None
        assert list(schema["properties"]) == list(reply)
        assert schema["required"] == list(reply)
        if role == "planner":
            assert sorted(schema["properties"]["order"]["items"]["enum"]) == [
                "critic", "self_check", "voter",
            ]  # fmt: skip
            assert told == {"order": ("critic", "voter", "self_check"), "reason": "so"}
        elif role == "voter":
            assert told == {"probabilities": (0.25, 0.75)}
        else:
            assert told == {"text": "A third car stands behind the tree."}
    assert len(standin.requests) == 3


@pytest.mark.parametrize(
    ("provider", "spec"), [("openai", "openai:qwen"), ("google", "google_genai:gemini-x")]
)
async def test_a_model_that_langchain_does_not_know_writes_text(standin, provider, spec):
    standin.says(body(provider, f"<think>hm</think>{json.dumps(REPLIES['voter'])}"))
    result = await ask(resolve_expert(spec, url=standin.url), "voter")
    assert result.reply.probabilities == (0.25, 0.75)
    assert sent_schema(provider, standin.requests[0]) is None


@pytest.mark.parametrize("provider", FORMATS)
async def test_the_prompt_is_the_same(standin, provider):
    standin.says(body(provider, json.dumps(REPLIES["voter"])))
    await ask(resolve_expert(FORMATS[provider], url=standin.url), "voter")
    assert sent_text(provider, standin.requests[0]) == load_prompts("default").render(
        "voter", question=QUESTION.text, choices="", candidates="1. 2\n2. 3"
    )


@pytest.mark.parametrize("provider", FORMATS)
async def test_a_reply_that_ignores_the_schema_is_read_as_text(standin, provider):
    standin.says(body(provider, 'Here: ```json\n{"probabilities": {"1": 1, "2": 3}}\n```'))
    result = await ask(resolve_expert(FORMATS[provider], url=standin.url), "voter")
    assert (result.reply.probabilities, result.attempts) == ((0.25, 0.75), 1)


@pytest.mark.parametrize("provider", FORMATS)
async def test_json_that_breaks_off_is_not_completed(standin, provider):
    standin.says(body(provider, '{"think": "", "critique": "The car is bl'))
    standin.says(body(provider, json.dumps(REPLIES["critic"])))
    result = await ask(resolve_expert(FORMATS[provider], url=standin.url), "critic")
    assert result.reply.text == REPLIES["critic"]["critique"]
    assert (result.attempts, result.usage.calls, result.usage.prompt_tokens) == (2, 2, 400)


@pytest.mark.parametrize(("provider", "finish"), [("openai", "length"), ("google", "max_tokens")])
async def test_a_reply_cut_at_its_longest_says_so(standin, provider, finish):
    standin.says(body(provider, '{"think": "The pict', finish))
    with pytest.raises(RoleError, match="cut at its longest, so raise expert_max_tokens") as caught:
        await ask(resolve_expert(FORMATS[provider], url=standin.url), "critic")
    assert caught.value.cause == "ReplyError"
    assert caught.value.usage.prompt_tokens == 400
    assert len(standin.requests) == 2


@pytest.mark.parametrize(
    "reply",
    [
        body("openai", "", "content_filter"),
        body("openai", None, refusal="I cannot help with that."),
    ],
)
async def test_a_refusal_is_not_argued_with(standin, reply):
    standin.says(reply)
    with pytest.raises(RoleError, match="refused to reply") as caught:
        await ask(resolve_expert(FORMATS["openai"], url=standin.url), "voter")
    assert (caught.value.cause, caught.value.usage.prompt_tokens) == ("Refused", 200)
    assert len(standin.requests) == 1


@pytest.mark.parametrize("provider", FORMATS)
async def test_a_schema_is_part_of_the_fingerprint(standin, provider):
    expert = resolve_expert(FORMATS[provider], url=standin.url)
    model = expert._models["voter"]
    text = model.model_copy(update={"profile": {"structured_output": False}})
    assert expert.fingerprint != ChatExpert.single(text, name=expert.name).fingerprint
    assert expert.fingerprint == ChatExpert.single(model, name=expert.name).fingerprint


class CallsTools(BaseChatModel):
    """Replies by calling the first tool that it is bound to, as some providers' models do."""

    arguments: list[dict[str, Any]]
    asked: list[list[BaseMessage]] = Field(default_factory=list, exclude=True)

    @property
    def _llm_type(self) -> str:
        return "calls-tools"

    def bind_tools(self, tools: Sequence[Any], **kwargs: Any) -> Runnable[Any, AIMessage]:
        return self.bind(name=tools[0]["title"])

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        self.asked.append(list(messages))
        arguments = self.arguments[len(self.asked) - 1]
        call = {"name": kwargs["name"], "args": arguments, "id": "1", "type": "tool_call"}
        message = AIMessage(
            "Let me see.",
            tool_calls=[call],
            response_metadata={"finish_reason": "tool_calls"},
            usage_metadata={"input_tokens": 9, "output_tokens": 3, "total_tokens": 12},
        )
        return ChatResult(generations=[ChatGeneration(message=message)])


async def test_a_reply_may_come_as_the_arguments_of_a_tool():
    wrong = {"think": "", "probabilities": [1]}
    model = CallsTools(arguments=[wrong, REPLIES["voter"]], profile={"structured_output": True})
    result = await ask(ChatExpert.single(model), "voter")
    assert result.reply.probabilities == (0.25, 0.75)
    assert (result.attempts, result.usage.calls, result.usage.prompt_tokens) == (2, 2, 18)
    assert "must hold 2 numbers" in model.asked[1][-1].text
