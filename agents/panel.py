"""The public address of `ExpertPanel`."""

from catts.agents.experts.panel import ExpertPanel

__all__ = ["ExpertPanel"]
