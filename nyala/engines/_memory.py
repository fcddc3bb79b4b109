# SPDX-License-Identifier: Apache-2.0
"""How the C library keeps memory for engines that compute in this process. Knows no array library."""

from __future__ import annotations

import contextlib
import ctypes
import os
import sys


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
