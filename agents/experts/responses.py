"""What a provider's response says beside its text: that it was refused or cut, what it cost."""

from collections.abc import Mapping
from typing import Any

from langchain_core.messages import AIMessage
from langchain_core.messages.ai import UsageMetadata

from catts.agents.protocol import Usage

_WITHHELD = frozenset(
    {
        "content_filter",
        "refusal",
        "SAFETY",
        "PROHIBITED_CONTENT",
        "BLOCKLIST",
        "SPII",
        "IMAGE_SAFETY",
        "RECITATION",
        "guardrail_intervened",
    }
)
"""Reasons to end a reply that are refusals, whatever text came before."""
_CUT = frozenset({"length", "MAX_TOKENS", "max_tokens"})


def refusal(message: AIMessage) -> str:
    """Why the provider or its model refused to reply; empty when it did not."""
    metadata = message.response_metadata
    feedback = metadata.get("prompt_feedback")
    blocked = feedback.get("block_reason") if isinstance(feedback, Mapping) else None
    if blocked:
        return str(getattr(blocked, "value", blocked))
    said = message.additional_kwargs.get("refusal") or _refusal_block(message.content)
    if said:
        return str(said)
    reason = _reason(message)
    # Google's word for a reply that it kept back without saying why
    kept_back = reason == "OTHER" and not message.text.strip() and not message.tool_calls
    return str(reason) if reason in _WITHHELD or kept_back else ""


def was_cut(message: AIMessage) -> bool:
    """Whether the reply ended at the most tokens that it might have."""
    return _reason(message) in _CUT


def reply_within(error: BaseException) -> AIMessage | None:
    """The reply that `error` holds, if it holds one.

    OpenAI's client raises a structured reply that was cut or filtered, where it returns any other.
    """
    completion = getattr(error, "completion", None)
    choices = getattr(completion, "choices", None)
    if not choices:
        return None
    usage = getattr(completion, "usage", None)
    return AIMessage(
        content=choices[0].message.content or "",
        response_metadata={"finish_reason": choices[0].finish_reason},
        usage_metadata=UsageMetadata(
            input_tokens=usage.prompt_tokens,
            output_tokens=usage.completion_tokens,
            total_tokens=usage.total_tokens,
        )
        if usage is not None
        else None,
    )


def cost(message: AIMessage, seconds: float) -> Usage:
    """What a request that took `seconds` cost, as far as the provider tells; nonsense counts 0."""
    tokens = message.usage_metadata
    return Usage(
        calls=1,
        prompt_tokens=max(0, tokens["input_tokens"]) if tokens else 0,
        completion_tokens=max(0, tokens["output_tokens"]) if tokens else 0,
        seconds=seconds,
    )


def _reason(message: AIMessage) -> object:
    metadata = message.response_metadata
    return metadata.get("finish_reason") or metadata.get("stop_reason")


def _refusal_block(content: Any) -> object:
    blocks = content if isinstance(content, list) else ()
    for block in blocks:
        inner = block.get("value", block) if isinstance(block, Mapping) else None
        if isinstance(inner, Mapping) and inner.get("refusal"):
            return inner["refusal"]
    return None
