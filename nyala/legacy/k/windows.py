# SPDX-License-Identifier: Apache-2.0
"""Convolutions, pooling, padding, resizing and normalization of `keras.backend`; words of Keras 1 and 2. Start at _words."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from nyala import ops
from nyala.core import config
from nyala.core.errors import ArgumentError
from nyala.engines.protocol import Tensor
from nyala.legacy.tables import DATA_FORMATS


def _words(padding: str, data_format: str | None, border_mode: str | None = None, dim_ordering: str | None = None) -> dict[str, Any]:
    """padding and data_format, in words of today."""
    data_format = dim_ordering if dim_ordering is not None else data_format
    data_format = DATA_FORMATS.get(data_format, data_format) if data_format is not None else None
    return {"padding": border_mode or padding, "data_format": data_format or config.image_data_format()}


def image_dim_ordering() -> str:
    """ "th" where channels come first, "tf" where they come last.

    >>> image_dim_ordering()
    'tf'
    """
    return "th" if config.image_data_format() == "channels_first" else "tf"


def set_image_dim_ordering(dim_ordering: str) -> None:
    """ "th": channels come first; "tf": channels come last."""
    if dim_ordering not in ("th", "tf"):
        raise ArgumentError("K.set_image_dim_ordering(dim_ordering)", need="'th' or 'tf'", got=repr(dim_ordering))
    config.set_image_data_format(DATA_FORMATS[dim_ordering] or "channels_last")


def normalize_data_format(value: str | None) -> str:
    """ "channels_last" or "channels_first"; None is the setting."""
    value = (value or config.image_data_format()).lower()
    if value not in ("channels_first", "channels_last"):
        raise ArgumentError("data_format", need="'channels_first' or 'channels_last'", got=repr(value))
    return value


def conv1d(
    x: Tensor, kernel: Tensor, strides: Any = 1, padding: str = "valid", data_format: str | None = None, dilation_rate: Any = 1, *,
    stride: Any = None, border_mode: str | None = None, **shapes: Any,
) -> Tensor:  # fmt: skip
    words = {**_words(padding, data_format, border_mode), **({} if data_format else {"data_format": "channels_last"})}
    return ops.conv(x, kernel, strides=strides if stride is None else stride, dilation_rate=dilation_rate, **words)


def conv2d(
    x: Tensor, kernel: Tensor, strides: Any = (1, 1), padding: str = "valid", data_format: str | None = None, dilation_rate: Any = (1, 1), *,
    border_mode: str | None = None, dim_ordering: str | None = None, filter_dilation: Any = None, **shapes: Any,
) -> Tensor:  # fmt: skip
    """Correlation with a kernel (rows, columns, in, out)."""
    return ops.conv(
        x, kernel, strides=strides, dilation_rate=filter_dilation or dilation_rate, **_words(padding, data_format, border_mode, dim_ordering)
    )


def conv3d(
    x: Tensor, kernel: Tensor, strides: Any = (1, 1, 1), padding: str = "valid", data_format: str | None = None, dilation_rate: Any = (1, 1, 1), *,
    border_mode: str | None = None, dim_ordering: str | None = None, **shapes: Any,
) -> Tensor:  # fmt: skip
    return ops.conv(x, kernel, strides=strides, dilation_rate=dilation_rate, **_words(padding, data_format, border_mode, dim_ordering))


def atrous_conv2d(x: Tensor, kernel: Tensor, rate: Any = 1, border_mode: str = "valid", dim_ordering: str = "default", **shapes: Any) -> Tensor:
    return ops.conv(x, kernel, dilation_rate=rate, **_words(border_mode, None, None, dim_ordering))


def conv2d_transpose(
    x: Tensor, kernel: Tensor, output_shape: Any, strides: Any = (1, 1), padding: str = "valid", data_format: str | None = None,
    dilation_rate: Any = (1, 1), *, border_mode: str | None = None, dim_ordering: str | None = None, **shapes: Any,
) -> Tensor:  # fmt: skip
    """The transpose of conv2d with a kernel (rows, columns, out, in); the result is cut to output_shape."""
    return _transposed(x, kernel, output_shape, strides, dilation_rate, _words(padding, data_format, border_mode, dim_ordering))


deconv2d = conv2d_transpose


def conv3d_transpose(
    x: Tensor, kernel: Tensor, output_shape: Any, strides: Any = (1, 1, 1), padding: str = "valid", data_format: str | None = None
) -> Tensor:
    return _transposed(x, kernel, output_shape, strides, 1, _words(padding, data_format))


def _transposed(x: Tensor, kernel: Tensor, output_shape: Any, strides: Any, dilation: Any, words: dict[str, Any]) -> Tensor:
    result = ops.conv_transpose(x, kernel, strides=strides, dilation_rate=dilation, **words)
    places = range(2, len(x.shape)) if words["data_format"] == "channels_first" else range(1, len(x.shape) - 1)
    cut = [slice(None)] * len(x.shape)
    for axis in places:
        if isinstance(output_shape[axis], int):
            cut[axis] = slice(0, output_shape[axis])
    return result[tuple(cut)]


def depthwise_conv2d(
    x: Tensor, depthwise_kernel: Tensor, strides: Any = (1, 1), padding: str = "valid", data_format: str | None = None, dilation_rate: Any = (1, 1)
) -> Tensor:
    return ops.depthwise_conv(x, depthwise_kernel, strides=strides, dilation_rate=dilation_rate, **_words(padding, data_format))


def separable_conv2d(
    x: Tensor, depthwise_kernel: Tensor, pointwise_kernel: Tensor, strides: Any = (1, 1), padding: str = "valid", data_format: str | None = None,
    dilation_rate: Any = (1, 1), *, border_mode: str | None = None, dim_ordering: str | None = None,
) -> Tensor:  # fmt: skip
    words = _words(padding, data_format, border_mode, dim_ordering)
    return ops.separable_conv(x, depthwise_kernel, pointwise_kernel, strides=strides, dilation_rate=dilation_rate, **words)


def separable_conv1d(
    x: Tensor, depthwise_kernel: Tensor, pointwise_kernel: Tensor, strides: Any = 1, padding: str = "valid", data_format: str | None = None,
    dilation_rate: Any = 1,
) -> Tensor:  # fmt: skip
    words = _words(padding, data_format or "channels_last")
    return ops.separable_conv(x, depthwise_kernel, pointwise_kernel, strides=strides, dilation_rate=dilation_rate, **words)


def local_conv1d(inputs: Tensor, kernel: Tensor, kernel_size: Any, strides: Any, data_format: str | None = None) -> Tensor:
    """A kernel (places, size * channels, filters) of its own for each place."""
    size, step = kernel_size[0], strides[0]
    patches = [ops.reshape(inputs[:, i * step : i * step + size], (-1, 1, kernel.shape[1])) for i in range(kernel.shape[0])]
    return ops.einsum("bpk,pkf->bpf", ops.concatenate(patches, axis=1), kernel)


def local_conv2d(inputs: Tensor, kernel: Tensor, kernel_size: Any, strides: Any, output_shape: Any, data_format: str | None = None) -> Tensor:
    """A kernel (places, rows * columns * channels, filters) of its own for each place."""
    first = normalize_data_format(data_format) == "channels_first"
    rows, columns = output_shape
    patches = []
    for i in range(rows):
        for j in range(columns):
            along = slice(i * strides[0], i * strides[0] + kernel_size[0]), slice(j * strides[1], j * strides[1] + kernel_size[1])
            patch = inputs[(slice(None), slice(None), *along) if first else (slice(None), *along)]
            patches.append(ops.reshape(patch, (-1, 1, kernel.shape[1])))
    result = ops.einsum("bpk,pkf->bpf", ops.concatenate(patches, axis=1), kernel)
    result = ops.reshape(result, (-1, rows, columns, kernel.shape[2]))
    return ops.moveaxis(result, -1, 1) if first else result


def _pool(x: Tensor, pool_size: Any, strides: Any, words: dict[str, Any], mode: str) -> Tensor:
    if mode not in ("max", "avg"):
        raise ArgumentError("pool_mode", need="'max' or 'avg'", got=repr(mode))
    return (ops.max_pool if mode == "max" else ops.average_pool)(x, pool_size, strides=strides, **words)


def pool2d(
    x: Tensor, pool_size: Any, strides: Any = (1, 1), padding: str = "valid", data_format: str | None = None, pool_mode: str = "max", *,
    border_mode: str | None = None, dim_ordering: str | None = None,
) -> Tensor:  # fmt: skip
    """The largest number or the mean of each window."""
    return _pool(x, pool_size, strides, _words(padding, data_format, border_mode, dim_ordering), pool_mode)


def pool3d(
    x: Tensor, pool_size: Any, strides: Any = (1, 1, 1), padding: str = "valid", data_format: str | None = None, pool_mode: str = "max", *,
    border_mode: str | None = None, dim_ordering: str | None = None,
) -> Tensor:  # fmt: skip
    return _pool(x, pool_size, strides, _words(padding, data_format, border_mode, dim_ordering), pool_mode)


# Padding and resizing ---------------------------------------------------------------------------------------------------------------


def _padded(x: Tensor, pairs: Sequence[Any], data_format: str | None) -> Tensor:
    pairs = [tuple(pair) if isinstance(pair, (list, tuple)) else (pair, pair) for pair in pairs]
    data_format = DATA_FORMATS.get(data_format, data_format) if data_format is not None else None
    first = normalize_data_format(data_format) == "channels_first"
    return ops.pad(x, [(0, 0), (0, 0), *pairs] if first else [(0, 0), *pairs, (0, 0)])


def temporal_padding(x: Tensor, padding: Any = (1, 1)) -> Tensor:
    """Zeros before and after a sequence (b, t, d)."""
    return ops.pad(x, [(0, 0), (padding, padding) if isinstance(padding, int) else tuple(padding), (0, 0)])


def asymmetric_temporal_padding(x: Tensor, left_pad: int = 1, right_pad: int = 1) -> Tensor:
    return temporal_padding(x, (left_pad, right_pad))


def spatial_2d_padding(x: Tensor, padding: Any = ((1, 1), (1, 1)), data_format: str | None = None, dim_ordering: str | None = None) -> Tensor:
    """Zeros around images."""
    return _padded(x, padding, dim_ordering or data_format)


def asymmetric_spatial_2d_padding(
    x: Tensor, top_pad: int = 1, bottom_pad: int = 1, left_pad: int = 1, right_pad: int = 1, dim_ordering: str = "default"
) -> Tensor:
    return _padded(x, ((top_pad, bottom_pad), (left_pad, right_pad)), dim_ordering)


def spatial_3d_padding(x: Tensor, padding: Any = ((1, 1), (1, 1), (1, 1)), data_format: str | None = None, dim_ordering: str | None = None) -> Tensor:
    return _padded(x, padding, dim_ordering or data_format)


def resize_images(
    x: Tensor, height_factor: int, width_factor: int, data_format: str | None = None, interpolation: str = "nearest",
    dim_ordering: str | None = None,
) -> Tensor:  # fmt: skip
    """Images several times as high and wide."""
    words = _words("valid", data_format, None, dim_ordering)
    from nyala.layers import UpSampling2D

    return UpSampling2D((height_factor, width_factor), data_format=words["data_format"], interpolation=interpolation)(x)


def resize_volumes(
    x: Tensor, depth_factor: int, height_factor: int, width_factor: int, data_format: str | None = None, dim_ordering: str | None = None
) -> Tensor:
    words = _words("valid", data_format, None, dim_ordering)
    from nyala.layers import UpSampling3D

    return UpSampling3D((depth_factor, height_factor, width_factor), data_format=words["data_format"])(x)


# Normalization ----------------------------------------------------------------------------------------------------------------------


def batch_normalization(x: Tensor, mean: Tensor, var: Tensor, beta: Any, gamma: Any, axis: int = -1, epsilon: float = 1e-3) -> Tensor:
    """(x - mean) / sqrt(var + epsilon) * gamma + beta; statistics of any shape that broadcasts."""
    result = ops.multiply(ops.subtract(x, mean), ops.rsqrt(ops.add(var, epsilon)))
    result = result if gamma is None else ops.multiply(result, gamma)
    return result if beta is None else ops.add(result, beta)


def normalize_batch_in_training(
    x: Tensor, gamma: Any, beta: Any, reduction_axes: Sequence[int], epsilon: float = 1e-3
) -> tuple[Tensor, Tensor, Tensor]:
    """The batch normalized by its own mean and variance, and these."""
    axes = tuple(reduction_axes)
    mean, var = ops.moments(x, axes)
    sizes = [1 if axis in axes or axis - len(x.shape) in axes else x.shape[axis] for axis in range(len(x.shape))]
    wide = lambda value: None if value is None else ops.reshape(value, sizes)  # noqa: E731
    return batch_normalization(x, wide(mean), wide(var), wide(beta), wide(gamma), epsilon=epsilon), mean, var
