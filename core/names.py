"""The names of the method's parts: one table for nodes, roles, modules, ballots and edges."""

from typing import Literal, NamedTuple, get_args

Worker = Literal["sampler", "planner", "voter", "critic", "reanswer", "self_check"]
"""A node of the graph that asks a model."""

Step = Literal["sampler", "planner", "voter", "critic", "reanswer", "self_check", "decide"]
"""A node that the routing may choose."""

Role = Literal["planner", "voter", "critic"]
"""What the expert is asked to be."""

Module = Literal["voter", "critic", "self_check"]
"""What the planner orders: each may cast ballots after the samples."""

Source = Literal["sample", "voter", "critic", "self_check"]
"""Who casts a ballot; the critic's is the base model's answer under its critique."""

WORKERS: tuple[Worker, ...] = get_args(Worker)
STEPS: tuple[Step, ...] = get_args(Step)
ROLES: tuple[Role, ...] = get_args(Role)
MODULES: tuple[Module, ...] = get_args(Module)
SOURCES: tuple[Source, ...] = get_args(Source)


class Part(NamedTuple):
    """A node that asks a model, and what it is called elsewhere."""

    node: Worker
    title: str
    """For people."""
    doing: str
    """For people who wait."""
    role: Role | None = None
    """The expert's role that it asks; None where it asks the base model."""
    module: Module | None = None
    """The module that it belongs to."""
    source: Source | None = None
    """The ballots that it casts."""


PARTS: tuple[Part, ...] = (
    Part("sampler", "samples", "drawing samples", source="sample"),
    Part("planner", "planner", "asking the planner", role="planner"),
    Part("voter", "voter", "asking the voter", "voter", "voter", "voter"),
    Part("critic", "critic", "asking the critic", role="critic", module="critic"),
    Part("reanswer", "re-answer", "answering again under the critique", None, "critic", "critic"),
    Part(
        "self_check",
        "self-check",
        "decoding against the noised image",
        module="self_check",
        source="self_check",
    ),
)
"""Every node that asks a model, in the order in which a run may reach them."""
