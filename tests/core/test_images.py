"""Images of every sort come in as upright RGB, or as one helpful line."""

import io
import struct
import subprocess
import sys
import threading
import time
import tracemalloc
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from catts.errors import ImageError
from catts.images import ImageStore, image_digest, load_image

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
        ("", "is a folder"),
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
