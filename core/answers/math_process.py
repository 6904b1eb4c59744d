"""math-verify in a process that can be killed, behind one blocking, thread-safe call."""

import atexit
import contextlib
import json
import os
import selectors
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import IO, cast

from catts.errors import AnswerTimeoutError, CattsError

CPU_LIMIT_S = 1.0
"""CPU seconds that one comparison may take. CPU time, so that a busy machine changes no grade."""

# Only for a worker that hangs without computing; generous, because a starved machine is slow too.
_WALL_LIMIT_S = 30.0
_START_LIMIT_S = 300.0
_MEMORY_BYTES = 1 << 30
_WORKER = Path(__file__).with_name("math_worker.py")


class MathProcess:
    """One worker process, started by the first comparison and restarted when it had to be killed.

    Threads take turns. A forked child of this process starts a worker of its own.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None

    def equal(self, a: str, b: str) -> bool:
        """Whether math-verify holds two LaTeX expressions for equal, tried in both directions.

        Blocks for up to about `CPU_LIMIT_S`; call it from a thread when an event loop runs.

        Raises:
            AnswerTimeoutError: the comparison exceeded its CPU time (1 s) or memory (1 GiB).
            CattsError: the worker could not be started.
        """
        request = json.dumps({"a": a, "b": b, "cpu_s": CPU_LIMIT_S}).encode() + b"\n"
        with self._lock:
            reply = self._ask(request)
        if reply == "memory":
            raise AnswerTimeoutError("comparing two answers took more than 1 GiB of memory")
        if reply == "timeout":
            raise AnswerTimeoutError(f"comparing two answers took more than {CPU_LIMIT_S:g} s")
        return reply == "equal"

    def close(self) -> None:
        """End the worker; a later comparison starts another."""
        with self._lock:
            self._stop()

    def abandon(self) -> None:
        """Forget a worker that belongs to the parent of a forked process."""
        process, self._process = self._process, None
        self._lock = threading.Lock()
        if process is not None and process.stdin and process.stdout:
            process.stdin.close()
            process.stdout.close()
            process.returncode = 0

    def _ask(self, request: bytes) -> str:
        process = self._process
        if process is None or process.poll() is not None:
            self._stop()
            process = self._start()
        try:
            cast(IO[bytes], process.stdin).write(request)
            reply = _read_line(process, _WALL_LIMIT_S)
        except BrokenPipeError:
            reply = ""
        except BaseException:
            # An interrupt between request and reply would hand this reply to the next question.
            self._stop()
            raise
        if not reply:
            self._stop()
            return "timeout"
        return reply

    def _start(self) -> subprocess.Popen[bytes]:
        environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONWARNINGS": "ignore"}
        self._process = process = subprocess.Popen(  # noqa: S603 - our own file, no shell
            [sys.executable, "-P", str(_WORKER), str(_MEMORY_BYTES)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            bufsize=0,
            env=environment,
            start_new_session=True,
        )
        try:
            started = _read_line(process, _START_LIMIT_S) == "ready"
        except BaseException:
            self._stop()
            raise
        if not started:
            self._stop()
            raise CattsError(
                "the worker that compares answers did not start; check that "
                f"`{sys.executable} -c 'import math_verify'` works"
            )
        return process

    def _stop(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        if process.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                pipe.close()
        process.wait()


def _read_line(process: subprocess.Popen[bytes], limit_s: float) -> str:
    """The worker's next line; empty when it ended or stayed silent for `limit_s` seconds."""
    replies = cast(IO[bytes], process.stdout)
    line = b""
    end = time.monotonic() + limit_s
    with selectors.DefaultSelector() as selector:
        selector.register(replies, selectors.EVENT_READ)
        while not line.endswith(b"\n"):
            left = end - time.monotonic()
            if left <= 0 or not selector.select(left):
                return ""
            chunk = os.read(replies.fileno(), 64)
            if not chunk:
                return ""
            line += chunk
    return line.decode().strip()


MATH = MathProcess()
"""The worker that all comparisons of this process share."""

atexit.register(MATH.close)
os.register_at_fork(after_in_child=MATH.abandon)
