"""What an expert costs stands in the trace whatever becomes of its node."""

import asyncio
from typing import Any

import pytest
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.outputs import ChatGeneration, ChatResult
from PIL import Image
from scripted_models import ScriptedEngine

from catts.agents.expert import Expert, RoleResult, Vote
from catts.agents.experts.roles import ChatExpert
from catts.agents.protocol import Usage
from catts.errors import RoleError
from catts.graph.context import Context
from catts.graph.embed import answer
from catts.graph.records import NodeRun
from catts.graph.trace import Trace
from catts.names import Worker

GOOD = {
    "order": '{"order": ["critic", "self_check", "voter"], "reason": ""}',
    "probabilities": '{"probabilities": [1, 3]}',
    "critique": '{"critique": "Count again."}',
}


class Talker(BaseChatModel):
    """Replies as each role should; the voter's first `malformed` replies are no JSON.

    Its `slow`th reply to the voter does not come.
    """

    malformed: int = 0
    slow: int = 0
    voted: list[int] = []  # noqa: RUF012

    @property
    def _llm_type(self) -> str:
        return "talker"

    def _generate(self, *_: Any, **__: Any) -> ChatResult:
        raise NotImplementedError

    async def _agenerate(self, messages: list[BaseMessage], *_: Any, **__: Any) -> ChatResult:
        asked = str(messages[0].text)
        (field,) = (name for name in GOOD if f'"{name}"' in asked)
        text = GOOD[field]
        if field == "probabilities":
            self.voted.append(1)
            if len(self.voted) == self.slow:
                await asyncio.sleep(60)
            if len(self.voted) <= self.malformed:
                text = "I cannot say."
        usage = {"input_tokens": 100, "output_tokens": 10, "total_tokens": 110}
        message = AIMessage(text, usage_metadata=usage)
        return ChatResult(generations=[ChatGeneration(message=message)])


async def run(expert: Expert | Talker, **settings: Any) -> Trace:
    if isinstance(expert, Talker):
        expert = ChatExpert.single(expert)
    context = Context.of(ScriptedEngine(), expert, routing="paper", **settings)
    return await answer(Image.new("RGB", (24, 16)), "How many dots?", context=context)


def node(trace: Trace, name: Worker) -> NodeRun:
    return next(run for run in trace.usage.nodes if run.node == name)


async def test_no_time_left_after_a_malformed_reply_loses_no_usage() -> None:
    trace = await run(Talker(malformed=1, slow=2), node_timeout=1.0)
    assert [(f.node, f.error) for f in trace.failures] == [("voter", "NodeTimeoutError")]
    usage = node(trace, "voter").usage
    assert (usage.prompt_tokens, usage.completion_tokens) == (100, 10)
    assert usage.calls == 2, "the request that was cut off had been sent"
    assert 0.5 < usage.seconds <= node(trace, "voter").seconds
    assert trace.usage.expert_calls == 4
    assert trace.usage.total.calls == 4 + 3
    again = Trace.model_validate_json(trace.model_dump_json())
    assert again == trace


@pytest.mark.parametrize("malformed", [0, 1])
async def test_the_trace_tells_how_many_replies_a_role_needed(malformed: int) -> None:
    trace = await run(Talker(malformed=malformed))
    assert not trace.failures
    told = {run.node: run.replies for run in trace.usage.nodes}
    assert told == {
        "sampler": 0, "planner": 1, "critic": 1, "reanswer": 0, "voter": 1 + malformed,
        "self_check": 0,
    }  # fmt: skip
    voter = node(trace, "voter").usage
    assert (voter.calls, voter.prompt_tokens) == (1 + malformed, 100 * (1 + malformed))


async def test_a_role_without_a_readable_reply_is_billed_once() -> None:
    trace = await run(Talker(malformed=9))
    assert [f.error for f in trace.failures] == ["ReplyError"]
    voter = node(trace, "voter")
    assert (voter.usage.calls, voter.usage.prompt_tokens, voter.replies) == (2, 200, 0)


class Forgetful(ChatExpert):
    """Asks again by itself, and reports the last request alone, or none."""

    gives_up = False

    async def vote(self, *args: Any) -> RoleResult[Vote]:
        try:
            return await super().vote(*args)
        except RoleError:
            if self.gives_up:
                raise RoleError("voter", "no luck", usage=Usage()) from None
            return await super().vote(*args)


async def test_an_expert_that_reports_less_than_it_spent_is_billed_for_all() -> None:
    kept = await run(Forgetful.single(Talker(malformed=2)))
    assert not kept.failures
    assert node(kept, "voter").usage.calls == 3
    expert = Forgetful.single(Talker(malformed=2))
    expert.gives_up = True
    lost = await run(expert)
    assert lost.failed_nodes == ("voter",)
    assert node(lost, "voter").usage.prompt_tokens == 200
