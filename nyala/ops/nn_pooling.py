# SPDX-License-Identifier: Apache-2.0
"""Pooling in one to three spatial axes, by windows of a given size or of a given number. Start at max_pool."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from nyala.core.errors import ShapeError
from nyala.core.op import engine, op
from nyala.engines.protocol import Tensor
from nyala.ops.nn_windows import channels_first, channels_last, is_channels_first, need_space, paddings, spatial

Sizes = int | Sequence[int]


@op
def max_pool(inputs: Tensor, pool_size: Sizes, strides: Sizes | None = None, padding: str = "valid", data_format: str | None = None) -> Tensor:
    """The largest value in each window.

    Args:
        inputs: (b, *s, c), or (b, c, *s) with data_format "channels_first".
        pool_size, strides: one integer, or one per spatial axis; strides None is pool_size.
        padding: "valid" none, "same" as many windows as s / strides, rounded up.

    >>> max_pool([[[1.0], [3.0], [2.0], [0.0]]], 2).tolist()
    [[[3.0], [2.0]]]
    """
    if engine.dtype(inputs) == "bool":
        return engine.cast(_pool("max_pool", engine.cast(inputs, "int32"), pool_size, strides, padding, data_format), "bool")
    return _pool("max_pool", inputs, pool_size, strides, padding, data_format)


@op(promote="float")
def average_pool(inputs: Tensor, pool_size: Sizes, strides: Sizes | None = None, padding: str = "valid", data_format: str | None = None) -> Tensor:
    """The mean of each window; padding does not count.

    Args:
        inputs: (b, *s, c), or (b, c, *s) with data_format "channels_first".
        pool_size, strides: one integer, or one per spatial axis; strides None is pool_size.
        padding: "valid" none, "same" as many windows as s / strides, rounded up.

    >>> average_pool([[[1.0], [3.0], [2.0]]], 2, padding="same").tolist()
    [[[2.0], [2.0]]]
    """
    return _pool("average_pool", inputs, pool_size, strides, padding, data_format)


def _pool(name: str, inputs: Tensor, pool_size: Sizes, strides: Sizes | None, padding: str, data_format: str | None) -> Tensor:
    number = need_space(f"{name}(inputs)", inputs)
    first = is_channels_first(name, data_format)
    x = channels_last(inputs) if first else inputs
    window = spatial(f"{name}(pool_size)", pool_size, number)
    strides = window if strides is None else spatial(f"{name}(strides)", strides, number)
    pairs = paddings(name, padding, x.shape[1:-1], window, strides, (1,) * number)
    if name == "max_pool":
        result = engine.max_pool(x, window, strides, pairs)
    else:
        result = engine.sum_pool(x, window, strides, pairs)
        if any(map(any, pairs)):
            counts = engine.sum_pool(engine.full((1, *x.shape[1:-1], 1), 1, engine.dtype(x)), window, strides, pairs)
            result = engine.divide(result, counts)
        else:
            result = engine.divide(result, float(math.prod(window)))
    return channels_first(result) if first else result


@op
def adaptive_max_pool(inputs: Tensor, output_size: Sizes, data_format: str | None = None) -> Tensor:
    """The largest value in each of output_size windows that cover the input evenly.

    Args:
        inputs: (b, *s, c), or (b, c, *s) with data_format "channels_first".
        output_size: number of windows, one integer, or one per spatial axis. Window i of o reaches from floor(i * s / o) to ceil((i + 1) * s / o).

    >>> adaptive_max_pool([[[1.0], [3.0], [2.0], [0.0], [5.0]]], 2).tolist()
    [[[3.0], [5.0]]]
    """
    return _adaptive_pool("adaptive_max_pool", inputs, output_size, data_format, lambda x, axis: engine.max(x, (axis,), False))


@op(promote="float")
def adaptive_average_pool(inputs: Tensor, output_size: Sizes, data_format: str | None = None) -> Tensor:
    """The mean of each of output_size windows that cover the input evenly.

    Args: as adaptive_max_pool.

    >>> adaptive_average_pool([[[1.0], [3.0], [2.0], [0.0], [5.0]]], 2).tolist()
    [[[2.0], [2.3333333]]]
    """
    return _adaptive_pool("adaptive_average_pool", inputs, output_size, data_format, _mean)


def _mean(x: Tensor, axis: int) -> Tensor:
    return engine.divide(engine.sum(x, (axis,), False), float(x.shape[axis]))


def _adaptive_pool(name: str, inputs: Tensor, output_size: Sizes, data_format: str | None, reduce: Callable) -> Tensor:
    """One spatial axis after the other, which is the same as all at once for means and largest values over boxes."""
    number = need_space(f"{name}(inputs)", inputs)
    start, x = 2 if is_channels_first(name, data_format) else 1, inputs
    for axis, windows in enumerate(spatial(f"{name}(output_size)", output_size, number), start):
        before, size, after = x.shape[:axis], x.shape[axis], x.shape[axis + 1 :]
        if size == 0:
            raise ShapeError(f"{name}(inputs)", need="places to pool", got=f"shape {tuple(inputs.shape)}")
        if size % windows == 0:
            x = reduce(engine.reshape(x, (*before, windows, size // windows, *after)), axis + 1)
            continue
        parts = []
        for i in range(windows):
            low, high = i * size // windows, -(-(i + 1) * size // windows)
            part = engine.slice(x, (*(0 for _ in before), low, *(0 for _ in after)), (*before, high, *after), (1,) * x.ndim)
            parts.append(engine.reshape(reduce(part, axis), (*before, 1, *after)))
        x = engine.concatenate(parts, axis)
    return x
