from pathlib import Path

import numpy as np
import pytest

from catts.errors import ReportError, TraceError
from catts.evals.pages.cards import Runs
from catts.evals.pages.payload import detail
from catts.evals.pages.pictures import PictureFolder
from catts.evals.pages.readers import read
from catts.graph.trace import write_traces
from catts.images import ImageStore, load_image
from catts.perception.key_region import KeyRegion


async def test_traces(tmp_path, asked):
    traces = [await asked("One?"), await asked("Two?", routing="parallel")]
    write_traces(tmp_path / "traces.jsonl", traces)
    runs = read(tmp_path / "traces.jsonl")
    assert isinstance(runs, Runs)
    assert [card.trace for card in runs.cards] == traces
    assert [card.id for card in runs.cards] == ["1", "2"]
    assert (runs.title, runs.missing) == ("traces.jsonl", 0)
    assert {(card.gold, card.right, card.pictures) for card in runs.cards} == {(None, None, ())}


async def test_traces_with_their_pictures(tmp_path, asked, picture):
    write_traces(tmp_path / "traces.jsonl", [await asked("One?")])
    ImageStore(tmp_path / "images").put(picture)
    runs = read(tmp_path / "traces.jsonl", PictureFolder(tmp_path / "images"))
    assert isinstance(runs, Runs)
    (card,) = runs.cards
    assert len(card.pictures) == len(card.noised) == 1
    assert card.pictures != card.noised
    assert runs.missing == 0


async def test_a_run_that_looked_for_a_key_region_shows_it(tmp_path, asked, picture):
    trace = await asked("One?")
    (noised,) = trace.self_check.noised
    heat = np.array([[5, 1, 0], [0, 2, 0]])
    region = KeyRegion(grid=(2, 3), patches=(0,)).with_saliency(heat)
    check = trace.self_check.model_copy(
        update={"noised": (noised.model_copy(update={"region": region}),)}
    )
    looked = trace.model_copy(update={"self_check": check})
    write_traces(tmp_path / "traces.jsonl", [looked, trace])
    ImageStore(tmp_path / "images").put(picture)
    runs = read(tmp_path / "traces.jsonl", PictureFolder(tmp_path / "images"))
    assert isinstance(runs, Runs)
    with_region, without = runs.cards
    kinds = (with_region.pictures, with_region.heats, with_region.maps, with_region.noised)
    ((clean,), (saliency,), (shown,), (noise,)) = kinds
    assert load_image(shown).size == load_image(saliency).size == picture.size
    assert len({clean, saliency, shown, noise}) == with_region.thumbnails == 4
    assert len(detail(with_region, {})["heats"]) == 1
    assert without.maps == without.heats == ()
    assert detail(with_region, {})["noise"] == [f"t = {noised.t}, key region"]
    assert detail(without, {})["noise"] == [f"t = {noised.t}, whole picture"]


async def test_pictures_that_are_not_there_are_counted(tmp_path, asked):
    write_traces(tmp_path / "traces.jsonl", [await asked("One?"), await asked("Two?")])
    (tmp_path / "images").mkdir()
    runs = read(tmp_path / "traces.jsonl", PictureFolder(tmp_path / "images"))
    assert isinstance(runs, Runs)
    assert runs.missing == 2


def test_a_study(tmp_path, study):
    path = tmp_path / "scaling.json"
    path.write_text(study().model_dump_json())
    assert read(path) == study()


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.txt", "", "no kind that a report is made of; give one of .json, .jsonl"),
        ("a.json", "{}", "is no study: made: Field required"),
        ("a.json", "[", "is no study"),
        ("a.jsonl", "\n", "holds no traces"),
    ],
)
def test_files_that_hold_nothing_to_report(tmp_path, name, content, said):
    (tmp_path / name).write_text(content)
    with pytest.raises(ReportError, match=said):
        read(tmp_path / name)


def test_files_that_cannot_be_read(tmp_path):
    with pytest.raises(ReportError, match="check the path"):
        read(Path("none.json"))
    with pytest.raises(TraceError, match="check the path"):
        read(Path("none.jsonl"))
