# SPDX-License-Identifier: Apache-2.0
"""How the C library keeps memory for engines that compute in this process. Knows no array library."""

from __future__ import annotations

import contextlib
import ctypes
import os
import sys
import time
from collections.abc import Callable
from typing import Any

from nyala.core.alignment import resident


def keep_freed_memory() -> None:
    """Tell glibc to reuse large blocks instead of giving them back: a train step otherwise faults the pages of its temporaries in anew each time.

    NYALA_MALLOC=default in the environment leaves the settings alone."""
    if sys.platform != "linux" or os.environ.get("NYALA_MALLOC") == "default":
        return
    with contextlib.suppress(OSError, AttributeError):
        library = ctypes.CDLL(None)
        library.gnu_get_libc_version  # noqa: B018  another C library has none, and other meanings for the numbers below
        library.mallopt(-4, 0)  # M_MMAP_MAX
        library.mallopt(-1, 2**31 - 1)  # M_TRIM_THRESHOLD
        library.mallopt(-8, 1)  # M_ARENA_MAX: the other arenas cannot hold blocks beyond 64 MiB, and map those anew each time


class Leftovers:
    """Large blocks that lie free while a program runs: it has all it needs, so that what is free then is of no use to it.

    Programs take their temporaries as one block. The C library (before glibc 2.38) reuses a free one only if it is larger by some bytes of alignment,
    which the block that the same program freed before may miss by a hair: the process grew by another block then, and another. They cannot be given
    back between two runs, where the right one would be lost, too, and its pages faulted in anew; so this looks while the host waits for a run.
    Where it comes to that again and again, memory is worth less than the time it takes. Linux with glibc 2.33 or newer.
    """

    SECONDS = 0.25  # for which nothing is watched after a wait that was too short for a look
    MILLISECONDS = 20  # between two looks; a program that ran for so long has taken its memory
    LEAST = 256 << 20  # bytes by which the process must have grown at first
    PATIENCE = 1.5  # how many times as many it takes the next time

    def __init__(self) -> None:
        self._next = 0.0
        self._least = self.LEAST
        self._kept = 0  # bytes in memory when all that was free had been given back
        self._usage = _find_usage()

    def watch(self, done: Callable[[], bool]) -> None:
        """Call this when a program was started and the host is about to wait for it; done: whether it has ended."""
        if self._usage is None or time.monotonic() < self._next:
            return
        looked = False
        while not done():
            for _ in range(self.MILLISECONDS):
                time.sleep(0.001)
                if done():
                    break
            else:
                looked = True
                self._look(*self._usage)
        if not looked:
            self._next = time.monotonic() + self.SECONDS

    def _look(self, library: Any, usage: Callable[[], Any]) -> None:
        before = resident()
        self._kept = min(self._kept, before)
        if before - self._kept > self._least:
            if usage().fordblks > self._least:
                library.malloc_trim(0)
            self._kept = resident()
            if before - self._kept > self._least // 2:  # otherwise it was memory in use
                self._least = int(self._least * self.PATIENCE)


class _Usage(ctypes.Structure):
    """What mallinfo2 answers; fordblks are the bytes that are free, uordblks those in use."""

    _names = ("arena", "ordblks", "smblks", "hblks", "hblkhd", "usmblks", "fsmblks", "uordblks", "fordblks", "keepcost")
    _fields_ = [(name, ctypes.c_size_t) for name in _names]


def _find_usage() -> tuple[Any, Callable[[], Any]] | None:
    """The C library and its function that tells what is free; None where there is none, or its settings are to be left alone."""
    if sys.platform == "linux" and os.environ.get("NYALA_MALLOC") != "default":
        with contextlib.suppress(OSError, AttributeError):
            library = ctypes.CDLL(None)
            library.mallinfo2.restype = _Usage
            return library, library.mallinfo2
    return None
