# SPDX-License-Identifier: Apache-2.0
"""Pooling in one to three spatial axes. Composed from the primitives max_pool and sum_pool, which have channels last. Start at max_pool."""

from __future__ import annotations

import math
from collections.abc import Sequence

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
