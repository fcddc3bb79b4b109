# SPDX-License-Identifier: Apache-2.0
"""How the C library keeps memory for engines that compute in this process. Knows no array library."""

from __future__ import annotations

import contextlib
import ctypes
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

from nyala.core.alignment import resident, trim


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

    LONG = 0.05  # seconds from one wait to the next; programs that take less than that are not watched
    PAUSE = 0.02  # seconds before the first look, and between two: a program that ran for so long has taken its memory
    LEAST = 256 << 20  # bytes by which the process must have grown at first
    PATIENCE = 1.5  # how many times as many it takes the next time

    def __init__(self) -> None:
        self._started = -self.LONG
        self._least = self.LEAST
        self._kept = 0  # bytes in memory when all that was free had been given back
        self._usage = _find_usage()

    @contextlib.contextmanager
    def watching(self) -> Iterator[None]:
        """While the host waits for a program that was started: `with leftovers.watching(): wait()`."""
        now = time.monotonic()
        long, self._started = now - self._started > self.LONG, now
        if self._usage is None or not long:
            yield
            return
        ended = threading.Event()
        watcher = threading.Thread(target=self.watch, args=(ended.wait,), name="nyala-leftovers", daemon=True)
        watcher.start()
        try:
            yield
        finally:
            ended.set()
            watcher.join()  # whoever gives back between two runs gives back too much

    def watch(self, ended: Callable[[float], bool]) -> None:
        """Look now and then until it is over; ended: waits so many seconds at most, and returns whether it is."""
        while self._usage is not None and not ended(self.PAUSE):
            self._look(self._usage)

    def _look(self, usage: Callable[[], Any]) -> None:
        before = resident()
        self._kept = min(self._kept, before)
        if before - self._kept > self._least:
            if usage().fordblks > self._least:
                trim(0)
            self._kept = resident()
            if before - self._kept > self._least // 2:  # otherwise it was memory in use
                self._least = int(self._least * self.PATIENCE)


class _Usage(ctypes.Structure):
    """What mallinfo2 answers; fordblks are the bytes that are free, uordblks those in use."""

    _names = ("arena", "ordblks", "smblks", "hblks", "hblkhd", "usmblks", "fsmblks", "uordblks", "fordblks", "keepcost")
    _fields_ = [(name, ctypes.c_size_t) for name in _names]


def _find_usage() -> Callable[[], Any] | None:
    """The function of the C library that tells what is free; None where there is none, or its settings are to be left alone."""
    if sys.platform == "linux" and os.environ.get("NYALA_MALLOC") != "default":
        with contextlib.suppress(OSError, AttributeError):
            usage = ctypes.CDLL(None).mallinfo2
            usage.restype = _Usage
            return usage
    return None
