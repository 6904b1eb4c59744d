"""Grading: right answers that look wrong, wrong answers that look right, and hostile ones."""

import asyncio
import logging
import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from catts.answers import canonical, compare, equivalent, is_correct, math_process
from catts.answers.math_process import MATH, MathProcess
from catts.errors import AnswerTimeoutError
from catts.question import Question

FREE = Question(text="What is the value?")
PERCENT = Question(text="What percentage is shaded?")
LINE = Question(text="What is the equation of the line?")
COUNT = Question(text="How many fruits are there?")
NUMBERS = Question(text="Which number?", choices=("2", "4", "6", "8"))
SHIFTED = Question(text="Which number?", choices=("4", "3", "2", "1"))
ROOTS = Question(text="Which root?", choices=(r"\frac{\sqrt{2}}{2}", r"\sqrt{3}", "2"))
LENGTHS = Question(text="How long?", choices=("12 cm", "12 m", "13 cm"))

RIGHT: list[tuple[Question, str, str]] = [
    (FREE, "0.5", "1/2"),
    (FREE, "50%", "1/2"),
    (FREE, "0.333333", "1/3"),
    (FREE, r"\frac{\sqrt{2}}{2}", r"1/\sqrt{2}"),
    (FREE, "sqrt(8)", r"2\sqrt{2}"),
    (FREE, "(x+1)^2", "x^2 + 2x + 1"),
    (FREE, "2x", r"x \cdot 2"),
    (FREE, "x = 3", "3"),
    (FREE, "3", "x=3"),
    (FREE, "y = 2x + 1", "2x+1"),
    (FREE, "12 cm", "12"),
    (FREE, "12", "12 centimeters"),
    (FREE, "12 cm", "12 centimetres"),
    (FREE, r"12\text{ cm}^2", "12 square centimeters"),
    (FREE, "−3", "-3"),
    (FREE, "1.5e3", "1500"),
    (FREE, r"1.5 \times 10^{3}", "1,500"),
    (FREE, "2^{10}", "1024"),
    (FREE, "5!", "120"),
    (FREE, r"\{1, 2\}", r"\{2, 1\}"),
    (FREE, "1, 2", "2, 1"),  # the two roots, in any order
    (FREE, r"\pm 2", "2, -2"),
    (FREE, "(1, 0.5)", "(1, 1/2)"),
    (FREE, "[0, 1)", r"\left[0, 1\right)"),
    (FREE, "x > 3", "3 < x"),
    (FREE, r"(3, \infty)", "x > 3"),  # math-verify sees this one way round only
    (FREE, "x > 3", r"(3, \infty)"),
    (FREE, r"30^\circ", "30 degrees"),
    (FREE, "30°+x", "x+30"),
    (FREE, r"\sin 30^\circ", r"\frac{1}{2}"),
    (FREE, r"2\cos{60^{\circ}}", "1"),
    (FREE, r"\tan(22.5°)", r"\sqrt{2}-1"),
    (FREE, r"\sin^2 30^\circ", r"\frac14"),
    (FREE, r"\frac{180^\circ}{n}", "180/n"),
    (FREE, "x^2 3", "3x^2"),
    (FREE, "2π", r"2\pi"),
    (FREE, "The red circle.", "red circle"),
    (FREE, "YES", "yes"),
    (FREE, "b)", "B"),
    (FREE, r"\log_{10} 100", "2"),
    (FREE, "2:3", "2/3"),
    (PERCENT, "50%", "50"),
    (PERCENT, "0.5", "50%"),
    (COUNT, "12 apples", "12"),
    (LINE, "y = 2x + 1", "y=1+2x"),
    (NUMBERS, "4", "B"),
    (NUMBERS, "(b)", "4"),
    (NUMBERS, "B", "b)"),
    (NUMBERS, r"2^2", "B"),
    (SHIFTED, "4", "A"),
    (ROOTS, r"1/\sqrt{2}", "A"),
    (ROOTS, "A", r"\frac{1}{\sqrt{2}}"),
    (LENGTHS, "12 cm", "A"),
]

WRONG: list[tuple[Question, str, str]] = [
    (FREE, "12", "112"),
    (FREE, "112", "12"),
    (FREE, "1", "12"),
    (FREE, "0.33", "1/3"),
    (FREE, "1e-7", "2e-7"),  # equal when rounded to six places
    (FREE, "1000000", "1000001"),
    (FREE, "50", "0.5"),
    (FREE, "50%", "50"),
    (FREE, "-3", "3"),
    (FREE, "12 cm", "12 m"),
    (FREE, "12 cm", "12 cm^2"),
    (FREE, "$5", "€5"),
    (FREE, "x = 3", "y = 3"),
    (FREE, "3 < x", "x < 3"),
    (FREE, "(1, 2)", "(2, 1)"),
    (FREE, "[0, 1)", "[0, 1]"),
    (FREE, "(0, 1)", "[0, 1]"),
    (FREE, r"\{1, 2\}", r"\{1, 2, 3\}"),
    (FREE, "listen", "silent"),  # as products of letters these are equal
    (FREE, "red", "red circle"),
    (FREE, "not red", "red"),
    (FREE, "yes", "no"),
    (FREE, "a/b", "b/a"),
    (FREE, "3.14", r"\pi"),
    (FREE, r"\sin 30^\circ", r"\sin 30"),
    (FREE, "x^2 3", "x^{23}"),
    (FREE, r"\pm 2", "2"),
    (FREE, "7 am", "7 pm"),
    (FREE, "3 million", "3"),
    (FREE, "2^{10}", "1023"),
    (FREE, "", "0"),
    (FREE, "I cannot tell", "0"),
    (PERCENT, "0.5", "50"),
    (LINE, "x = 3", "y = 3"),
    (NUMBERS, "4", "A"),
    (NUMBERS, "4", "D"),  # the fourth choice is not the choice 4
    (NUMBERS, "5", "B"),
    (NUMBERS, "E", "B"),
    (NUMBERS, "A and B", "A"),
    (NUMBERS, "(A) or (B)", "B"),
    (SHIFTED, "4", "D"),
    (SHIFTED, "1", "A"),
    (ROOTS, r"\sqrt{2}", "A"),
    (LENGTHS, "12 m", "A"),
]


@pytest.mark.parametrize(("question", "answer", "gold"), RIGHT)
def test_right_though_it_looks_wrong(question: Question, answer: str, gold: str) -> None:
    assert equivalent(answer, gold, question)
    assert equivalent(gold, answer, question)


@pytest.mark.parametrize(("question", "answer", "gold"), WRONG)
def test_wrong_though_it_looks_right(question: Question, answer: str, gold: str) -> None:
    comparison = compare(answer, gold, question)
    assert comparison == (False, comparison.method, None)
    assert not equivalent(gold, answer, question)


@pytest.mark.parametrize(
    ("question", "answer", "gold", "equal"),
    [
        (FREE, "0.5", "1/2", True),
        (NUMBERS, "B", "b)", True),
        (NUMBERS, "B", "A", False),
        (FREE, "12 cm", "12 m", False),
        (FREE, "red", "red circle", False),
        (FREE, "12", "112", False),
    ],
)
def test_plain_answers_are_compared_without_algebra(
    question: Question, answer: str, gold: str, equal: bool
) -> None:
    assert compare(answer, gold, question) == (equal, "canonical", None)


def test_a_completion_is_graded_by_what_it_boxes() -> None:
    completion = r"<think>112 is too many</think>\boxed{\frac{24}{2}\text{ cm}}"
    assert is_correct(completion, "12", FREE)
    assert not is_correct(completion, "112", FREE)
    assert not is_correct("I see 12 of them somewhere in there.", "12", FREE)
    assert is_correct("The answer is (B).", "4", NUMBERS)


_ANSWERS = st.sampled_from([text for _, a, b in (*RIGHT, *WRONG) for text in (a, b)])


@settings(deadline=None)
@given(st.one_of(_ANSWERS, st.text(max_size=60)))
def test_every_answer_is_equivalent_to_itself(answer: str) -> None:
    for question in (FREE, PERCENT, NUMBERS):
        assert compare(answer, answer, question) == (True, "canonical", None)


@settings(max_examples=60, deadline=None)
@given(_ANSWERS, _ANSWERS, st.sampled_from([FREE, PERCENT, LINE, NUMBERS, LENGTHS]))
def test_equivalence_is_symmetric(a: str, b: str, question: Question) -> None:
    assert compare(a, b, question) == compare(b, a, question)


@settings(deadline=None)
@given(st.one_of(_ANSWERS, st.text(max_size=40)))
def test_an_answer_is_equivalent_to_its_key(answer: str) -> None:
    for question in (FREE, PERCENT, LINE, COUNT, NUMBERS):
        assert compare(canonical(answer, question), answer, question).equal


def _warm() -> None:
    assert compare("(a+1)^2", "a^2+2a+1", FREE) == (True, "math_verify", None)


@pytest.mark.parametrize(
    "answer",
    [
        "9**9**9**9",
        r"10^{10^{10}}",
        r"10^{10^{10^{10}}}+1",
        "x^{99^{99}}+(x+1)^{999}",
        "(x+y+z+1)^{900}",
        "99999!!",
        "((999!)!)!+x",
        "(999!)!",
        r"\sum_{n=1}^{999} \prod_{m=1}^{999} \sin(n^m x)",
        r"\int_0^1 \sin(\cos(\tan(x^x)))^{x^{x^x}} dx",
        r"\sqrt{" * 200 + "x" + "}" * 200,
        "(" * 150 + "x+1" + ")" * 150,
        "(" * 20_000,
        "x+" * 500_000,
        "9" * 1_000_000,
        r"\frac{1}{" * 20 + "x" + "}" * 20,
        "x!" * 100,
    ],
)
def test_an_answer_built_to_hang_costs_about_a_second(answer: str) -> None:
    _warm()
    worker = MATH._process
    assert worker is not None
    here, there = time.process_time(), _cpu_of_comparisons(worker.pid)
    assert not equivalent(answer, "x^2+1", FREE)
    # Seconds of CPU, here and in the worker, so that a busy machine cannot fail the test.
    assert time.process_time() - here < 0.5
    assert _cpu_of_comparisons(worker.pid) - there < 1.5
    _warm()
    assert worker is MATH._process, "the worker had to be replaced"


def _cpu_of_comparisons(worker: int) -> float:
    """CPU seconds of the children that the worker has waited for (`cutime` and `cstime`)."""
    fields = Path(f"/proc/{worker}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[13]) + int(fields[14])) / os.sysconf("SC_CLK_TCK")


def test_what_is_too_long_or_too_deep_is_not_compared() -> None:
    refused = "an answer is too long or too deeply nested to compare"
    longest = "x" + "+1" * 199 + "0"
    assert len(longest) == 400
    assert compare(longest, "x+208", FREE) == (True, "math_verify", None)
    assert compare(longest + "0", "x+298", FREE) == (False, "math_verify", refused)
    deepest = "x+" + "(x+" * 24 + "1" + ")" * 24
    assert compare(deepest, "25x+1", FREE) == (True, "math_verify", None)
    assert compare(f"x+({deepest})", "26x+1", FREE) == (False, "math_verify", refused)


def test_a_timeout_is_visible(caplog: pytest.LogCaptureFixture) -> None:
    answer = "x^{99^{99}}+(x+1)^{999}"
    comparison = compare(answer, "x+1", FREE)
    assert comparison == (False, "math_verify", "comparing two answers took more than 1 s")
    with caplog.at_level(logging.WARNING, logger="catts.answers.equivalence"):
        assert not equivalent(answer, "x+1", FREE)
    (told,) = caplog.records
    assert told.name == "catts.answers.equivalence"
    assert told.getMessage() == (
        "comparing two answers took more than 1 s; they count as different"
    )


def test_the_worker_raises_its_own_error() -> None:
    with pytest.raises(AnswerTimeoutError):
        MATH.equal("x^{99^{99}}+(x+1)^{999}", "x+1")
    assert MATH.equal("x+1", "1+x")


def test_a_worker_that_hangs_or_dies_is_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    process = MathProcess()
    try:
        assert process.equal("x+1", "1+x")
        stopped = process._process
        assert stopped is not None
        monkeypatch.setattr(math_process, "_WALL_LIMIT_S", 0.5)
        os.kill(stopped.pid, signal.SIGSTOP)
        with pytest.raises(AnswerTimeoutError):
            process.equal("x+1", "1+x")
        assert stopped.poll() is not None
        assert stopped.stdin is not None
        assert stopped.stdout is not None
        assert stopped.stdin.closed
        assert stopped.stdout.closed
        monkeypatch.undo()
        assert process.equal("x+1", "1+x")
        killed = process._process
        assert killed is not None
        os.kill(killed.pid, signal.SIGKILL)
        killed.wait()
        assert process.equal("x+1", "1+x")
    finally:
        process.close()
        process.close()


def test_threads_get_their_own_replies() -> None:
    def graded(n: int) -> tuple[bool, bool]:
        return equivalent(f"(x+{n})^2", f"x^2+{2 * n}x+{n * n}", FREE), equivalent(
            f"(x+{n})^2", f"x^2+{n * n}", FREE
        )

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(graded, range(1, 13))) == [(True, False)] * 12


async def test_an_event_loop_keeps_running_meanwhile() -> None:
    _warm()
    grading = asyncio.create_task(
        asyncio.to_thread(equivalent, "x^{99^{99}}+(x+1)^{999}", "x+1", FREE)
    )
    ticks = 0
    while not grading.done():
        await asyncio.sleep(0.02)
        ticks += 1
    assert not await grading
    assert ticks > 5


def test_a_forked_child_has_a_worker_of_its_own() -> None:
    code = """
import os, sys
from catts.answers.math_process import MATH
assert MATH.equal("x+1", "1+x")
parents = MATH._process.pid
child = os.fork()
if child == 0:
    own = MATH.equal("2x", "x+x") and MATH._process.pid != parents
    MATH.close()
    os._exit(0 if own else 1)
_, status = os.waitpid(child, 0)
assert os.waitstatus_to_exitcode(status) == 0 and MATH.equal("3x", "x+2x")
print(parents)
"""
    _assert_ended(subprocess.run([sys.executable, "-c", code], stdout=subprocess.PIPE, check=True))


def test_the_worker_ends_though_the_process_was_killed() -> None:
    code = (
        "import os; from catts.answers.math_process import MATH; MATH.equal('x+1', '1+x');"
        "print(MATH._process.pid, flush=True); os.kill(os.getpid(), 9)"
    )
    _assert_ended(subprocess.run([sys.executable, "-c", code], stdout=subprocess.PIPE, check=False))


def _assert_ended(process: subprocess.CompletedProcess[bytes]) -> None:
    worker, end = int(process.stdout), time.monotonic() + 30
    while _alive(worker):
        assert time.monotonic() < end
        time.sleep(0.05)


def _alive(pid: int) -> bool:
    """Whether a process runs; a zombie has ended, whoever reaps it."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False
