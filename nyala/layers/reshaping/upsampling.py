# SPDX-License-Identifier: Apache-2.0
"""UpSampling1D, 2D and 3D: every place repeated, or images interpolated. Start at UpSampling."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from nyala import ops
from nyala.core.config import standardize_data_format
from nyala.core.dtypes import standardize_dtype
from nyala.core.errors import ArgumentTypeError
from nyala.engines import engine
from nyala.engines.protocol import Tensor
from nyala.layers.arguments import as_choice, as_count, as_sizes, is_int
from nyala.layers.input_spec import InputSpec
from nyala.layers.layer import Layer


class UpSampling(Layer):
    """Each place `size` times along each spatial axis. Subclasses set `rank`, the number of spatial axes."""

    rank: int

    def __init__(self, size: int | Sequence[int], data_format: str | None, **kwargs: Any) -> None:
        data_format = standardize_data_format(data_format)
        super().__init__(**kwargs)
        self.size: Any = size  # one for all axes, or one for each
        self.data_format = data_format
        self.input_spec = InputSpec(ndim=self.rank + 2)

    def call(self, inputs: Tensor) -> Tensor:
        first = 1 if self.data_format == "channels_last" else 2
        for axis, times in enumerate((self.size,) if is_int(self.size) else self.size, first):
            inputs = ops.repeat(inputs, times, axis=axis) if times != 1 else inputs
        return inputs


class UpSampling1D(UpSampling):
    """Each step of a sequence (b, t, c) size times.

    Args:
        size: how many times.

    >>> import nyala
    >>> nyala.ops.convert_to_numpy(nyala.layers.UpSampling1D(2)([[[1.0], [3.0]]])).ravel().tolist()
    [1.0, 1.0, 3.0, 3.0]
    """

    rank = 1

    def __init__(self, size: int = 2, **kwargs: Any) -> None:
        if not is_int(size):
            raise ArgumentTypeError("UpSampling1D(size)", need="a positive integer", got=repr(size))
        super().__init__(as_count("UpSampling1D(size)", size), "channels_last", **kwargs)


class UpSampling2D(UpSampling):
    """An image size times as large.

    Args:
        size: one factor, or two for rows and columns.
        data_format: "channels_last" (b, h, w, c) or "channels_first" (b, c, h, w); None means the default.
        interpolation: "nearest" repeats rows and columns; "bilinear", "bicubic", "lanczos3", "lanczos5" are weighted means of the places near by,
            where the centres of old and new places lie on the same grid and weights beyond the border are left out.
    Source: Keys 1981, Cubic convolution interpolation for digital image processing (with a = -1/2).

    >>> import nyala
    >>> nyala.layers.UpSampling2D((2, 3))(nyala.ops.ones((2, 5, 7, 1))).shape
    (2, 10, 21, 1)
    """

    rank = 2

    def __init__(self, size: int | Sequence[int] = (2, 2), data_format: str | None = None, interpolation: str = "nearest", **kwargs: Any) -> None:
        interpolation = as_choice("UpSampling2D(interpolation)", interpolation, ("nearest", *KERNELS))
        super().__init__(as_sizes("UpSampling2D(size)", size, 2), data_format, **kwargs)
        self.interpolation = interpolation

    def call(self, inputs: Tensor) -> Tensor:
        if self.interpolation == "nearest":
            return super().call(inputs)
        first = self.data_format == "channels_first"
        x = inputs if first else ops.moveaxis(inputs, -1, 1)  # b c h w
        rows, columns = (_weights(n, times, self.interpolation, x.dtype) for n, times in zip(x.shape[2:], self.size, strict=True))
        y = ops.matmul(ops.matmul(rows, x), ops.transpose(columns))  # b c h' w'
        return y if first else ops.moveaxis(y, 1, -1)


class UpSampling3D(UpSampling):
    """Each place of a volume size times along each spatial axis.

    Args:
        size: one factor, or three.
        data_format: "channels_last" (b, d, h, w, c) or "channels_first" (b, c, d, h, w); None means the default.
    """

    rank = 3

    def __init__(self, size: int | Sequence[int] = (2, 2, 2), data_format: str | None = None, **kwargs: Any) -> None:
        super().__init__(as_sizes("UpSampling3D(size)", size, 3), data_format, **kwargs)


def _triangle(t: np.ndarray) -> np.ndarray:
    return np.maximum(0, 1 - t)


def _cubic(t: np.ndarray) -> np.ndarray:
    near, far = ((1.5 * t - 2.5) * t) * t + 1, ((-0.5 * t + 2.5) * t - 4) * t + 2
    return np.where(t >= 2, 0, np.where(t >= 1, far, near))


def _lanczos(lobes: int) -> Callable[[np.ndarray], np.ndarray]:
    return lambda t: np.where(t < lobes, np.sinc(t) * np.sinc(t / lobes), 0)


# Weight of a place at distance t >= 0, in places
KERNELS: dict[str, Callable[[np.ndarray], np.ndarray]] = {"bilinear": _triangle, "bicubic": _cubic, "lanczos3": _lanczos(3), "lanczos5": _lanczos(5)}


def _weights(size: int, times: int, interpolation: str, dtype: Any) -> Tensor:
    """The matrix (size * times, size) that interpolates along one axis; rows sum to 1."""
    places = (np.arange(size * times) + 0.5) / times - 0.5
    weights = KERNELS[interpolation](np.abs(places[:, None] - np.arange(size)))
    return (
        engine.asarray(weights / weights.sum(axis=1, keepdims=True), standardize_dtype(dtype))
        if size
        else engine.full((0, 0), 0, standardize_dtype(dtype))
    )
