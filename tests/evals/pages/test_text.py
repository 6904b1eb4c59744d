import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from catts.evals.pages.text import LONGEST, clean, escape, number, short, to_json


def test_what_steers_or_reverses_is_replaced_and_letters_of_every_script_stay():
    assert clean("a\x1b[2J\u202eb\x00\ud800c\r\td") == "a�[2J�b��c  d"
    assert clean("naïve 漢字 π 👩\u200d🚀\nnext\xa0line") == "naïve 漢字 π 👩\u200d🚀\nnext line"


def test_a_text_that_is_too_long_keeps_its_beginning_and_its_end():
    text = "begin" + "x" * 2 * LONGEST + "end"
    kept = clean(text)
    assert kept.startswith("begin")
    assert kept.endswith("end")
    assert len(kept) < LONGEST + 100
    assert f"{len(text) - LONGEST:,} characters left out" in kept


@given(st.text())
def test_every_text_can_be_written_and_read_back(text):
    cleaned = clean(text)
    dumped = to_json({"text": cleaned})
    assert json.loads(dumped.encode()) == {"text": cleaned}
    assert "<" not in dumped
    assert not set('<>"') & set(escape(text).replace("&lt;", ""))


@pytest.mark.parametrize(
    ("value", "shown"),
    [(-0.5, "−0.500"), (-0.0001, "0.000"), (math.inf, "∞"), (math.nan, "not a number")],
)
def test_numbers(value, shown):
    assert number(value) == shown


def test_short_numbers():
    assert [short(x) for x in (0.12345, 1.0, -math.inf)] == ["0.123", "1", "−∞"]
