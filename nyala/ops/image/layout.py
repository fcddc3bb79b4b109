# SPDX-License-Identifier: Apache-2.0
"""What the ops on images share: one image or a batch, channels last or first, integers computed as floats. Start at as_batch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from nyala.core import dtypes
from nyala.core.errors import ArgumentError, DTypeError, ShapeError
from nyala.core.op import engine
from nyala.engines.protocol import Tensor
from nyala.ops._dtypes import NARROW
from nyala.ops.core import saturate_cast
from nyala.ops.nn_windows import is_channels_first

Way = Callable[[Tensor], Tensor]


def as_batch(name: str, images: Tensor, data_format: str | None, rank: int = 2) -> tuple[Tensor, Way]:
    """Images as (b, *s, c), and the way back for a result (b, *s', c')."""
    first = is_channels_first(name, data_format)
    if images.ndim not in (rank + 1, rank + 2):
        one = ("(c, h, w)" if first else "(h, w, c)") if rank == 2 else ("(c, d, h, w)" if first else "(d, h, w, c)")
        raise ShapeError(name, need=f"one image {one}, or a batch (b, {one[1:]}", got=f"shape {tuple(images.shape)}")
    single = images.ndim == rank + 1
    x = engine.reshape(images, (1, *images.shape)) if single else images
    x = engine.transpose(x, (0, *range(2, rank + 2), 1)) if first else x

    def back(y: Tensor) -> Tensor:
        y = engine.transpose(y, (0, rank + 1, *range(1, rank + 1))) if first else y
        return engine.reshape(y, tuple(y.shape[1:])) if single else y

    return x, back


def need_float(name: str, x: Tensor) -> None:
    """Refuse integers, for which the op has no meaning."""
    if not dtypes.is_float(engine.dtype(x)):
        raise DTypeError(name, need="a float dtype", got=engine.dtype(x), fix='cast first: ops.cast(images, "float32")')


def need_channels(name: str, x: Tensor, number: int) -> None:
    """Refuse images (..., c) with another number of channels."""
    if x.shape[-1] != number:
        raise ShapeError(name, need=f"{number} channels", got=f"{x.shape[-1]}", fix="check data_format")


def in_floats(function: Way, x: Tensor) -> Tensor:
    """function(x) in the dtype of x: 16-bit floats are computed in float32, and integers too, whose results are rounded and kept in range."""
    dtype = engine.dtype(x)
    if dtype in NARROW:
        return engine.cast(function(engine.cast(x, "float32")), dtype)
    if dtypes.is_float(dtype):
        return function(x)
    return saturate_cast(engine.round(function(engine.cast(x, "float32"))), dtype)


def pair(where: str, value: Any, number: int = 2) -> tuple[int, ...]:
    """Positive integers, one per spatial axis, from one for all or one each.

    >>> pair("resize(size)", [2, 3])
    (2, 3)
    """
    several: tuple[Any, ...] = tuple(value) if isinstance(value, (Sequence, np.ndarray)) and not isinstance(value, str) else (value,) * number
    if len(several) != number or not all(isinstance(n, (int, np.integer)) and not isinstance(n, bool) and n > 0 for n in several):
        raise ArgumentError(where, need=f"a positive integer, or {number} of them", got=repr(value))
    return several
