"""What the interpreter and the C library are told once, when a process begins to serve."""

import ctypes
import gc
from contextlib import suppress
from typing import Final

_M_TRIM_THRESHOLD: Final = -1
_M_MMAP_THRESHOLD: Final = -3
_LARGE_BLOCK: Final = 1 << 20
YOUNG: Final = 10_000
"""Objects, more than 64 requests in flight hold, after which the collector looks for cycles."""


def tune_gc() -> None:
    """Keep what start made out of the collector's sight, and let it look for cycles seldom.

    A full pass over what start made takes 36 ms. What requests in flight hold is no garbage, and
    looking through it each 700 objects is 2 % of a request; those that are over leave no cycles.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG, 10, 10)


def tune_malloc() -> None:
    """Let large bodies go back to the system when they are freed.

    glibc keeps blocks of up to 32 MiB for itself once it has seen one freed, in an arena for each
    thread: some refused bodies of that size took the process from 50 to 300 MB for good.
    """
    with suppress(AttributeError):  # another C library
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(_M_MMAP_THRESHOLD, _LARGE_BLOCK)
        mallopt(_M_TRIM_THRESHOLD, 4 * _LARGE_BLOCK)
