"""The public address of `TransformersEngine`."""

from catts.agents.engines.transformers_engine import TransformersEngine

__all__ = ["TransformersEngine"]
