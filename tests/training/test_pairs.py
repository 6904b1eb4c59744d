"""Pairs made before a training: what they hold, how they go on, and what is refused."""

import json
import random
import time
from pathlib import Path

import pytest
from forked import forked
from PIL import Image
from typer.testing import CliRunner

from catts import cli
from catts.cli import app
from catts.embedded.world import example
from catts.errors import InputError
from catts.perception.saliency import Saliency
from catts.training.arguments import parsed
from catts.training.data import Noise
from catts.training.dataset_source import open_dataset
from catts.training.pairs import make_pairs
from catts.training.pairs_folder import SHARD, read_settings
from catts.training.regions import Looked, everywhere, noise_of
from catts.training.run import source_of

CPU = ["--use_cpu", "true"]


def questions(folder: Path, n: int) -> Path:
    """`n` questions of the drawn world as a folder of pictures."""
    folder.mkdir(parents=True)
    with (folder / "metadata.jsonl").open("w", encoding="utf-8") as lines:
        for index in range(n):
            drawn = example("train", 6_000_000 + index)
            drawn.image.save(folder / f"{index:03d}.png")
            row = {"file_name": f"{index:03d}.png", "question": drawn.question}
            row |= {"answer": drawn.answer, "choices": list(drawn.choices)}
            lines.write(f"{json.dumps(row)}\n")
    return folder


def files(folder: Path) -> dict[str, bytes]:
    found = (p for p in folder.rglob("*") if p.is_file())
    return {str(p.relative_to(folder)): p.read_bytes() for p in found}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return questions(tmp_path_factory.mktemp("pairs") / "data", 5)


def test_pairs_are_what_a_training_makes_on_the_fly(data: Path, tmp_path: Path) -> None:
    found = make_pairs(str(data), tmp_path / "pairs", clip="embedded", quiet=True)
    assert (found.questions, found.made) == (5, 5)
    asked, pairs = open_dataset(str(data), quiet=True), open_dataset(str(tmp_path / "pairs"))
    assert (asked.paired, pairs.paired) == (False, True)
    assert asked.digest != pairs.digest
    ours = Noise(seed=42, where=Looked(Saliency.load("embedded"), 0.9))
    for index in range(5):
        row = pairs[index]
        assert (row.question, row.answer) == (asked[index].question, asked[index].answer)
        assert row.image.tobytes() == asked[index].image.tobytes()
        made = ours(asked[index], index)
        assert Noise(seed=0)(row, index).tobytes() == made.tobytes()
        assert made.tobytes() != Noise(seed=42)(asked[index], index).tobytes()
    stored = pairs._rows[0]
    assert stored["t"] == ours.step(0)
    assert 0 < len(stored["region"]["patches"]) < stored["region"]["grid"][0] ** 2


def test_whole_pictures_need_no_clip_and_large_ones_are_scaled_first(
    data: Path, tmp_path: Path
) -> None:
    make_pairs(str(data), tmp_path / "p", region="whole", max_pixels=50 * 50, quiet=True)
    source = open_dataset(str(tmp_path / "p"), max_pixels=50 * 50, quiet=True)
    small = source[0].image
    assert small.size == (50, 50)
    assert Noise()(source[0], 0).tobytes() == Noise(seed=42).noised(small, 0, None).tobytes()
    assert source._rows[0]["region"] is None
    with pytest.raises(InputError, match="row 1: image has more than 400 pixels, and its twin"):
        open_dataset(str(tmp_path / "p"), max_pixels=20 * 20, quiet=True)


@pytest.mark.slow
def test_a_killed_run_ends_as_one_that_was_not(tmp_path: Path) -> None:
    data = questions(tmp_path / "data", 2 * SHARD + 9)
    make_pairs(str(data), tmp_path / "whole", clip="embedded", quiet=True)
    out = tmp_path / "killed"
    command = ["pairs", "--data", str(data), "--out", str(out), "--clip", "embedded"]
    running = forked(cli.main, command)
    while not (out / "pairs.json").exists():
        assert running.is_alive()
        time.sleep(0.02)
    time.sleep(random.uniform(0, 6))
    running.kill()
    running.join()
    done = files(out)
    settings = read_settings(out)
    assert settings is not None
    if missing := settings.missing(out):
        with pytest.raises(InputError, match=f"lacks {len(missing)} of 3 shards of its pairs"):
            open_dataset(str(out), quiet=True)
    found = make_pairs(str(data), out, clip="embedded", quiet=True)
    kept = [name for name in done if name.endswith(".parquet")]
    assert found.made == found.questions - sum(
        min(SHARD, found.questions - SHARD * int(Path(name).name[6:11])) for name in kept
    )
    assert files(out) == files(tmp_path / "whole")


def test_a_shard_that_is_missing_is_made_and_half_a_file_is_removed(
    data: Path, tmp_path: Path
) -> None:
    out = tmp_path / "pairs"
    make_pairs(str(data), out, region="whole", quiet=True)
    before = files(out)
    (shard,) = (out / "data").iterdir()
    shard.rename(shard.with_name(f".{shard.name}.0.part"))
    shard.with_name(f".{shard.name}.0.part").write_bytes(b"PAR1")
    assert make_pairs(str(data), out, region="whole", quiet=True).made == 5
    assert files(out) == before
    assert make_pairs(str(data), out, region="whole", quiet=True).made == 0


def test_other_settings_other_data_and_other_files_are_refused(data: Path, tmp_path: Path) -> None:
    out = tmp_path / "pairs"
    make_pairs(str(data), out, region="whole", quiet=True)
    with pytest.raises(InputError, match=r"was begun with noise_low 400 \(now 300\): give the sam"):
        make_pairs(str(data), out, region="whole", noise_low=300, quiet=True)
    other = questions(tmp_path / "other", 5)
    Image.new("RGB", (30, 30)).save(other / "000.png")
    with pytest.raises(InputError, match="was begun with other data: give the same data and"):
        make_pairs(str(other), out, region="whole", quiet=True)
    with pytest.raises(InputError, match="holds something else than pairs: name another folder"):
        make_pairs(str(data), data, region="whole", quiet=True)
    with pytest.raises(InputError, match="holds pairs already: train with it"):
        make_pairs(str(out), tmp_path / "again", region="whole", quiet=True)
    (out / "pairs.json").write_text("{")
    with pytest.raises(InputError, match=r"pairs.json is broken"):
        open_dataset(str(out), quiet=True)


def test_a_folder_of_data_that_are_no_pairs_is_left_alone(data: Path, tmp_path: Path) -> None:
    own = tmp_path / "own" / "data"
    own.mkdir(parents=True)
    (own / "train-00000-of-00001.parquet").write_bytes(b"mine")
    with pytest.raises(InputError, match="holds something else than pairs"):
        make_pairs(str(data), own.parent, region="whole", quiet=True)
    assert [path.read_bytes() for path in own.iterdir()] == [b"mine"]


def test_the_command(data: Path, tmp_path: Path) -> None:
    options = ["pairs", "--data", str(data), "--region", "whole"]
    out = tmp_path / "p"
    result = CliRunner().invoke(app, [*options, "--out", str(out), "--json"])
    assert json.loads(result.stdout) == {"out": str(out), "questions": 5, "made": 5}
    result = CliRunner().invoke(app, [*options, "--out", str(out)])
    assert result.stdout == f"5 pairs in {out}, 0 of them made now\n"
    for more, words in (
        (["--region", "saliency"], "region saliency needs a CLIP for your pictures: give clip"),
        (["--clip", "embedded"], "region whole asks no CLIP"),
        (["--noise-low", "900", "--noise-high", "5"], "diffusion steps go from 0 to 1000"),
    ):
        result = CliRunner().invoke(app, [*options, "--out", str(tmp_path / "q"), *more])
        assert words in str(result.exception)
        assert isinstance(result.exception, InputError)


def test_where_a_training_puts_the_noise(data: Path, tmp_path: Path) -> None:
    make_pairs(str(data), tmp_path / "pairs", region="whole", quiet=True)

    def noise(*more: str) -> Noise:
        run, config, _ = parsed("embedded", [*CPU, *more])
        return noise_of(run, config, source_of(run, quiet=True))

    stream = source_of(parsed("embedded", CPU)[0])
    assert noise().where(stream[0]) == stream[0].region
    assert noise("--region", "whole").where is everywhere
    assert isinstance(noise("--region", "saliency").where, Looked)
    own = ["--data", str(data)]
    assert noise(*own, "--region", "whole").where is everywhere
    found = noise(*own, "--clip", "embedded", "--region_share", "0.5").where
    assert isinstance(found, Looked)
    assert found.share == 0.5
    made = ["--data", str(tmp_path / "pairs")]
    assert noise(*made).where(stream[0]) is not None
    for more, words in (
        (own, "region saliency needs a CLIP for your pictures: give clip"),
        (["--clip", "embedded"], "clip is asked where region is saliency alone"),
        ([*own, "--clip", "embedded", "--region_share", "0"], "region_share 0.0: give a share"),
        ([*own, "--clip", "nowhere"], "no saliency model 'nowhere'"),
        ([*made, "--region", "whole"], "holds pairs, noised already: leave region out"),
        ([*made, "--noise_low", "0"], "holds pairs, noised already: leave noise_low out"),
    ):
        with pytest.raises(InputError, match=words):
            noise(*more)
