import numpy as np
import pytest
from inspect_ai.event import InfoEvent
from PIL import Image

from catts.evals.tasks import spans
from catts.evals.tasks.spans import TranscriptObserver, pictures_of
from catts.graph.records import ContrastRecord, NoisedImage, SampleRecord
from catts.perception.key_region import KeyRegion

PICTURE = Image.linear_gradient("L").resize((48, 32)).convert("RGB")
SAMPLE = SampleRecord(
    text="3", answer="3", confidence=1.0, confidence_kind="top_k_mean", weight=1.0
)


class Transcript:
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.events: list[InfoEvent] = []

    def info(self, data, *, source) -> None:
        self.events.append(InfoEvent(data=data, source=source))


REGION = KeyRegion(grid=(2, 3), patches=(0, 4))


@pytest.mark.parametrize("region", [None, REGION, REGION.with_saliency(np.eye(2, 3))])
async def test_the_self_check_shows_where_its_noise_went(monkeypatch, region) -> None:
    held = Transcript()
    monkeypatch.setattr(spans, "transcript", lambda: held)
    spans.show_picture("picture 1", PICTURE)
    noised = NoisedImage(digest="a" * 64, t=500, size=(48, 32), region=region, seed=1)
    record = ContrastRecord(sample=SAMPLE, method="lock_step", noised=(noised,))
    async with TranscriptObserver([PICTURE]).node("self_check", "q") as told:
        told.result({"self_check": record})
    found = pictures_of(held.events)
    assert (len(found.clean), len(found.noised)) == (1, 1)
    assert len(found.maps) == (0 if region is None else 1)
    assert len(found.heats) == (0 if region is None or region.saliency is None else 1)
    captions = [e.data.partition("\n")[0] for e in held.events if isinstance(e.data, str)]
    assert ("key region, 33% of the picture" in captions) == (region is not None)
