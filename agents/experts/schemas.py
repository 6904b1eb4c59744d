"""The roles' replies as JSON schemas, for models that their provider can hold to one.

The prompts let a model reason inside `<think>` before its JSON object; a model held to a schema
writes nothing beside the object, so the schema has a place for it.
"""

from inspect import signature
from typing import Any

from langchain_core.language_models import BaseChatModel
from langchain_core.language_models.base import LanguageModelInput
from langchain_core.runnables import Runnable
from pydantic import BaseModel, Field

from catts.names import Module, Role


class _Reply(BaseModel):
    think: str = Field(description="What you would write inside <think> and </think>; or nothing.")


class PlanReply(_Reply):
    """The order in which the modules should be asked."""

    order: list[Module] = Field(description="Each of the three names exactly once.")
    reason: str = Field(description="One short sentence.")


class VoteReply(_Reply):
    """The probability of each candidate."""

    probabilities: list[float] = Field(
        description="A number between 0 and 1 for each candidate, in the order of the list."
    )


class CritiqueReply(_Reply):
    """The review of the answer."""

    critique: str = Field(description="Two to five sentences addressed to the model.")


SCHEMAS: dict[Role, dict[str, Any]] = {
    "planner": PlanReply.model_json_schema(),
    "voter": VoteReply.model_json_schema(),
    "critic": CritiqueReply.model_json_schema(),
}


def held_to_schema(model: BaseChatModel, role: Role) -> Runnable[LanguageModelInput, Any] | None:
    """`model` bound to the role's schema, with its message beside what LangChain reads of it.

    None where LangChain's profile of the model does not say that it supports structured output: so
    it is with every local model, and with servers' models that LangChain does not know by name.
    """
    if not (model.profile or {}).get("structured_output"):
        return None
    options = {"strict": True} if "strict" in _parameters(model) else {}
    try:
        return model.with_structured_output(SCHEMAS[role], include_raw=True, **options)
    except NotImplementedError:
        return None


def _parameters(model: BaseChatModel) -> frozenset[str]:
    return frozenset(signature(model.with_structured_output).parameters)
