"""The folder of precomputed pairs: its settings, its shards, and whether all of them are there.

`pairs.json` says how the pairs are made, `data/train-*.parquet` are the pairs, in the layout that
the `datasets` library and the hub read as one split.
"""

from pathlib import Path

from pydantic import ValidationError

from catts.errors import InputError
from catts.options import Region
from catts.records import Record, first_problem

SETTINGS = "pairs.json"
SHARD = 64
"""Questions in a shard: what a killed run may have to do again."""


class PairsSettings(Record):
    """Everything that decides the pairs in a folder."""

    questions: int
    """Questions of the data set."""
    digest: str
    """SHA-256 (hex) over its questions, choices, answers and pictures."""
    region: Region
    """Where the noise goes."""
    clip: str | None
    """Fingerprint of the CLIP that found the regions; None where the whole picture is noised."""
    region_share: float
    """Share of the saliency that a region holds, in [0, 1]."""
    noise_low: int
    """Least diffusion step."""
    noise_high: int
    """Largest diffusion step."""
    seed: int
    """Of steps and noise."""
    max_pixels: int | None
    """Larger pictures were scaled down to it, before they were noised."""

    @property
    def shards(self) -> int:
        """Files that hold the pairs."""
        return -(-self.questions // SHARD)

    def shard(self, folder: Path, number: int) -> Path:
        """The file of shard `number`, from 0."""
        return folder / "data" / f"train-{number:05d}-of-{self.shards:05d}.parquet"

    def missing(self, folder: Path) -> list[int]:
        """Numbers of the shards that are not there, ascending."""
        return [n for n in range(self.shards) if not self.shard(folder, n).is_file()]


def read_settings(folder: Path) -> PairsSettings | None:
    """How the pairs in a folder are made; None where it is no folder of pairs.

    Raises:
        InputError: the file is broken.
    """
    path = folder / SETTINGS
    if not path.is_file():
        return None
    try:
        return PairsSettings.model_validate_json(path.read_bytes())
    except ValidationError as error:
        raise InputError(
            f"{path} is broken ({first_problem(error)}): make the pairs in another folder"
        ) from error


def check_complete(folder: Path) -> None:
    """Check that all pairs of a folder are there; a folder of anything else passes.

    Raises:
        InputError: some are not, or its settings are broken.
    """
    settings = read_settings(folder)
    missing = [] if settings is None else settings.missing(folder)
    if settings is not None and missing:
        raise InputError(
            f"{folder} lacks {len(missing)} of {settings.shards} shards of its pairs: give the "
            "`catts pairs` command that began it once more"
        )
