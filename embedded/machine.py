"""Settings of the process that a training run is quick with."""

import ctypes
import sys

import torch

_M_TRIM_THRESHOLD, _M_TOP_PAD, _M_MMAP_THRESHOLD = -1, -2, -3
"""glibc's malloc.h."""


def prepare(threads: int | None) -> None:
    """Set torch's threads and let the heap keep what it has.

    A step on a CPU allocates and frees the same few hundred megabytes again and again; by default
    glibc hands them back to the system each time, which costs about a third of the step.

    Args:
        threads: CPU threads; None leaves torch's choice.
    """
    if threads:
        torch.set_num_threads(threads)
    if not sys.platform.startswith("linux"):
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        return
    mallopt(_M_MMAP_THRESHOLD, 32 << 20)
    mallopt(_M_TRIM_THRESHOLD, (1 << 31) - 1)
    mallopt(_M_TOP_PAD, 512 << 20)
