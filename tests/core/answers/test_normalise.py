"""One way of writing for each mark-up, by hand."""

import pytest

from catts.answers.normalise import normalise


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("", ""),
        (" a  b\n", "a b"),
        ("a\u00a0b~c", "a b c"),
        ("a\u200bb", "ab"),
        ("−3–4", "-3-4"),
        ("“a” ‘b’", "\"a\" 'b'"),
        ("１２＋３", "12+3"),
        ("！＂＃１．５，｛ａ｝", '!"#1.5,{a}'),  # the full-width forms of ASCII
        ("－３", "-3"),
        ("～ ｟", "～ ｟"),  # what lies beside them
        ("2×3", r"2\times 3"),
        ("6÷2⁄1", "6/2/1"),
        ("x²+y³", "x^2+y^3"),
        ("1½", "1 1/2"),
        ("⅔", "2/3"),
        ("30º", "30°"),
        ("≤ ≥ ± ∞ ∪ ∈", r"\le \ge \pm \infty \cup \in"),
        ("≈3", "=3"),
        (r"\text{ cm}", "cm"),
        (r"12\text{ cm}", "12 cm"),
        (r"\boxed{\mathbf{x}}", "x"),
        (r"\textbf {x y}", "x y"),
        (r"\left(1, 2\right)", "(1, 2)"),
        (r"\bigl[1\bigr]", "[1]"),
        (r"\leftarrow", r"\leftarrow"),
        (r"\dfrac12 \tfrac34", r"\frac12 \frac34"),
        (r"1{,}000\,000", "1,000,000"),
        (r"a\;b\quad c", "a b c"),
        (r"30^\circ", "30°"),
        (r"30^{ \circ }", "30°"),
        (r"\cos{30^\circ}", r"\cos{30°}"),  # the brace is the cosine's
        (r"\frac{x}{30^{\circ}}", r"\frac{x}{30°}"),
        (r"45\degree", "45°"),
        (r"x \approx 3", "x = 3"),
        (r"1, 2, \ldots, 9", "1, 2, ..., 9"),
        (r"50\%", "50%"),
        ("x**2", "x^2"),
        ("2pi", r"2\pi"),
        ("pie", "pie"),
        ("√2", r"\sqrt{2}"),
        ("√(x+1)", r"\sqrt{x+1}"),
        ("sqrt(x)", r"\sqrt{x}"),
        ("**12**", "12"),
        ("__12__", "12"),
        ("`12`", "12"),
        ('"red"', "red"),
        ("'red'", "red"),
        (r"\(x\)", "x"),
        (r"\[x\]", "x"),
        ("(12)", "12"),
        ("{12}", "12"),
        ("((12))", "12"),
        ("(1, 2)", "(1, 2)"),
        ("(1) + (2)", "(1) + (2)"),
        ("( )", "( )"),
        ("()", "()"),
        ("(1]", "(1]"),
        ('"a" or "b"', '"a" or "b"'),
        ("****", "****"),
        ("$x$", "x"),
        ("$$x$$", "x"),
        ("$12", "$12"),
        (r"\$12", "$12"),
        (r"$\$12$", "$12"),
        ("12.", "12"),
        ("12,;:.", "12"),
        ("1.5", "1.5"),
        (".5", ".5"),
    ],
)
def test_plain(text: str, plain: str) -> None:
    assert normalise(text) == plain
    assert normalise(plain) == plain
