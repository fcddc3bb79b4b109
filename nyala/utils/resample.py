# SPDX-License-Identifier: Apache-2.0
"""Resampling of arrays along one axis, in NumPy: images that are loaded, and sound of another rate.

Each new sample is a weighted sum of a few old ones, at half-pixel centres, with weights that sum to one at the edges too. Start at resample.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from nyala.layers.arguments import as_choice


def _cubic(b: float, c: float) -> Callable[[np.ndarray], np.ndarray]:
    """The cubic kernels of Mitchell and Netravali 1988, Reconstruction filters in computer graphics."""

    def kernel(x: np.ndarray) -> np.ndarray:
        near = (12 - 9 * b - 6 * c) * x**3 + (-18 + 12 * b + 6 * c) * x**2 + 6 - 2 * b
        far = (-b - 6 * c) * x**3 + (6 * b + 30 * c) * x**2 - (12 * b + 48 * c) * x + 8 * b + 24 * c
        return np.where(x < 1, near, np.where(x < 2, far, 0)) / 6

    return kernel


def _lanczos(radius: int) -> Callable[[np.ndarray], np.ndarray]:
    return lambda x: np.where(x < radius, np.sinc(x) * np.sinc(x / radius), 0)


KERNELS: dict[str, tuple[float, Callable[[np.ndarray], np.ndarray]]] = {  # radius, and weight at a distance
    "bilinear": (1, lambda x: np.maximum(1 - x, 0)),
    "bicubic": (2, _cubic(0, 0.5)),
    "gaussian": (1.5, lambda x: np.where(x < 1.5, np.exp(-2 * x**2), 0)),
    "lanczos3": (3, _lanczos(3)),
    "lanczos5": (5, _lanczos(5)),
    "mitchellcubic": (2, _cubic(1 / 3, 1 / 3)),
}
METHODS = ("bilinear", "nearest", "bicubic", "area", "lanczos3", "lanczos5", "gaussian", "mitchellcubic")


def resample(x: np.ndarray, size: int, axis: int, method: str = "bilinear", antialias: bool = False) -> np.ndarray:
    """x with `size` samples along an axis.

    Args:
        x: numbers of any shape.
        size: new length, at least 1.
        axis: along which.
        method: one of METHODS.
        antialias: widen the kernel where samples get fewer.
    Returns: float32; the dtype of x for "nearest".

    >>> resample(np.array([0, 10]), 4, 0).tolist()
    [0.0, 2.5, 7.5, 10.0]
    """
    as_choice("resample(method)", method, METHODS)
    length = x.shape[axis]
    step = length / size
    if method == "nearest":
        return np.take(x, np.minimum(((np.arange(size) + 0.5) * step).astype(np.int64), length - 1), axis)
    index, weight = _taps(length, size, step, method, max(step, 1.0) if antialias else 1.0)
    x = np.moveaxis(x, axis, 0).astype(np.float32)
    weight = weight.astype(np.float32).reshape(*weight.shape, *(1,) * (x.ndim - 1))
    result = sum(weight[:, tap] * x[index[:, tap]] for tap in range(index.shape[1]))
    return np.moveaxis(np.asarray(result), 0, axis)


def _taps(length: int, size: int, step: float, method: str, stretch: float) -> tuple[np.ndarray, np.ndarray]:
    """Which old samples make each new one, and with what weights: both (size, taps)."""
    if method == "area":
        start = np.arange(size) * step
        first = np.floor(start + 1e-9)
        index = first[:, None] + np.arange(int(np.ceil(step)) + 1)
        weight = np.minimum(index + 1, (start + step)[:, None]) - np.maximum(index, start[:, None])
    else:
        radius, kernel = KERNELS[method]
        centre = (np.arange(size) + 0.5) * step - 0.5
        index = np.floor(centre - radius * stretch)[:, None] + np.arange(1, int(np.ceil(2 * radius * stretch)) + 1)
        weight = kernel(np.abs(index - centre[:, None]) / stretch)
    if method == "area":
        weight = np.maximum(weight, 0)
    weight = np.where((index >= 0) & (index < length), weight, 0)
    return np.clip(index, 0, length - 1).astype(np.int64), weight / weight.sum(1, keepdims=True)


def resize(images: np.ndarray, size: tuple[int, int], method: str = "bilinear") -> np.ndarray:
    """Images (..., height, width, channels) in another (height, width)."""
    height, width = size
    return resample(resample(images, height, -3, method), width, -2, method)
