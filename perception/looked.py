"""What `catts saliency` finds: a question's map over a picture, its key region, and noise in it."""

from collections.abc import Sequence
from pathlib import Path

from PIL.Image import Image

from catts.errors import InputError
from catts.images import image_digest
from catts.perception.key_region import KeyRegion, key_region
from catts.perception.noise import add_noise, noise_seed
from catts.perception.panels import heat_map, region_map, side_by_side
from catts.perception.saliency import Saliency, texts_of
from catts.perception.saliency_store import FloatMap
from catts.records import Record


class Peak(Record):
    """The patch with the most saliency."""

    patch: int
    """Index in reading order."""
    box: tuple[int, int, int, int]
    """Left, top, right, bottom in pixels of the picture."""
    saliency: float
    """Its share of all saliency, in [0, 1]."""


class Looked(Record):
    """What `catts saliency --json` prints."""

    model: str
    texts: tuple[str, ...]
    peak: Peak
    share: float
    """Share of the saliency that the key region was to hold."""
    held: float
    """Share that it holds."""
    covered: float
    """Share of the picture that it covers."""
    region: KeyRegion
    t: int
    seed: int
    """Of the noise."""
    picture: Path


def look(
    saliency: Saliency,
    image: Image,
    question: str,
    choices: Sequence[str],
    *,
    share: float,
    t: int,
    out: Path,
) -> Looked:
    """Find where a question looks, and draw it: picture, heat map, key region, noised picture.

    Args:
        saliency: by which CLIP.
        image: RGB.
        question: without its choices.
        choices: their texts, none for a free answer.
        share: of the saliency that the key region holds, in [0, 1].
        t: diffusion step of the noise in it, 0 to 1000.
        out: PNG file for the four panels; replaced when it is there.

    Raises:
        InputError: `out` cannot be written.
    """
    found = saliency.map(image, question, choices)
    region = key_region(found, share).with_saliency(found)
    seed = noise_seed(image_digest(image), t)
    panels = [
        ("picture", image),
        ("saliency", heat_map(image, found)),
        (f"key region, {region.covered:.0%}", region_map(image, region)),
        (f"noised, t = {t}", add_noise(image, t, seed, region.mask(*image.size))),
    ]
    try:
        side_by_side(panels).save(out, format="PNG")
    except OSError as error:
        raise InputError(f"cannot write {out}: {error}; name another file") from error
    return Looked(
        model=saliency.clip.name,
        texts=texts_of(question, choices),
        peak=_peak(found, image.size),
        share=share,
        held=float(found.ravel()[list(region.patches)].sum()),
        covered=region.covered,
        region=region,
        t=t,
        seed=seed,
        picture=out,
    )


def account_of(looked: Looked) -> str:
    """The same for people."""
    rows, columns = looked.region.grid
    return (
        f"{looked.model}: {rows} x {columns} patches; the most salient is at pixels "
        f"{looked.peak.box} and holds {looked.peak.saliency:.1%}\n"
        f"key region: {len(looked.region.patches)} patches, {looked.covered:.1%} of the picture, "
        f"hold {looked.held:.1%} of the saliency ({looked.share:.0%} asked for)\n"
        f"picture, saliency, region and noise at t = {looked.t}: {looked.picture}"
    )


def _peak(found: FloatMap, size: tuple[int, int]) -> Peak:
    patch, (rows, columns), (width, height) = int(found.argmax()), found.shape, size
    row, column = divmod(patch, columns)
    box = (
        column * width // columns,
        row * height // rows,
        (column + 1) * width // columns,
        (row + 1) * height // rows,
    )
    return Peak(patch=patch, box=box, saliency=float(found.ravel()[patch]))
