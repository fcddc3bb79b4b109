# SPDX-License-Identifier: Apache-2.0
"""Arrays of the host that lie in memory as engines want them. Knows NumPy alone."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

ALIGNMENT = 64  # bytes, as engines want their arrays


def aligned(shape: Sequence[int], dtype: np.dtype) -> np.ndarray:
    """An empty array that an engine may take over as it is; one that it does not take leaves a hole in memory in which the next one fits.

    >>> aligned((2, 3), np.dtype("float32")).ctypes.data % ALIGNMENT
    0
    """
    size = math.prod(shape) * dtype.itemsize
    block = np.empty(size + ALIGNMENT, "uint8")
    start = -block.ctypes.data % ALIGNMENT
    return block[start : start + size].view(dtype).reshape(shape)
