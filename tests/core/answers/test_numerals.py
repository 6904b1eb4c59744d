"""Numbers read exactly and within bounds, shown in one form, equal when one rounds the other."""

from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from catts.answers.numerals import (
    NUMBER_WORDS,
    PART_WORDS,
    PLURAL_PARTS,
    leading_number,
    same_number,
    show_number,
)


@pytest.mark.parametrize(
    ("text", "value", "rest"),
    [
        ("12", "12", ""),
        (" 12 cm", "12", " cm"),
        ("-7x", "-7", "x"),
        ("+ 7", "7", ""),
        ("- 0.5", "-1/2", ""),
        (".5", "1/2", ""),
        ("3.", "3", ""),
        ("1,234,567.5", "2469135/2", ""),
        ("1,23", "1", ",23"),  # no thousands
        ("12,345", "12345", ""),
        ("0012", "12", ""),
        ("1/3", "1/3", ""),
        ("-1 / 3", "-1/3", ""),
        ("1.5/2.5", "3/5", ""),
        (r"\frac{2}{4}", "1/2", ""),
        (r"-\frac{-1}{ 3 }", "1/3", ""),
        (r"\frac{1,000}{3}", "1000/3", ""),
        (r"\frac12", "1/2", ""),
        (r"\frac 1 2", "1/2", ""),
        (r"2\frac{1}{4}", "9/4", ""),
        ("2 1/4", "9/4", ""),
        ("-2 1/4", "-9/4", ""),
        ("10^3", "1000", ""),
        ("10^{-2}", "1/100", ""),
        ("10 ^ +3", "1000", ""),
        ("5e-1", "1/2", ""),
        ("1.5E3", "1500", ""),
        (r"1.5\times 10^{3}", "1500", ""),
        (r"2\cdot10^2", "200", ""),
        ("2*10^2", "200", ""),
        ("1e60", str(10**60), ""),
        ("1e-60", f"1/{10**60}", ""),
        ("9" * 100, "9" * 100, ""),
        ("0" * 119 + "7", "7", ""),
    ],
)
def test_read(text: str, value: str, rest: str) -> None:
    assert leading_number(text) == (Fraction(value), rest)


@pytest.mark.parametrize(
    "text",
    ["", "x", "cm 12", "-", ".", r"\frac{1}{0}", "1/0", "1 1/0", "1e61", "1e-61", "1" + "0" * 100,
     "0." + "0" * 99 + "1", "0" * 120 + "7"],
)  # fmt: skip
def test_not_read(text: str) -> None:
    assert leading_number(text) is None


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("0", "0"),
        ("-12", "-12"),
        ("1/2", "0.5"),
        ("-1/2", "-0.5"),
        ("5/4", "1.25"),
        ("1/8", "0.125"),
        ("1/25", "0.04"),
        ("12345/1000", "12.345"),
        ("1/3", "1/3"),
        ("-7/6", "-7/6"),
        (f"1/{10**12}", "0.000000000001"),
        (f"1/{10**13}", f"1/{10**13}"),
        (f"1/{2**12}", "0.000244140625"),
        (f"1/{2**13}", "1/8192"),
    ],
)
def test_shown(value: str, shown: str) -> None:
    assert show_number(Fraction(value)) == shown


@settings(deadline=None)
@given(st.fractions(max_denominator=10**9), st.sampled_from(["", " cm", ")"]))
def test_what_is_shown_reads_back(value: Fraction, rest: str) -> None:
    assert leading_number(show_number(value) + rest) == (value, rest)


@pytest.mark.parametrize(
    ("a", "b", "same"),
    [
        ("1/3", "1/3", True),
        ("0.333333", "1/3", True),
        ("0.33333", "1/3", False),  # five digits
        ("0.333334", "1/3", False),
        ("-0.333333", "-1/3", True),
        ("-0.333333", "1/3", False),
        ("3.14159", "3.14159265", True),
        ("3.1416", "3.14159265", False),
        ("1000000", "1000001", False),  # a whole number rounds nothing
        ("1000000", "1000000.4", False),
        ("0.0000001", "0.0000002", False),
        ("123456.5", "123456.54", True),
    ],
)
def test_equal_or_rounded_to_six_digits(a: str, b: str, same: bool) -> None:
    assert same_number(Fraction(a), Fraction(b)) is same
    assert same_number(Fraction(b), Fraction(a)) is same


def test_words() -> None:
    assert [NUMBER_WORDS[w] for w in ("zero", "one", "twelve", "twenty")] == ["0", "1", "12", "20"]
    assert len(NUMBER_WORDS) == 21
    ordinals = "third quarter fourth fifth sixth seventh eighth ninth tenth twelfth hundredth"
    parts = dict(zip(ordinals.split(), (3, 4, 4, 5, 6, 7, 8, 9, 10, 12, 100), strict=True))
    plural = {f"{word}s": count for word, count in parts.items()}
    assert {"half": 2, "halves": 2, **parts, **plural} == PART_WORDS
    assert {"halves", "thirds", "quarters"} <= PLURAL_PARTS
    assert not {"half", "third", "quarter"} & PLURAL_PARTS
