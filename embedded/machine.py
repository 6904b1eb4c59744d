"""Settings of the process that a training run is quick with."""

import ctypes
import sys

import torch

_M_TRIM_THRESHOLD, _M_TOP_PAD, _M_MMAP_THRESHOLD = -1, -2, -3
"""glibc's malloc.h."""


def prepare(threads: int | None) -> None:
    """Set torch's threads and let the heap keep what it has.

    A step on a CPU allocates and frees the same memory again and again; by default glibc hands it
    back to the system each time, which takes a good part of a step. Here the process keeps what it
    has (3 to 6 GB in the shipped recipes) until it ends.

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
