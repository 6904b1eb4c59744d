r"""The number that a LaTeX expression without variables stands for, found without running anything.

A recursive-descent parser over a small grammar: decimals and thousands separators, percents, + - *
/ : ^ !, `\times \cdot \div`, `\frac`, `\sqrt[n]{}`, `\pi`, brackets, products without a sign
(`2\sqrt{3}`), and sin, cos, tan, exp, ln, log. Text is bounded in length and depth, and powers and
factorials in size, so every value takes little time.
"""

import math
import re

_MAX_CHARS = 400
_MAX_DEPTH = 24
_MAX_BITS = 4096
_MAX_FACTORIAL = 170
_TOKEN = re.compile(
    r"\s*(?:(?P<number>(?:\d{1,3}(?:,\d{3})+(?!\d)|\d+)(?:\.\d+)?|\.\d+)(?P<percent>\\%)?"
    r"|(?P<command>\\[a-zA-Z]+)|(?P<sign>[-+*/:^!(){}\[\]]))\s*"
)
_IGNORED = re.compile(
    r"\$|\\(?:left|right|boxed|displaystyle|quad|qquad)(?![a-zA-Z])|\\[,!;: ]|\^\{?\\circ\}?"
)
_CLOSING = {"(": ")", "{": "}", "[": "]"}
_FUNCTIONS = {
    r"\sin": math.sin,
    r"\cos": math.cos,
    r"\tan": math.tan,
    r"\exp": math.exp,
    r"\ln": math.log,
    r"\log": math.log10,
}
_TIMES, _DIVIDED = ("*", r"\times", r"\cdot"), ("/", ":", r"\div")


def latex_value(text: str) -> float | int | None:
    """The value of an expression; None when it has a variable, is malformed, or out of bounds."""
    if len(text) > _MAX_CHARS:
        return None
    try:
        value = _Parser(_IGNORED.sub(" ", text)).value()
        return value if math.isfinite(value) else None
    except (_NoValueError, ArithmeticError, ValueError):
        return None


class _NoValueError(Exception):
    """The text is no expression of the grammar, or one that is too large."""


class _Parser:
    def __init__(self, text: str) -> None:
        self._symbols: list[str] = []
        end = 0
        while end < len(text.rstrip()):
            match = _TOKEN.match(text, end)
            if match is None:
                raise _NoValueError
            self._symbols.append(match[0].strip())
            end = match.end()
        self._at = 0
        self._depth = 0

    def value(self) -> float | int:
        value = self._sum()
        if self._at < len(self._symbols):
            raise _NoValueError
        return value

    def _next(self) -> str:
        return self._symbols[self._at] if self._at < len(self._symbols) else ""

    def _take(self) -> str:
        symbol = self._next()
        self._at += 1
        return symbol

    def _expect(self, symbol: str) -> None:
        if self._take() != symbol:
            raise _NoValueError

    def _sum(self) -> float | int:
        self._depth += 1
        if self._depth > _MAX_DEPTH:
            raise _NoValueError
        value = self._product()
        while self._next() in ("+", "-"):
            value = value + self._product() if self._take() == "+" else value - self._product()
        self._depth -= 1
        return value

    def _product(self) -> float | int:
        value = self._signed()
        while True:
            symbol = self._next()
            if symbol in _TIMES:
                self._take()
                value = _bounded(value * self._signed())
            elif symbol in _DIVIDED:
                self._take()
                value = value / self._signed()
            elif symbol in ("(", "{") or symbol.startswith("\\"):
                value = _bounded(value * self._postfix())
            else:
                return value

    def _signed(self) -> float | int:
        sign = 1
        while self._next() in ("+", "-"):
            sign = -sign if self._take() == "-" else sign
        return sign * self._postfix()

    def _postfix(self) -> float | int:
        value = self._atom()
        while self._next() in ("^", "!"):
            value = _power(value, self._argument()) if self._take() == "^" else _factorial(value)
        return value

    def _argument(self) -> float | int:
        """A group, or what else stands behind `^` or a function."""
        return self._signed() if self._next() == "-" else self._atom()

    def _atom(self) -> float | int:
        symbol = self._take()
        if symbol[:1].isdigit() or symbol[:1] == ".":
            return _number(symbol)
        if symbol in _CLOSING:
            value = self._sum()
            self._expect(_CLOSING[symbol])
            return value
        if symbol == r"\pi":
            return math.pi
        if symbol in (r"\frac", r"\dfrac", r"\tfrac"):
            top = self._group()
            return top / self._group()
        if symbol == r"\sqrt":
            root = self._group("[") if self._next() == "[" else 2
            return _power(self._group(), 1 / root)
        if symbol in _FUNCTIONS:
            return _FUNCTIONS[symbol](self._argument())
        raise _NoValueError

    def _group(self, opening: str = "{") -> float | int:
        self._expect(opening)
        value = self._sum()
        self._expect(_CLOSING[opening])
        return value


def _number(token: str) -> float | int:
    plain = token.replace(",", "")
    if plain.endswith(r"\%"):
        return float(plain[:-2]) / 100
    return float(plain) if "." in plain else int(plain)


def _power(base: float | int, exponent: float | int) -> float | int:
    if isinstance(base, int) and isinstance(exponent, int) and exponent >= 0:
        if base.bit_length() * exponent > _MAX_BITS:
            raise _NoValueError
        return int(base**exponent)
    # math.pow, since ** makes a complex number of a root of a negative one
    return math.pow(base, exponent)


def _factorial(value: float | int) -> int:
    if not isinstance(value, int) or not 0 <= value <= _MAX_FACTORIAL:
        raise _NoValueError
    return math.factorial(value)


def _bounded(value: float | int) -> float | int:
    if isinstance(value, int) and value.bit_length() > _MAX_BITS:
        raise _NoValueError
    return value
