# SPDX-License-Identifier: Apache-2.0
"""What primitives must give, in plain NumPy in float64: written for being obviously right, one loop more than needed, never fast.

Knows no engine. Each function takes the arguments of the primitive of its name.
"""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np


def _taps(sizes: tuple, kernel: tuple, strides: tuple, padding: Any, dilation: tuple) -> Any:
    """(position in the kernel, slices of the padded input that it meets) for each tap."""
    counts = [(n + sum(p) - d * (k - 1) - 1) // s + 1 for n, k, s, p, d in zip(sizes, kernel, strides, padding, dilation, strict=True)]
    for tap in itertools.product(*map(range, kernel)):
        yield tap, tuple(slice(t * d, t * d + (m - 1) * s + 1, s) for t, d, m, s in zip(tap, dilation, counts, strides, strict=True))


def _padded(x: np.ndarray, padding: Any, value: float = 0) -> np.ndarray:
    return np.pad(x, [(0, 0), *padding, (0, 0)], constant_values=value)


def _whole_kernel(kernel: np.ndarray, groups: int) -> np.ndarray:
    """The kernel of groups as one of all input channels, zero between the groups."""
    depth, outputs = kernel.shape[-2], kernel.shape[-1]
    whole = np.zeros((*kernel.shape[:-2], depth * groups, outputs))
    for g in range(groups):
        columns = slice(g * outputs // groups, (g + 1) * outputs // groups)
        whole[..., g * depth : (g + 1) * depth, columns] = kernel[..., columns]
    return whole


def conv(x: Any, kernel: Any, strides: Any, padding: Any, dilation: Any, groups: int) -> np.ndarray:
    whole, padded = _whole_kernel(kernel, groups), _padded(x, padding)
    parts = _taps(x.shape[1:-1], kernel.shape[:-2], strides, padding, dilation)
    return sum(padded[(slice(None), *place)] @ whole[tap] for tap, place in parts)  # type: ignore[return-value]


def conv_input_gradient(g: Any, kernel: Any, input_shape: Any, strides: Any, padding: Any, dilation: Any, groups: int) -> np.ndarray:
    whole, padded = _whole_kernel(kernel, groups), _padded(np.zeros(input_shape), padding)
    for tap, place in _taps(input_shape[1:-1], kernel.shape[:-2], strides, padding, dilation):
        padded[(slice(None), *place)] += g @ whole[tap].T
    return padded[(slice(None), *(slice(before, before + n) for (before, _), n in zip(padding, input_shape[1:-1], strict=True)))]


def conv_kernel_gradient(x: Any, g: Any, kernel_shape: Any, strides: Any, padding: Any, dilation: Any, groups: int) -> np.ndarray:
    padded, result = _padded(x, padding), np.zeros(kernel_shape)
    depth, outputs = kernel_shape[-2], kernel_shape[-1]
    for tap, place in _taps(x.shape[1:-1], kernel_shape[:-2], strides, padding, dilation):
        whole = padded[(slice(None), *place)].reshape(-1, x.shape[-1]).T @ g.reshape(-1, outputs)
        for i in range(groups):
            columns = slice(i * outputs // groups, (i + 1) * outputs // groups)
            result[tap][:, columns] = whole[i * depth : (i + 1) * depth, columns]
    return result


def max_pool(x: Any, window: Any, strides: Any, padding: Any) -> np.ndarray:
    padded = _padded(x, padding, -np.inf if x.dtype.kind == "f" else np.iinfo(x.dtype).min)
    return np.max([padded[(slice(None), *place)] for _, place in _taps(x.shape[1:-1], window, strides, padding, (1,) * len(window))], axis=0)


def sum_pool(x: Any, window: Any, strides: Any, padding: Any) -> np.ndarray:
    padded = _padded(x, padding)
    return np.sum([padded[(slice(None), *place)] for _, place in _taps(x.shape[1:-1], window, strides, padding, (1,) * len(window))], axis=0)


def scatter(x: Any, indices: Any, updates: Any, mode: str) -> np.ndarray:
    result = x.copy()
    change = {"set": lambda a, b: b, "add": np.add, "multiply": np.multiply, "max": np.maximum, "min": np.minimum}[mode]
    for index, update in zip(indices, updates, strict=True):
        result[tuple(index)] = change(result[tuple(index)], update)
    return result


def _start(starts: Any, sizes: Any, shape: Any) -> tuple:
    return tuple(slice(s := max(0, min(int(start), n - size)), s + size) for start, size, n in zip(starts, sizes, shape, strict=True))


def dynamic_slice(x: Any, starts: Any, sizes: Any) -> np.ndarray:
    return x[_start(starts, sizes, x.shape)]


def dynamic_update_slice(x: Any, update: Any, starts: Any) -> np.ndarray:
    result = x.copy()
    result[_start(starts, update.shape, x.shape)] = update
    return result


def top_k(x: Any, k: int) -> tuple[np.ndarray, np.ndarray]:
    """By Python's stable sort on (nan first, then larger first)."""
    indices = np.empty((*x.shape[:-1], k), np.int32)
    for row in np.ndindex(x.shape[:-1]):
        indices[row] = sorted(range(x.shape[-1]), key=lambda i, row=row: (not np.isnan(x[row][i]), -float(x[row][i])))[:k]
    return np.take_along_axis(x, indices, -1), indices


def threefry(key: tuple[int, int], counter: tuple[int, int]) -> tuple[int, int]:
    """Threefry-2x32 with 20 rounds on Python integers.

    Source: Salmon, Moraes, Dror, Shaw 2011, Parallel random numbers: as easy as 1, 2, 3.

    >>> [hex(word) for word in threefry((0, 0), (0, 0))]
    ['0x6b200159', '0x99ba4efe']
    """
    mask = 0xFFFFFFFF
    keys = (*key, key[0] ^ key[1] ^ 0x1BD11BDA)
    a, b = (counter[0] + keys[0]) & mask, (counter[1] + keys[1]) & mask
    for turn in range(20):
        rotation = (13, 15, 26, 6, 17, 29, 16, 24)[turn % 8]
        a = (a + b) & mask
        b = ((b << rotation | b >> (32 - rotation)) & mask) ^ a
        if turn % 4 == 3:
            n = turn // 4 + 1
            a, b = (a + keys[n % 3]) & mask, (b + keys[(n + 1) % 3] + n) & mask
    return a, b


def random_bits(key: Any, shape: Any) -> np.ndarray:
    words = [threefry((int(key[0]), int(key[1])), (n >> 32, n & 0xFFFFFFFF)) for n in range(math.prod(shape))]
    return np.array([a ^ b for a, b in words], np.uint32).reshape(shape)
