import math
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from catts.evals.graders.latex_value import latex_value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("3", 3),
        ("-3", -3),
        ("--3", 3),
        ("1,000,000", 1_000_000),
        ("1,234.5", 1234.5),
        (".5", 0.5),
        (r"50\%", 0.5),
        ("1/2", 0.5),
        ("7:2", 3.5),
        (r"6\div 4", 1.5),
        ("2+3*4", 14),
        ("10-2-3", 5),
        ("8/2/2", 2),
        (r"2\times 3\cdot 4", 24),
        ("2^10", 1024),
        ("2^{-1}", 0.5),
        ("2^-1", 0.5),
        ("-2^2", -4),
        ("5!", 120),
        (r"\frac{1}{2}", 0.5),
        (r"\dfrac{1}{2}+\tfrac{1}{4}", 0.75),
        (r"\frac{\sqrt{3}}{2}", math.sqrt(3) / 2),
        (r"2\sqrt{3}", 2 * math.sqrt(3)),
        (r"\sqrt[3]{8}", 2),
        (r"3\pi", 3 * math.pi),
        (r"2(3+4)", 14),
        (r"\left(1+2\right)^2", 9),
        (r"[1+2]\pi", 3 * math.pi),
        (r"$\boxed{\frac{16}{7}}$", 16 / 7),
        (r"30^\circ", 30),
        (r"30^{\circ}", 30),
        (r"\sin(0)+\cos{0}", 1),
        (r"\ln{1}", 0),
        (r"\log{100}", 2),
        (r"\frac{1}{2}+\frac{\sqrt{3}}{3}", 0.5 + math.sqrt(3) / 3),
        (" 2 + 2 ", 4),
        (r"2\,+\,2", 4),
    ],
)
def test_expressions_with_a_value(text, value):
    assert latex_value(text) == pytest.approx(value)


@pytest.mark.parametrize(
    "text",
    ["", "x", "2x", "12cm", "e", "1 1/2", "2 3", "1,00", "3.", "1e5", r"\frac12", "(1,2)", "1/0",
     "2+", "+", "*2", "(2", "2)", "{2)", "x=2", r"\sqrt{-1}", r"(-8)^{1/3}", r"\sum 3", r"\infty",
     "0^{-1}", "(-1)!", "0.5!", r"\ln{0}", "a", "__import__('os')", "1;2", "𝟓x", "²"],
)  # fmt: skip
def test_texts_without_one(text):
    assert latex_value(text) is None


@pytest.mark.parametrize(
    "text",
    ["9" * 401, "(" * 199 + "1" + ")" * 199, "9^{9^{9^{9}}}", "9^9^9^9", "171!", "9!!!!", "2^99999",
     r"\exp{1000}", "9" * 350 + "*" + "0.5", "2^-" * 100 + "2", "*".join(["9" * 99] * 4)],
)  # fmt: skip
def test_what_is_too_large_has_none_and_takes_no_time(text):
    start = time.process_time()
    latex_value(text)
    assert time.process_time() - start < 0.5
    assert latex_value(text) is None or len(text) < 401


@given(st.text("0123456789.,+-*/^!(){}[]\\ pisqrtfac$%:", max_size=60))
def test_it_never_raises(text):
    value = latex_value(text)
    assert value is None or math.isfinite(value)


@given(st.integers(-(10**9), 10**9), st.integers(1, 10**6))
def test_fractions_are_quotients(top, bottom):
    for text in (f"{top}/{bottom}", rf"\frac{{{top}}}{{{bottom}}}", f"{top}:{bottom}"):
        assert latex_value(text) == pytest.approx(top / bottom)
