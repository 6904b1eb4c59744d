r"""Answers: found in a completion, given one key each, compared.

`extract_answer` reads a completion, `canonical` gives an answer's key, `AnswerKeys` the keys under
which ballots are counted, units told apart, and `equivalent` compares two answers. Model output is
untrusted: text is cut, regular expressions run in linear time, and what needs algebra is compared
in a process that is ended after a second.
"""

from catts.answers.equivalence import Comparison, compare, equivalent, is_correct
from catts.answers.extraction import extract_answer
from catts.answers.keys import AnswerKeys, read_together
from catts.answers.reading import canonical

__all__ = [
    "AnswerKeys",
    "Comparison",
    "canonical",
    "compare",
    "equivalent",
    "extract_answer",
    "is_correct",
    "read_together",
]
