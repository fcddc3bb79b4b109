# SPDX-License-Identifier: Apache-2.0
"""STFT: the kernel with which a convolution computes one part of a short-time Fourier transform."""

from __future__ import annotations

from typing import Any

import numpy as np

from nyala.core.errors import ArgumentError, ShapeError
from nyala.initializers.initializer import Initializer

# Windows that are sums of cosines: sum over k of (-1)**k * a[k] * cos(2 pi k t / n).
COSINES = {
    "boxcar": (1.0,),
    "hann": (0.5, 0.5),
    "hamming": (0.54, 0.46),
    "blackman": (0.42, 0.5, 0.08),
    "nuttall": (0.3635819, 0.4891775, 0.1365995, 0.0106411),
    "blackmanharris": (0.35875, 0.48829, 0.14128, 0.01168),
    "flattop": (0.21557895, 0.41663158, 0.277263158, 0.083578947, 0.006947368),
}


def make_window(name: str, length: int, periodic: bool) -> np.ndarray:
    """The window of this name; a periodic one lacks the last point of the symmetric window one longer.

    >>> make_window("hann", 5, periodic=False)
    array([0. , 0.5, 1. , 0.5, 0. ])
    """
    period = max(length if periodic else length - 1, 1)
    angle = 2 * np.pi * np.arange(length) / period
    return (
        np.abs(1 - np.abs(angle / np.pi - 1))
        if name == "bartlett"
        else np.asarray(sum((-1) ** k * a * np.cos(k * angle) for k, a in enumerate(COSINES[name])))
    )


class STFT(Initializer):
    """window[t] * cos(2 pi f t / n), or its imaginary counterpart -sin, for a kernel of shape (time, 1, frequencies), n = 2 (frequencies - 1).

    Args:
        side: "real" or "imag".
        window: a name, an array of the length of the kernel, or None for none.
        scaling: "density" divides the window by the root of its sum of squares, "spectrum" by its sum; None does not.
        periodic: whether the window continues itself when repeated.
    """

    def __init__(self, side: str = "real", window: Any = "hann", scaling: str | None = "density", periodic: bool = False) -> None:
        if side not in ("real", "imag"):
            raise ArgumentError("STFT(side)", need="'real' or 'imag'", got=repr(side))
        if isinstance(window, str) and window not in (*COSINES, "bartlett"):
            raise ArgumentError("STFT(window)", need=f"one of {sorted((*COSINES, 'bartlett'))}, an array or None", got=repr(window))
        if scaling not in ("density", "spectrum", None):
            raise ArgumentError("STFT(scaling)", need="'density', 'spectrum' or None", got=repr(scaling))
        self.side, self.window, self.scaling, self.periodic = side, window, scaling, periodic

    def values(self, shape: tuple[int, ...], dtype: str) -> np.ndarray:
        if len(shape) != 3 or shape[1] != 1:
            raise ShapeError(
                "STFT", need="a shape (time, 1, frequencies)", got=f"{shape}", why="it fills the kernel of a convolution over one channel"
            )
        length, _, frequencies = shape
        angle = 2 * np.pi * np.arange(length)[:, None] * np.arange(frequencies) / max(2 * (frequencies - 1), 1)
        kernel = np.cos(angle) if self.side == "real" else -np.sin(angle)
        if self.window is not None:
            window = make_window(self.window, length, self.periodic) if isinstance(self.window, str) else np.asarray(self.window, "float64")
            if window.shape != (length,):
                raise ShapeError("STFT(window)", need=f"an array of shape ({length},), as long as the kernel", got=f"shape {window.shape}")
            norm = {"density": np.sqrt(np.sum(window**2)), "spectrum": np.sum(window), None: 1.0}[self.scaling]
            kernel = kernel * (window / norm)[:, None]
        return kernel[:, None, :]
