"""What a report shows: runs as cards, and studies."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from catts.evals.studies.result import StudyResult
from catts.graph.ledger import leader
from catts.graph.trace import Trace


@dataclass(frozen=True)
class RunCard:
    """One run as a report shows it; every reader makes these."""

    id: str
    """What people call the question; unique among the cards of a file."""
    trace: Trace
    pictures: tuple[bytes, ...] = ()
    """PNG or JPEG thumbnails (see `catts.evals.small_picture.thumbnail`) of the question's
    pictures, in its order; empty where nobody has them."""
    noised: tuple[bytes, ...] = ()
    """The same of what the self-check saw."""
    gold: str | None = None
    right: bool | None = None
    """None where nobody knows."""
    groups: Mapping[str, str] = field(default_factory=dict)
    """Category, level and the like."""
    maps: tuple[bytes, ...] = ()
    """Thumbnails of the key-region map of each picture, where there is one."""
    heats: tuple[bytes, ...] = ()
    """Thumbnails of the saliency of each picture, where it was kept."""

    @property
    def thumbnails(self) -> int:
        """Of all kinds."""
        return len(self.pictures) + len(self.noised) + len(self.maps) + len(self.heats)

    @property
    def first_leader(self) -> str | None:
        """Key of the answer that led on the samples' ballots alone."""
        standing = leader(b for b in self.trace.ballots if b.source == "sample")
        return None if standing is None else standing.answer

    @property
    def changed(self) -> bool:
        """Whether the modules gave the vote another winner than the samples had."""
        return self.first_leader is not None and self.first_leader != self.trace.answer


@dataclass(frozen=True)
class Runs:
    """The runs of one file."""

    title: str
    cards: tuple[RunCard, ...]
    missing: int = 0
    """Pictures that were looked for and not found."""
    asked: int | None = None
    """Runs that were asked for, where the file says so; more than there are cards: not complete."""


Section = Runs | StudyResult
"""What one file gives to the page."""
