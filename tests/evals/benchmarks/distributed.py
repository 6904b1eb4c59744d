"""Small files in exactly the schemas in which the four benchmarks are distributed."""

import io
import json
import struct
import zlib
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

PICTURE = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
"""The hub's Image feature."""

_TEXTS = pa.list_(pa.string())
_METADATA = pa.struct(
    [
        *((name, pa.string()) for name in ("category", "context", "grade")),
        *((name, pa.int64()) for name in ("img_height", "img_width")),
        ("language", pa.string()),
        ("skills", _TEXTS),
        *((name, pa.string()) for name in ("source", "split", "task")),
    ]
)
SCHEMAS = {
    "mathvista": pa.schema(
        [
            *((name, pa.string()) for name in ("pid", "question", "image")),
            ("decoded_image", PICTURE),
            ("choices", _TEXTS),
            ("unit", pa.string()),
            ("precision", pa.float64()),
            *((name, pa.string()) for name in ("answer", "question_type", "answer_type")),
            ("metadata", _METADATA),
            ("query", pa.string()),
        ]
    ),
    "mathvision": pa.schema(
        [
            *((name, pa.string()) for name in ("id", "question")),
            ("options", _TEXTS),
            ("image", pa.string()),
            ("decoded_image", PICTURE),
            *((name, pa.string()) for name in ("answer", "solution")),
            ("level", pa.int64()),
            ("subject", pa.string()),
        ]
    ),
    "mmstar": pa.schema(
        [
            ("index", pa.int64()),
            ("question", pa.string()),
            ("image", PICTURE),
            *((name, pa.string()) for name in ("answer", "category", "l2_category")),
            (
                "meta_info",
                pa.struct([(name, pa.string()) for name in ("source", "split", "image_path")]),
            ),
        ]
    ),
    "mmmu": pa.schema(
        [
            *((name, pa.string()) for name in ("id", "question", "options", "explanation")),
            *((f"image_{number}", PICTURE) for number in range(1, 8)),
            *(
                (name, pa.string())
                for name in (
                    "img_type", "answer", "topic_difficulty", "question_type", "subfield",
                )
            ),
        ]
    ),
}  # fmt: skip


def png(colour: str = "red", size: tuple[int, int] = (6, 4)) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", size, colour).save(buffer, format="PNG")
    return buffer.getvalue()


def bomb() -> bytes:
    """A PNG of a few bytes whose header promises 10 gigapixels."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    header = struct.pack(">IIBBBBB", 100_000, 100_000, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", b"") + chunk(b"IEND", b"")


def stored(data: bytes | None, path: str | None = None) -> dict[str, Any]:
    return {"bytes": data, "path": path}


def write_parquet(path: Path, benchmark: str, rows: list[dict[str, Any]]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_pylist(rows, schema=SCHEMAS[benchmark]), path)
    return path


def write_jsonl(path: Path, rows: list[Any]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows), "utf-8")
    return path


def mathvista(**changed: Any) -> dict[str, Any]:
    return {
        "pid": "1",
        "question": "What is the value?",
        "image": "images/1.jpg",
        "decoded_image": stored(png()),
        "choices": None,
        "unit": None,
        "precision": 1.0,
        "answer": "1.2",
        "question_type": "free_form",
        "answer_type": "float",
        "metadata": {
            "category": "math-targeted-vqa", "context": "table", "grade": "high school",
            "img_height": 4, "img_width": 6, "language": "english",
            "skills": ["arithmetic reasoning"], "source": "TabMWP", "split": "testmini",
            "task": "math word problem",
        },
        "query": "Hint: ...\nQuestion: What is the value?\nSolution: ",
    } | changed  # fmt: skip


def mathvista_choice(**changed: Any) -> dict[str, Any]:
    choices = {"question_type": "multi_choice", "answer_type": "text", "precision": None}
    return mathvista(**choices, choices=["145°", "11°"], answer="11°", **changed)


def mathvision(**changed: Any) -> dict[str, Any]:
    return {
        "id": "19",
        "question": "How many?\n<image1>",
        "options": [],
        "image": "images/19.jpg",
        "decoded_image": stored(png()),
        "answer": "60",
        "solution": None,
        "level": 2,
        "subject": "arithmetic",
    } | changed


def mmstar(**changed: Any) -> dict[str, Any]:
    return {
        "index": 0,
        "question": "Where is it?\nOptions: A: On the book., B: Under the cat, C: No, D: In, out",
        "image": stored(png()),
        "answer": "A",
        "category": "coarse perception",
        "l2_category": "image scene and topic",
        "meta_info": {"source": "MMBench", "split": "val", "image_path": "images/0.jpg"},
    } | changed


def mmmu(**changed: Any) -> dict[str, Any]:
    return {
        "id": "validation_Accounting_1",
        "question": "<image 1> Which entry balances?",
        "options": "['$6', '$7', '$8', '$9']",
        "explanation": "",
        "image_1": stored(png("red")),
        **{f"image_{number}": None for number in range(2, 8)},
        "img_type": "['Tables']",
        "answer": "B",
        "topic_difficulty": "Easy",
        "question_type": "multiple-choice",
        "subfield": "Managerial Accounting",
    } | changed
