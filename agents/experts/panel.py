"""An expert put together from one expert for each role."""

import asyncio
import hashlib
from collections.abc import Collection, Sequence

from PIL.Image import Image

from catts.agents.expert import Candidate, Critique, Expert, Plan, RoleResult, Vote
from catts.question import Question


class ExpertPanel:
    """An `Expert` that passes each role on to an expert of its own.

    So a local planner can stand beside a remote voter; each keeps its models and prompt set.
    """

    def __init__(
        self,
        *,
        planner: Expert,
        voter: Expert,
        critic: Expert,
        owned: Collection[Expert] | None = None,
    ) -> None:
        """Make a panel; `aclose` closes the experts that are `owned`, by default all three."""
        self._planner, self._voter, self._critic = planner, voter, critic
        self._owned = (planner, voter, critic) if owned is None else tuple(owned)
        self.name = "+".join(dict.fromkeys(e.name for e in (planner, voter, critic)))

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.name!r})"

    @property
    def fingerprint(self) -> str:
        """SHA-256 (hex) over the roles' fingerprints."""
        parts = (e.fingerprint for e in (self._planner, self._voter, self._critic))
        return hashlib.sha256("\0".join(parts).encode()).hexdigest()

    async def plan(
        self, question: Question, images: Sequence[Image], candidates: Sequence[Candidate]
    ) -> RoleResult[Plan]:
        """Ask the planner."""
        return await self._planner.plan(question, images, candidates)

    async def vote(
        self, question: Question, images: Sequence[Image], candidates: Sequence[Candidate]
    ) -> RoleResult[Vote]:
        """Ask the voter."""
        return await self._voter.vote(question, images, candidates)

    async def criticise(
        self, question: Question, images: Sequence[Image], answer: str, reasoning: str
    ) -> RoleResult[Critique]:
        """Ask the critic."""
        return await self._critic.criticise(question, images, answer, reasoning)

    async def aclose(self) -> None:
        """Close the experts that are its own."""
        experts = {id(expert): expert for expert in self._owned}
        await asyncio.gather(*(expert.aclose() for expert in experts.values()))
