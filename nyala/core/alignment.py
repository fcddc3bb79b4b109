# SPDX-License-Identifier: Apache-2.0
"""Arrays of the host that lie in memory as engines want them, and what is left of those that are gone. Knows NumPy and the C library alone."""

from __future__ import annotations

import ctypes
import math
import mmap
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

ALIGNMENT = 64  # bytes, as engines want their arrays


# NumPy asks Linux for pages of 2 MiB, which looks for such room, or makes it, at the first touch: 4 ms each where memory is in pieces, so that
# reading a model of 500 MB took 1 s instead of 0.3. NumPy's switch (in the environment: NUMPY_MADVISE_HUGEPAGE) is one it promises nothing about.
_inside: Any = np
_huge_pages: Callable[[bool], bool] = getattr(_inside._core.multiarray, "_set_madvise_hugepage", lambda wanted: wanted)


def aligned(shape: Sequence[int], dtype: np.dtype) -> np.ndarray:
    """An empty array that an engine may take over as it is; one that it does not take leaves a hole in memory in which the next one fits.

    >>> aligned((2, 3), np.dtype("float32")).ctypes.data % ALIGNMENT
    0
    """
    size = math.prod(shape) * dtype.itemsize
    before = _huge_pages(False)
    try:
        block = np.empty(size + ALIGNMENT, "uint8")
    finally:
        _huge_pages(before)
    start = -block.ctypes.data % ALIGNMENT
    return block[start : start + size].view(dtype).reshape(shape)


class Replacing:
    """While large arrays take the place of others, one by one: what is freed and does not fit the next ones goes back to the system.

    Blocks of the same size can differ by a few bytes, and the C library takes the smallest gap that fits, not the last one: a model would
    otherwise grow by any number of its arrays while new weights are read into it. Does nothing where the system is not Linux with glibc."""

    LEAST = 32 << 20  # bytes more than at the start, from which it is worth a look

    def __init__(self) -> None:
        self._before = resident()

    def replaced(self, size: int) -> None:
        """An array took the place of one of as many bytes, which is free now. A gap of that size, and a quarter more, may stay for the next."""
        if size >= 1 << 20 and resident() - self._before > max(self.LEAST, size * 5 // 4):
            trim(0)


def _find_trim() -> Callable[[int], Any]:
    """The function of the C library that gives back what is free. It is looked up once: while a hostile file is read, nothing is."""
    try:
        return ctypes.CDLL(None).malloc_trim
    except (OSError, AttributeError, TypeError):  # another C library has no such function
        return lambda size: None


trim = _find_trim()


def resident() -> int:
    """Bytes of this process that are in memory; 0 where the system does not tell."""
    try:
        with open("/proc/self/statm", encoding="ascii") as file:
            return int(file.read().split()[1]) * mmap.PAGESIZE
    except (OSError, IndexError, ValueError):
        return 0
