"""The public address of `BatchLimits`."""

from catts.agents.engines.call_queue import BatchLimits

__all__ = ["BatchLimits"]
