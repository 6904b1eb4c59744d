"""The public address of `ChatExpert`."""

from catts.agents.experts.roles import ChatExpert

__all__ = ["ChatExpert"]
