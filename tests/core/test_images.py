"""Images of every sort come in as upright RGB, or as one helpful line."""

import io
import os
import struct
import subprocess
import sys
import threading
import time
import tracemalloc
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import EpsImagePlugin, Image

from catts.errors import ImageError
from catts.images import ImageStore, check_image, image_digest, load_image

RED, WHITE = (255, 0, 0), (255, 255, 255)


def _bytes(image: Image.Image, form: str = "PNG", **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format=form, **options)
    return buffer.getvalue()


def _noise(width: int = 40, height: int = 30) -> Image.Image:
    pixels = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
    return Image.fromarray(pixels)


def _png_claiming(width: int, height: int) -> bytes:
    """A PNG of a few bytes whose header promises `width` x `height` pixels."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    body = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


@pytest.mark.parametrize("form", ["PNG", "BMP", "WEBP", "TIFF"])
def test_every_source_gives_the_same_picture(tmp_path: Path, form: str) -> None:
    image = _noise()
    data = _bytes(image, form, **({"lossless": True} if form == "WEBP" else {}))
    path = tmp_path / "picture.bin"
    path.write_bytes(data)
    loaded = [load_image(source) for source in (str(path), path, data, image)]
    assert all(picture.mode == "RGB" for picture in loaded)
    assert {image_digest(picture) for picture in loaded} == {image_digest(image)}


def test_the_callers_image_is_copied() -> None:
    image = _noise()
    load_image(image).putpixel((0, 0), (1, 2, 3))
    assert image.getpixel((0, 0)) == _noise().getpixel((0, 0))


def _palette_with_hole() -> Image.Image:
    image = Image.new("P", (4, 4), 1)
    image.putpalette([0, 255, 0, 255, 0, 0])
    image.putpixel((0, 0), 0)
    image.info["transparency"] = 0
    return image


MODES: list[tuple[str, Image.Image, tuple[int, int, int], tuple[int, int, int]]] = [
    ("P with transparency", _palette_with_hole(), WHITE, RED),
    ("RGBA, clear", Image.new("RGBA", (4, 4), (0, 0, 0, 0)), WHITE, WHITE),
    ("RGBA, half", Image.new("RGBA", (4, 4), (255, 0, 0, 128)), (255, 127, 127), (255, 127, 127)),
    ("LA", Image.new("LA", (4, 4), (0, 0)), WHITE, WHITE),
    ("L", Image.new("L", (4, 4), 100), (100,) * 3, (100,) * 3),
    ("1", Image.new("1", (4, 4), 1), WHITE, WHITE),
    ("CMYK", Image.new("CMYK", (4, 4), (0, 255, 255, 0)), RED, RED),
    ("I;16", Image.new("I;16", (4, 4), 65535), WHITE, WHITE),
    ("I;16, half", Image.new("I;16", (4, 4), 32768), (128,) * 3, (128,) * 3),
    ("I", Image.new("I", (4, 4), 200), (200,) * 3, (200,) * 3),
    ("F", Image.new("F", (4, 4), 99.6), (100,) * 3, (100,) * 3),
    ("F, flat and large", Image.new("F", (4, 4), 1e6), (0,) * 3, (0,) * 3),
    ("HSV", Image.new("RGB", (4, 4), RED).convert("HSV"), RED, RED),
]


@pytest.mark.parametrize(("name", "image", "corner", "middle"), MODES, ids=[m[0] for m in MODES])
def test_odd_modes(
    name: str, image: Image.Image, corner: tuple[int, int, int], middle: tuple[int, int, int]
) -> None:
    loaded = load_image(image)
    assert loaded.mode == "RGB", name
    assert (loaded.getpixel((0, 0)), loaded.getpixel((2, 2))) == (corner, middle)


def test_sixteen_bit_files_keep_their_shades() -> None:
    ramp = Image.fromarray((np.arange(256, dtype=np.uint16) * 257).reshape(16, 16))
    assert [pixel[0] for pixel in load_image(_bytes(ramp)).get_flattened_data()] == list(range(256))


def test_a_photo_is_turned_upright() -> None:
    image = Image.new("RGB", (20, 10), "white")
    image.paste(RED, (0, 0, 10, 10))
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was turned: rotate by 90 degrees clockwise
    upright = load_image(_bytes(image, "PNG", exif=exif))
    assert upright.size == (10, 20)
    assert upright.getpixel((5, 2)) == RED
    assert upright.getpixel((5, 17)) == WHITE


def test_the_first_frame_stands_for_an_animation() -> None:
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("red", "blue")]
    data = _bytes(frames[0], "GIF", save_all=True, append_images=frames[1:])
    assert load_image(data).getpixel((4, 4)) == RED


@pytest.mark.parametrize(
    ("source", "says"),
    [
        ("/nowhere/picture.png", "no file at"),
        ("/", "is a folder"),
        ("", "the path of the image is empty"),
        ("a\0b", "not a path"),
        ("x" * 5000, "file name too long"),
        ("https://example.org/cat.png", "download it first"),
        ("s3://bucket/cat.png", "download it first"),
        ("data:image/png;base64,AAAA", "download it first"),
        (b"", "not an image"),
        (b"hello, this is text", "not an image"),
        (b"%PDF-1.7 and so on", "not an image"),
        (_bytes(_noise())[:600], "truncated"),
        (_bytes(_noise(200, 200), "JPEG")[:2000], "truncated"),
        (_bytes(_noise())[:20], "broken"),
        (_png_claiming(9_000, 9_000), "9000 x 9000"),
        (_png_claiming(20_000, 20_000), "too large"),
        (_png_claiming(60_000, 60_000), "too large"),
        (_png_claiming(100, 100), "truncated"),
        (Image.new("1", (20_000, 20_000)), "20000 x 20000"),
        (Image.new("RGB", (0, 5)), "empty"),
    ],
)
def test_what_cannot_be_used_is_one_helpful_line(
    source: str | bytes | Image.Image, says: str
) -> None:
    with pytest.raises(ImageError) as error:
        load_image(source)
    message = str(error.value)
    assert says in message
    assert "\n" not in message
    assert len(message) < 400


def test_an_unreadable_file_and_a_text_file(tmp_path: Path) -> None:
    path = tmp_path / "notes.png"
    path.write_text("not a picture")
    with pytest.raises(ImageError, match=r"notes\.png is not an image"):
        load_image(path)


def test_a_huge_image_is_refused_before_it_is_decoded() -> None:
    data = _png_claiming(20_000, 20_000)
    tracemalloc.start()
    start = time.process_time()
    with pytest.raises(ImageError, match="too large"):
        load_image(data)
    seconds, peak = time.process_time() - start, tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert seconds < 0.5
    assert peak < 5_000_000


def test_the_pixel_limit_is_the_callers() -> None:
    assert load_image(_bytes(_noise(10, 10)), max_pixels=100).size == (10, 10)
    with pytest.raises(ImageError, match="too large"):
        load_image(_bytes(_noise(10, 11)), max_pixels=100)


def test_the_digest_is_of_size_and_content() -> None:
    row, column = Image.new("RGB", (8, 2), "red"), Image.new("RGB", (2, 8), "red")
    assert image_digest(row) != image_digest(column)
    assert image_digest(row) == image_digest(Image.new("RGB", (8, 2), "red"))
    assert image_digest(row) != image_digest(Image.new("RGB", (8, 2), (254, 0, 0)))
    with pytest.raises(ImageError, match="load_image"):
        image_digest(row.convert("L"))


def test_a_store_in_memory() -> None:
    store = ImageStore()
    digest = store.put(_noise())
    assert digest == image_digest(_noise()) == store.put(_bytes(_noise()))
    assert image_digest(store.get(digest)) == digest
    assert digest in store
    assert "0" * 64 not in store
    with pytest.raises(ImageError, match="put it again"):
        store.get("0" * 64)
    with pytest.raises(ImageError, match="not a digest"):
        store.get("../../etc/passwd")


def test_a_store_scales_an_image_down_once() -> None:
    store = ImageStore()
    digest = store.put(_noise(400, 100))
    small = store.get(digest, max_side=100)
    assert small.size == (100, 25)
    assert store.get(digest, max_side=100) is small
    assert store.get(digest, max_side=200).size == (200, 50)
    assert store.get(digest, max_side=400) is store.get(digest)
    assert image_digest(store.get(digest)) == digest
    line = store.put(Image.new("RGB", (4000, 1)))
    assert store.get(line, max_side=100).size == (100, 1)


def test_a_store_in_a_folder_serves_another_process(tmp_path: Path) -> None:
    digest = ImageStore(tmp_path / "images").put(_noise())
    code = (
        "import sys; from catts.images import ImageStore, image_digest;"
        "print(image_digest(ImageStore(sys.argv[1]).get(sys.argv[2])))"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "images"), digest]
    assert (
        subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout.decode().strip()
        == digest
    )


def test_a_changed_or_broken_file_is_an_error(tmp_path: Path) -> None:
    digest = ImageStore(tmp_path).put(_noise())
    file = tmp_path / f"{digest}.png"
    file.write_bytes(_bytes(Image.new("RGB", (40, 30), "red")))
    with pytest.raises(ImageError, match="not the image that was stored"):
        ImageStore(tmp_path).get(digest)
    file.write_bytes(file.read_bytes()[:50])
    with pytest.raises(ImageError, match="truncated"):
        ImageStore(tmp_path).get(digest)


def test_a_crash_while_writing_leaves_no_image(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(self: Path, target: Path) -> Path:
        raise OSError("disk full")

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(OSError, match="disk full"):
        ImageStore(tmp_path).put(_noise())
    assert list(tmp_path.iterdir()) == []


def test_threads_share_one_image(tmp_path: Path) -> None:
    store = ImageStore(tmp_path)
    digests: list[str] = []
    threads = [
        threading.Thread(target=lambda: digests.append(store.put(_noise()))) for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(digests)) == 1
    assert [path.name for path in tmp_path.iterdir()] == [f"{digests[0]}.png"]


SQUARE = 12_000
"""Side of a picture that Pillow's own limit lets pass and ours does not: 144 megapixels."""


def _ico(side: int) -> bytes:
    """An icon whose header says 32 x 32 while the PNG inside has `side` squared pixels."""
    inner = _bytes(Image.new("1", (side, side)))
    entry = struct.pack("<BBBBHHII", 32, 32, 0, 0, 1, 32, len(inner), 22)
    return struct.pack("<HHH", 0, 1, 1) + entry + inner


def _icns(side: int) -> bytes:
    inner = _bytes(Image.new("1", (side, side)))
    body = b"ic07" + struct.pack(">I", len(inner) + 8) + inner
    return b"icns" + struct.pack(">I", len(body) + 8) + body


def _avif(side: int) -> bytes:
    """A container that says 100 x 100 around AV1 frames of `side` squared pixels."""
    data = _bytes(Image.new("RGB", (side, side), "teal"), "AVIF", speed=10)
    size = struct.pack(">II", side, side)
    assert size in data
    return data.replace(size, struct.pack(">II", 100, 100))


def _tiff(entries: list[tuple[int, int, int]], data: bytes) -> bytes:
    """A grey deflated TIFF of 16 x 16 pixels with further tags (tag, type, value)."""
    known = [(256, 4, 16), (257, 4, 16), (258, 3, 8), (259, 3, 8), (262, 3, 1), (277, 3, 1)]
    directory = struct.pack("<H", len(known + entries))
    for tag, kind, value in sorted(known + entries, key=lambda entry: entry[0]):
        directory += struct.pack("<HHI", tag, kind, 1) + struct.pack("<I", value)
    return b"II*\0" + struct.pack("<I", 8 + len(data)) + data + directory + bytes(4)


def _tiled_tiff(width: int, height: int, *more: tuple[int, int, int], kind: int = 4) -> bytes:
    """Its one tile has `width` x `height` pixels; `more` tags come after those of its size."""
    data = zlib.compress(bytes(width) * height)
    sizes = [(322, kind, width), (323, kind, height)]
    return _tiff([*sizes, *more, (324, 4, 8), (325, 4, len(data))], data)


def _webp_claiming(side: int) -> bytes:
    frames = [Image.new("RGBA", (16, 16), colour) for colour in ("red", "blue")]
    data = _bytes(frames[0], "WEBP", save_all=True, append_images=frames[1:])
    at = data.index(b"VP8X") + 12
    size = struct.pack("<I", side - 1)[:3]
    return data[:at] + 2 * size + data[at + 6 :]


def _gif_claiming(side: int) -> bytes:
    """The frame is larger than the screen."""
    data = _bytes(Image.new("P", (16, 16)), "GIF")
    at = data.index(b",") + 1
    return data[:at] + struct.pack("<HHHH", 0, 0, side, side) + data[at + 8 :]


def _mpo(side: int) -> bytes:
    big = Image.new("L", (side, side))
    return _bytes(big, "MPO", save_all=True, append_images=[big.crop((0, 0, 8, 8))])


HOSTILE: dict[str, tuple[Callable[[], bytes], str]] = {
    "PNG": (lambda: _bytes(Image.new("1", (SQUARE, SQUARE))), "too large"),
    "JPEG": (lambda: _bytes(Image.new("L", (SQUARE, SQUARE)), "JPEG"), "too large"),
    "progressive JPEG": (
        lambda: _bytes(Image.new("L", (SQUARE, SQUARE)), "JPEG", progressive=True),
        "too large",
    ),
    "MPO": (lambda: _mpo(SQUARE), "too large"),
    "WEBP": (lambda: _bytes(Image.new("RGB", (SQUARE, SQUARE)), "WEBP", lossless=True), "large"),
    "animated WEBP": (lambda: _webp_claiming(SQUARE), "too large"),
    "GIF": (lambda: _gif_claiming(SQUARE), "too large"),
    "BMP": (lambda: _bytes(Image.new("1", (SQUARE, SQUARE)), "BMP"), "too large"),
    "PPM": (lambda: b"P6 %d %d 255\n" % (SQUARE, SQUARE) + bytes(3_000), "too large"),
    "TIFF": (
        lambda: _bytes(Image.new("1", (SQUARE, SQUARE)), "TIFF", compression="group4"),
        "too large",
    ),
    "TIFF with a huge tile": (lambda: _tiled_tiff(16_384, 16_384), "too large"),
    "TIFF with a second tile size": (
        lambda: _tiled_tiff(16_384, 16_384, (322, 4, 16), (323, 4, 16)),
        "broken",
    ),
    "TIFF with an odd type": (lambda: _tiled_tiff(16_384, 16_384, kind=17), "broken"),
    "ICO": (lambda: _ico(SQUARE), "is not an image"),
    "ICNS": (lambda: _icns(SQUARE), "is not an image"),
    "AVIF": (lambda: _avif(7_000), "is not an image"),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", HOSTILE)
def test_nothing_large_is_decoded_whatever_the_container(name: str, tmp_path: Path) -> None:
    build, says = HOSTILE[name]
    path = tmp_path / "picture"
    path.write_bytes(build())
    code = (
        "import sys; from pathlib import Path\n"
        "from PIL import Image; Image.init()\n"
        "from catts.errors import ImageError; from catts.images import load_image\n"
        "peak = lambda: int(Path('/proc/self/status').read_text().split('VmHWM:')[1].split()[0])\n"
        "before, said = peak(), ''\n"
        "try: load_image(sys.argv[1])\n"
        "except ImageError as error: said = str(error)\n"
        "print(peak() - before, said)\n"
    )
    command = [sys.executable, "-c", code, str(path)]
    grown, _, said = subprocess.check_output(command, text=True).partition(" ")  # in KiB
    assert says in said
    assert int(grown) < 30_000


def test_a_tiled_tiff_is_read() -> None:
    assert load_image(_tiled_tiff(64, 32)).size == (16, 16)
    assert load_image(_tiled_tiff(64, 32), max_pixels=16 * 16).size == (16, 16)


def test_postscript_starts_no_interpreter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = _bytes(Image.new("RGB", (20, 20), "red"), "EPS")
    ghostscript = tmp_path / "gs"
    ghostscript.write_text(f"#!/bin/sh\necho 10.0 | tee {tmp_path}/started\n")
    ghostscript.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    monkeypatch.setattr(EpsImagePlugin, "gs_binary", None)  # as if nobody had looked for it yet
    for source in (page, Image.open(io.BytesIO(page))):
        with pytest.raises(ImageError, match="PNG, JPEG"):
            load_image(source)
    assert not (tmp_path / "started").exists()


def test_what_the_caller_decoded_is_taken_whatever_it_was() -> None:
    icon = Image.open(io.BytesIO(_ico(32)))
    assert load_image(icon).size == (32, 32)


class _BytePath:
    def __fspath__(self) -> bytes:
        return b"picture.png"


@pytest.mark.parametrize(
    ("source", "says"),
    [
        (None, "NoneType is no image"),
        (7, "int is no image"),
        (True, "bool is no image"),
        ([], "list is no image"),
        (["a.png"], "list is no image"),
        (np.zeros((4, 4, 3), np.uint8), "Image.fromarray"),
        (io.BytesIO(_bytes(_noise())), "its bytes"),
        (bytearray(_bytes(_noise())), "its bytes"),
        (memoryview(_bytes(_noise())), "its bytes"),
        (_BytePath(), "not a path"),
        ("~nobody-of-this-name/a.png", "not a path"),
        (Path("a\0b"), "not a path"),
        ("\ud800.png", "not a path"),
    ],
)
def test_what_is_no_source_is_said_so(source: Any, says: str) -> None:
    with pytest.raises(ImageError, match=says):
        load_image(source)
    with pytest.raises(ImageError, match=says):
        ImageStore().put(source)


@pytest.mark.parametrize(
    ("image", "options"),
    [(Image.new("I;16B", (4, 4), 65535), {}), (_noise(), {"big_tiff": True})],
    ids=["big-endian", "BigTIFF"],
)
def test_tiffs_of_every_layout_are_read(image: Image.Image, options: dict[str, Any]) -> None:
    assert image_digest(load_image(_bytes(image, "TIFF", **options))) == image_digest(
        load_image(image)
    )


def test_a_header_is_checked_without_decoding_what_follows(tmp_path: Path) -> None:
    data = _bytes(_noise())
    path = tmp_path / "picture.png"
    path.write_bytes(data)
    for source in (data, path, str(path), _noise(), data[: len(data) // 2]):
        check_image(source)
    with pytest.raises(ImageError, match="truncated"):
        load_image(data[: len(data) // 2])


@pytest.mark.parametrize(
    ("source", "told"),
    [
        (b"", "not an image"),
        (b"GIF89a", "truncated|not an image"),
        (_png_claiming(100_000, 100_000), "too large"),
        (_bytes(_noise(), "PNG"), ""),
        ("no-such-file.png", "no file at"),
        ("https://example.org/a.png", "is a URL"),
    ],
)
def test_a_checked_header_is_refused_as_loading_would(source: Any, told: str) -> None:
    if not told:
        check_image(source)
        with pytest.raises(ImageError, match="too large"):
            check_image(source, max_pixels=100)
        return
    for read in (check_image, load_image):
        with pytest.raises(ImageError, match=told):
            read(source)
