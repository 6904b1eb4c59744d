"""The process in which math-verify runs; started by `catts.answers.math_process`, never imported.

It imports math-verify once, then forks a child for every comparison. A child that exceeds its CPU
time is ended by the kernel (even inside a big-integer power, where no Python handler would run),
and one that exceeds its memory ends alone; the next comparison forks anew at no cost.

Protocol: it writes `ready`; for each line `{"a": ..., "b": ..., "cpu_s": ...}` it writes one of
`equal`, `different`, `timeout`, `memory`. It ends when its input does.
"""

import json
import logging
import os
import resource
import signal
import sys
from typing import Any

_EQUAL, _DIFFERENT, _MEMORY = 10, 11, 12
_WORDS = {_EQUAL: "equal", _DIFFERENT: "different", _MEMORY: "memory"}
_WARM_UP = (
    (r"\frac{\sqrt{2}}{2}+3x^2", r"\frac{1}{\sqrt{2}}+3x^2"),
    ("(x+1)^2", "x^2+2x+1"),
    ("x>1", "2<x"),
    ("(1,2]", "[1,2]"),
    (r"\{1,2\}", "1,2"),
    (r"\sin 30^\circ", r"\log_2 8"),
)
"""Comparisons that load what sympy and the parser load late, so that no child pays for it."""


def main() -> None:
    """Serve comparisons from standard input until it closes; the argument is the memory limit."""
    memory = int(sys.argv[1])
    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    replies = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    logging.disable(logging.CRITICAL)
    for a, b in _WARM_UP:
        _equal(a, b)
    replies.write("ready\n")
    for line in sys.stdin:
        replies.write(_in_child(json.loads(line)) + "\n")


def _in_child(request: dict[str, Any]) -> str:
    child = os.fork()
    if child == 0:
        code = _DIFFERENT
        try:
            signal.signal(signal.SIGPROF, signal.SIG_DFL)
            signal.setitimer(signal.ITIMER_PROF, request["cpu_s"])
            code = _EQUAL if _equal(request["a"], request["b"]) else _DIFFERENT
        except MemoryError:
            code = _MEMORY
        except BaseException:
            code = _DIFFERENT
        finally:
            os._exit(code)
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        return "timeout" if os.WTERMSIG(status) == signal.SIGPROF else "memory"
    return _WORDS.get(os.WEXITSTATUS(status), "memory")


def _equal(a: str, b: str) -> bool:
    from math_verify import LatexExtractionConfig, parse, verify

    def parsed(text: str) -> Any:
        return parse(f"${text}$", [LatexExtractionConfig()], parsing_timeout=None)

    left, right = parsed(a), parsed(b)
    return bool(
        verify(left, right, timeout_seconds=None) or verify(right, left, timeout_seconds=None)
    )


if __name__ == "__main__":
    main()
